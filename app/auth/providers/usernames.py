"""A username for somebody who comes from a provider: like the name there, and free."""

import secrets
import unicodedata

from sqlalchemy import exists

from app.extensions import db
from app.models import User
from app.security import identifiers
from app.security.identifiers import InvalidUsername, username_key

FALLBACK = "newcomer"
# Room for the digits behind it.
MAX_LENGTH = identifiers.MAX_USERNAME_LENGTH - 6
TRIES = 5


def suggested(hint: str) -> str:
    """A username that is free at this moment. ``hint`` is any text, such as an address."""
    beginning = name = _beginning(hint)
    for _ in range(TRIES):
        key = username_key(name)
        if not db.session.scalar(exists().where(User.username_key == key).select()):
            return name
        digits = f"{secrets.randbelow(900_000) + 100_000}"
        # With the digits behind it, a name may be too long to be compared.
        name = _usable(f"{beginning}{digits}") or f"{FALLBACK}{digits}"
    return name


def _beginning(hint: str) -> str:
    """The beginning of the text, as far as a username may have it."""
    typed = unicodedata.normalize("NFC", hint.partition("@")[0][:200]).replace(" ", ".")
    kept = "".join(c for c in typed if c.isalnum() or c in "._-" or unicodedata.combining(c))
    for text in (kept, "".join(c for c in kept if c.isascii())):
        if name := _usable(text[:MAX_LENGTH].strip("._-")):
            return name
    return FALLBACK


def _usable(text: str) -> str | None:
    """The text as a username is stored, if it can be one."""
    try:
        name = identifiers.canonical_username(text)
    except InvalidUsername:
        return None
    return None if identifiers.is_reserved(name) else name
