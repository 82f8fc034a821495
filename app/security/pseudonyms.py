"""Names for addresses and usernames that tell nothing to who reads the database or the limits.

An HMAC: the same identifier has the same name, and without ``SECRET_KEY``
nobody can find out which, not even by trying all the addresses they know.
"""

import hashlib
import hmac

from config import settings


def of(kind: str, text: str) -> str:
    """64 hexadecimal digits. ``kind`` keeps those of different things apart."""
    key = hashlib.sha256(b"user system: pseudonyms\0" + settings.secret_key.encode()).digest()
    return hmac.digest(key, f"{kind}:{text}".encode(), "sha256").hex()
