"""Where Jinja finds the templates of mails and pages: first in TEMPLATES_DIR, then here.

``docs/branding.md`` lists the templates and their blocks for those who write their own.
"""

import logging
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path

from flask import Flask
from jinja2 import BaseLoader, ChoiceLoader, FileSystemLoader, PrefixLoader, TemplateSyntaxError

from config import ROOT, Settings, SettingsRefused, settings

FOLDERS = (ROOT / "app" / "mail" / "templates", ROOT / "app" / "pages" / "templates")
# A template of TEMPLATES_DIR extends the one that it replaces by this name: original/mail.html.
ORIGINAL = "original"

log = logging.getLogger(__name__)


def init_app(app: Flask, settings: Settings, features: Mapping[str, Path]) -> None:
    """``features`` has the folder of each feature that has templates, by its name."""
    of_features = {name: FileSystemLoader(folder) for name, folder in features.items()}
    ours = ChoiceLoader([FileSystemLoader(FOLDERS), PrefixLoader(of_features)])
    app.extensions["template_names"] = ours.list_templates
    loaders: list[BaseLoader] = [ours, PrefixLoader({ORIGINAL: ours})]
    if settings.templates_dir:
        loaders.insert(0, FileSystemLoader(settings.templates_dir))
    app.jinja_loader = ChoiceLoader(loaders)
    app.context_processor(_brand)


def _brand() -> dict[str, object]:
    return {"brand": settings.brand}


def check(app: Flask) -> None:
    """Compile the templates of TEMPLATES_DIR at the start.

    Raises ``SettingsRefused`` with a reason for each that cannot be compiled.
    """
    folder = app.config["SETTINGS"].templates_dir
    if not folder:
        return
    if reasons := list(_flaws(app, folder)):
        raise SettingsRefused(*reasons)
    for warning in _of_no_use(folder, app.extensions["template_names"]()):
        log.warning(warning)


def _of_no_use(folder: Path, ours: Collection[str]) -> Iterator[str]:
    """A template that replaces none and that no other of them names, as after a slip of the pen."""
    texts = {name: (folder / name).read_text("utf-8") for name in _own(folder)}
    for name in texts.keys() - set(ours):
        if not any(name in text for text in texts.values()):
            meant = get_close_matches(name, ours, n=1)
            guess = f" Did you mean {meant[0]}?" if meant else ""
            yield f"TEMPLATES_DIR has the template {name}, which replaces none of ours.{guess}"


def _own(folder: Path) -> list[str]:
    names = FileSystemLoader(folder).list_templates()
    return [name for name in names if name.endswith((".html", ".txt"))]


def _flaws(app: Flask, folder: Path) -> Iterator[str]:
    loader = FileSystemLoader(folder)
    for name in _own(folder):
        try:
            loader.load(app.jinja_env, name)
        except TemplateSyntaxError as error:
            yield (
                f"TEMPLATES_DIR has the template {name}, which is wrong in line {error.lineno}: "
                f"{error.message}. Correct it, or remove the file."
            )
        except (OSError, UnicodeDecodeError) as error:
            yield (
                f"TEMPLATES_DIR has the template {name}, which cannot be read: {error}. "
                "Make it a readable file in UTF-8, or remove it."
            )
