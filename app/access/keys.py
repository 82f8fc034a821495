"""API keys, as the guards see them. The feature ``api_keys`` makes and opens them.

A key is sent as a Bearer token, like an access token. An access token is a
JWT and has two dots; a key has none. So a request with an access token pays
nothing for keys.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from flask import current_app

from app.errors import InvalidToken, KeyNotAllowed
from app.models import Session

# The name under which a guard notes on the view whether API keys may make the call.
MARK = "takes_keys"


@dataclass(frozen=True)
class KeyReader:
    """What a feature that has keys can do with one.

    ``recognize`` says whether a text has the form of a key; it asks no
    database. ``open`` returns the session of a request with a key: one
    statement reads the key, its owner and the owner's rights. It raises
    ``InvalidToken`` or ``TokenExpired``. ``lives`` says whether the key of such
    a session still works. ``revoke`` ends a key that somebody shows, and commits.
    """

    recognize: Callable[[str], bool]
    open: Callable[[str], Session]
    lives: Callable[[Session], bool]
    revoke: Callable[[str], None]


def is_key(token: str) -> bool:
    """Whether a Bearer token is an API key, as far as one can see."""
    reader = _reader()
    return "." not in token and reader is not None and reader.recognize(token)


def refuse(token: str) -> None:
    """For calls that read another kind of token. Raises ``KeyNotAllowed`` for an API key."""
    if is_key(token):
        raise KeyNotAllowed


def open_session(token: str, *, is_allowed: bool) -> Session:
    """The session of a request with a key.

    Raises ``KeyNotAllowed`` if the call takes no keys, ``InvalidToken``, or ``TokenExpired``.
    """
    reader = _reader()
    if reader is None or not reader.recognize(token):
        raise InvalidToken
    if not is_allowed:
        raise KeyNotAllowed
    return reader.open(token)


def lives(session: Session) -> bool:
    """Whether the key of such a session still works."""
    reader = _reader()
    return reader is not None and reader.lives(session)


def revoke(token: str) -> bool:
    """End a key that somebody shows. Returns whether it looks like a key. Commits."""
    reader = _reader()
    if "." in token or reader is None or not reader.recognize(token):
        return False
    reader.revoke(token)
    return True


def _reader() -> KeyReader | None:
    return cast("KeyReader | None", current_app.extensions.get("key_reader"))
