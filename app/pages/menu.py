"""The menu of the account pages, in one place."""

from collections.abc import Iterable
from dataclasses import dataclass

from flask import current_app, request
from flask_babel import gettext

from app import features

# Pages that this server does not have are left out.
ENTRIES = (
    ("/account", "Profile"),
    ("/account/password", "Password"),
    ("/account/email", "Email address"),
    ("/account/security", "Security"),
    ("/account/identities", "Connected accounts"),
    ("/account/devices", "Devices"),
    ("/account/keys", "API keys"),
    ("/account/activity", "Activity"),
    ("/account/export", "Your data"),
    ("/account/delete", "Delete account"),
)


@dataclass(frozen=True)
class Entry:
    path: str
    label: str
    is_current: bool


def entries() -> list[Entry]:
    """The links, in the language of the page. Those of features come last."""
    served = served_paths()
    ours = [(path, label) for path, label in ENTRIES if path in served]
    theirs = [(one.path, one.label) for each in features.active() for one in each.menu]
    return linked(ours + theirs)


def linked(pages: Iterable[tuple[str, str]]) -> list[Entry]:
    """Links to these paths with these labels. The current one is that of this page."""
    listed = list(pages)
    here = max((path for path, _ in listed if _is_at_or_below(path)), key=len, default=None)
    return [Entry(path, gettext(label), path == here) for path, label in listed]


def _is_at_or_below(path: str) -> bool:
    return request.path == path or request.path.startswith(f"{path}/")


def served_paths() -> frozenset[str]:
    """The rules of all routes of this server."""
    known: frozenset[str] | None = current_app.extensions.get("served paths")
    if known is None:
        known = frozenset(rule.rule for rule in current_app.url_map.iter_rules())
        current_app.extensions["served paths"] = known
    return known
