"""Pseudonyms for addresses and usernames, for the database and the counters of the limits.

A pseudonym is an HMAC: the same identifier always has the same one. Without
``SECRET_KEY`` nobody can find out whose it is, not even by trying all the
addresses they know.
"""

import hashlib
import hmac

from config import settings


def of(kind: str, text: str) -> str:
    """Return 64 hexadecimal digits. The same text has another pseudonym under another ``kind``."""
    key = hashlib.sha256(b"user system: pseudonyms\0" + settings.secret_key.encode()).digest()
    return hmac.digest(key, f"{kind}:{text}".encode(), "sha256").hex()
