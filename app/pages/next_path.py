"""Where a person goes on after a login: a path of ours, and never another site.

The rule is a whitelist. What browsers make of strange addresses (a tab or a
backslash in ``/\\evil.example``, two slashes, ``javascript:``) does not matter
then, because none of it passes.
"""

import re
import unicodedata
from urllib.parse import unquote, urlencode

from flask import current_app, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

HOME = "/account"
MAX_LENGTH = 500
# One slash, and then visible ASCII characters.
PATH = re.compile(r"/(?![/\\])[\x21-\x7e]*")


def of_ours(path: str | None) -> str:
    """The path if it is one of ours, else ``/account``.

    It must be one as it was sent, and also when it is decoded once, as a proxy
    or a browser may do.
    """
    if path is None or len(path) > MAX_LENGTH or not PATH.fullmatch(path):
        return HOME
    if any(_is_hostile(text) for text in (path, unquote(path))):
        return HOME
    return path


def _is_hostile(text: str) -> bool:
    return (
        text.startswith("//")
        or "\\" in text
        or any(unicodedata.category(character) == "Cc" for character in text)
    )


def wanted() -> str:
    """The ``next`` of the form that was sent, or of the query."""
    sent = request.form if request.method == "POST" else request.args
    return of_ours(sent.get("next"))


def with_next(path: str, goal: str) -> str:
    """The path, which passes ``next`` on unless that is where people go anyway."""
    return path if goal == HOME else f"{path}?{urlencode({'next': goal})}"


def reopening() -> str:
    """The path that shows the page of this request again. A POST is never repeated by it."""
    if request.method in ("GET", "HEAD"):
        return of_ours(request.full_path.rstrip("?"))
    path = request.path
    while path and not _can_be_opened(path):
        path = path.rpartition("/")[0]
    return of_ours(path or None)


def _can_be_opened(path: str) -> bool:
    try:
        current_app.create_url_adapter(request).match(path, method="GET")  # type: ignore[union-attr]
    except (HTTPException, RequestRedirect):
        return False
    return True
