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
    name = _usable(hint)
    for _ in range(TRIES):
        key = username_key(name)
        if not db.session.scalar(exists().where(User.username_key == key).select()):
            return name
        name = f"{_usable(hint)}{secrets.randbelow(900_000) + 100_000}"
    return name


def _usable(hint: str) -> str:
    """The beginning of the text, as far as a username may have it."""
    typed = unicodedata.normalize("NFC", hint.partition("@")[0][:200]).replace(" ", ".")
    kept = "".join(c for c in typed if c.isalnum() or c in "._-" or unicodedata.combining(c))
    for text in (kept, "".join(c for c in kept if c.isascii())):
        name = text[:MAX_LENGTH].strip("._-")
        try:
            if not identifiers.is_reserved(identifiers.canonical_username(name)):
                return name
        except InvalidUsername:
            continue
    return FALLBACK
