"""The names and addresses of people in mails to others.

Mail programs make a link of text like ``evil.example``. Somebody who is called
so could send a link to strangers in our name.
"""

import re

from app.models import User

_LIKE_A_LINK = re.compile(r"[:/\\@]|[.。．｡]\w{2}|\bwww\b", re.IGNORECASE)
_LONGEST_NAME = 50
_LONGEST_ADDRESS = 60
# It is invisible, and no web address goes on after it.
_WORD_JOINER = "\u2060"


def shown_name(user: User) -> str:
    """The full name, or the username where there is none, or it is long or looks like a link."""
    name = user.full_name or ""
    if name and len(name) <= _LONGEST_NAME and not _LIKE_A_LINK.search(name):
        return name
    return without_link(user.username)


def cut(address: str) -> str:
    """An address that somebody else may have chosen. A whole sentence does not fit."""
    return address if len(address) <= _LONGEST_ADDRESS else f"{address[: _LONGEST_ADDRESS - 1]}…"


def without_link(username: str) -> str:
    """The same letters, but no mail program makes a link of them."""
    return username.replace(".", f".{_WORD_JOINER}")
