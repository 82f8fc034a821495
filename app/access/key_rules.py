"""What each call says about API keys, and the check at the start that each does."""

from collections.abc import Callable

from flask import Flask

from app.access.keys import MARK
from app.access.scopes import Scope
from app.http.blueprint import (
    BY_COOKIE,
    View,
    is_documented,
)
from config import SettingsRefused

# With which scope an API key may make a call, or whether any key may.
Keys = Scope | bool


def check(app: Flask) -> None:
    """Raises ``SettingsRefused`` for each call that does not say whether API keys may make it."""
    silent = [
        f"{method} {rule.rule}"
        for rule in app.url_map.iter_rules()
        if is_documented(app.blueprints.get(rule.endpoint.rpartition(".")[0]))
        and _is_silent(app.view_functions[rule.endpoint])
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    ]
    if silent:
        raise SettingsRefused(
            *(
                f"The call {call} does not say whether API keys may make it. Give its guard "
                "keys=False, or keys= and the scope that a key needs; docs/extending.md shows how."
                for call in silent
            )
        )


def _is_silent(view: Callable[..., object]) -> bool:
    """Whether a guard of ours stands before the view, and nothing is said about keys."""
    manual = getattr(view, "_apidoc", {}).get("manual_doc", {})
    return BY_COOKIE in manual.get("security", []) and not hasattr(view, MARK)


def says_about_keys(view: View, keys: Keys) -> View:
    """Note what the call says about API keys. The guards do it; a guard of your own must, too."""
    setattr(view, MARK, keys)
    return view


def said_about_keys(view: Callable[..., object]) -> Keys:
    """Whether, or with which scope, API keys may make the call."""
    said: Keys = getattr(view, MARK, False)
    return said
