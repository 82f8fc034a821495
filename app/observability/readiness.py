"""Parts that have to be there before requests can be served; each registers itself."""

from collections.abc import Callable

from flask import Flask, current_app

IsReady = Callable[[], bool]


def add_part(app: Flask, name: str, is_ready: IsReady) -> None:
    """Ask ``is_ready`` at each ``GET /readyz``, besides the database."""
    app.extensions.setdefault("readiness", {})[name] = is_ready


def of_parts() -> dict[str, str]:
    """Part → ``ok`` or ``away``."""
    parts: dict[str, IsReady] = current_app.extensions.get("readiness", {})
    return {name: "ok" if is_ready() else "away" for name, is_ready in parts.items()}
