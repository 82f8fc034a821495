"""Parts that have to be there before requests can be served; each registers itself."""

from collections.abc import Callable

from flask import Flask, current_app

IsThere = Callable[[], bool]


def add_part(app: Flask, name: str, is_there: IsThere) -> None:
    """Ask ``is_there`` at each ``GET /readyz``, besides the database."""
    app.extensions.setdefault("readiness", {})[name] = is_there


def of_parts() -> dict[str, str]:
    """Part → ``ok`` or ``away``."""
    parts: dict[str, IsThere] = current_app.extensions.get("readiness", {})
    return {name: "ok" if is_there() else "away" for name, is_there in parts.items()}
