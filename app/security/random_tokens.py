"""Tokens of 256 random bits, of which the database holds only a digest."""

import hashlib
import secrets


def make() -> str:
    return secrets.token_urlsafe(32)


def digest(token: str) -> str:
    """The SHA-256 of a token, in 64 hexadecimal digits.

    A fast hash is enough: the token has too many random bits to be found by trying.
    """
    return hashlib.sha256(token.encode()).hexdigest()
