"""The stylesheet and the script of all pages, and the pictures of the brand.

Each is put together once, at the start, and served under a name that holds the
hash of its content. So browsers keep it for a year, and load it again when it
has changed. There is no build step.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import cast

from flask import Blueprint, Flask, Response, current_app

from app.errors import NotFound
from config import Settings
from configuration.brand import Brand

FOLDER = Path(__file__).parent / "static"
FOREVER = "public, max-age=31536000, immutable"
# Somebody may open a picture by itself. Nothing in it runs then.
PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"

bp = Blueprint("assets", __name__)


@dataclass(frozen=True)
class Asset:
    name: str
    mimetype: str
    content: bytes

    @property
    def served_as(self) -> str:
        """The name with the hash: ``pages.0123456789abcdef.css``."""
        stem, _, ending = self.name.rpartition(".")
        return f"{stem}.{hashlib.sha256(self.content).hexdigest()[:16]}.{ending}"


def init_app(app: Flask, settings: Settings) -> None:
    served = {asset.served_as: asset for asset in _all(settings.brand)}
    app.extensions["assets"] = served
    app.extensions["asset paths"] = {
        asset.name: f"/account/assets/{name}" for name, asset in served.items()
    }
    app.register_blueprint(bp)


def path_of(name: str) -> str | None:
    """The path of an asset: ``pages.css``, ``pages.js``, ``icon.svg`` or the logo."""
    paths: dict[str, str] = current_app.extensions["asset paths"]
    return paths.get(name)


@bp.get("/account/assets/<name>")
def asset(name: str) -> Response:
    served = cast(dict[str, Asset], current_app.extensions["assets"])
    found = served.get(name)
    if found is None:
        raise NotFound
    response = Response(found.content, mimetype=found.mimetype)
    response.headers["Cache-Control"] = FOREVER
    if found.mimetype.startswith("image/"):
        response.headers["Content-Security-Policy"] = PICTURE_POLICY
    return response


def _all(brand: Brand) -> Iterator[Asset]:
    yield Asset("pages.css", "text/css", "\n".join([_colors(brand), *_texts("css")]).encode())
    # One module. Each file is a block of its own, so that their names do not meet.
    yield Asset(
        "pages.js", "text/javascript", "".join(f"{{\n{t}}}\n" for t in _texts("js")).encode()
    )
    yield Asset("icon.svg", "image/svg+xml", _icon(brand).encode())
    if brand.logo:
        yield Asset(f"logo.{brand.logo.suffix}", brand.logo.media_type, brand.logo.content)


def _texts(kind: str) -> list[str]:
    files = sorted((FOLDER / kind).glob(f"*.{kind}"))
    return [file.read_text(encoding="utf-8") for file in files]


def _colors(brand: Brand) -> str:
    """The brand color, as properties that the stylesheet uses."""
    light = f":root{{--brand:{brand.color};--on-brand:{brand.text}}}"
    dark = f":root{{--brand:{brand.color_in_the_dark};--on-brand:{brand.text_in_the_dark}}}"
    return f"{light}\n@media (prefers-color-scheme: dark){{{dark}}}"


def _icon(brand: Brand) -> str:
    """The first letter of the name, for the tab of the browser."""
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
        f'<rect width="32" height="32" rx="7" fill="{brand.color}"/>'
        '<text x="16" y="23" font-family="system-ui,sans-serif" font-size="20" font-weight="700" '
        f'text-anchor="middle" fill="{brand.text}">{escape(brand.name[0].upper())}</text></svg>'
    )
