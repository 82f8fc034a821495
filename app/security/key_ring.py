"""Sealing what must be read again, such as the secret of an authenticator app.

The keys are those of ``DATA_KEYS``, the newest first, and one that is derived
from ``SECRET_KEY``. The newest key seals; every key that is still there opens.
A sealed text belongs to one row: moved to another row it does not open.
"""

import base64
import hashlib
import hmac
import os
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from config import settings

NONCE_BYTES = 12


class Sealed(NamedTuple):
    """A sealed text, and the id of the key that opens it."""

    text: str
    key_id: str


class CannotOpen(Exception):
    """The key is not there any more, or the text belongs to another row or was changed."""


def newest_key_id() -> str:
    """The id of the key that seals."""
    return next(iter(_keys()))


def key_ids() -> list[str]:
    """The ids of the keys that open, the newest first."""
    return list(_keys())


def seal(text: str, *, row: str) -> Sealed:
    """Seal a text for one row, which ``row`` names: ``totp_factors:42``."""
    key_id, key = next(iter(_keys().items()))
    nonce = os.urandom(NONCE_BYTES)
    sealed = nonce + AESGCM(key).encrypt(nonce, text.encode(), row.encode())
    return Sealed(base64.b64encode(sealed).decode(), key_id)


def unseal(sealed: Sealed, *, row: str) -> str:
    """The text that was sealed for this row. Raises ``CannotOpen``."""
    key = _keys().get(sealed.key_id)
    if key is None:
        raise CannotOpen(f"There is no key {sealed.key_id}.")
    try:
        raw = base64.b64decode(sealed.text, validate=True)
        return AESGCM(key).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], row.encode()).decode()
    except (InvalidTag, ValueError):
        # ValueError: it is too short, or not even base64.
        raise CannotOpen("The text belongs to another row, or it was changed.") from None


def digest(text: str, key_id: str, *, purpose: str) -> str:
    """An HMAC of the text in 64 hexadecimal digits, for a secret that is only ever compared.

    Raises ``CannotOpen`` if the key is not there.
    """
    key = _keys().get(key_id)
    if key is None:
        raise CannotOpen(f"There is no key {key_id}.")
    return hmac.digest(key, f"{purpose}\0{text}".encode(), "sha256").hex()


def _keys() -> dict[str, bytes]:
    given = {
        key_id: _derived(b"user system: data key\0", secret)
        for key_id, secret in settings.data_keys.items()
    }
    fallback = _derived(b"user system: data key of SECRET_KEY\0", settings.secret_key)
    # The id tells one SECRET_KEY from the next, so that rows under a lost key can be counted.
    return given | {f"secret-key-{hashlib.sha256(fallback).hexdigest()[:8]}": fallback}


def _derived(purpose: bytes, secret: str) -> bytes:
    return hashlib.sha256(purpose + secret.encode()).digest()
