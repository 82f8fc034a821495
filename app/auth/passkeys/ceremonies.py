"""Ceremonies: the challenge that an authenticator signs, and what it may be used for.

A ceremony is not stored. It is a text that only this server can have made: it
names its purpose, its user, its challenge and its end. One that succeeded is
recorded until its end, so that it succeeds once.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from itsdangerous import BadData, URLSafeSerializer, base64_decode, base64_encode
from sqlalchemy.exc import IntegrityError

from app import clock
from app.auth.passkeys.errors import CeremonyInvalid
from app.auth.passkeys.models import SpentCeremony
from app.database.rows import delete_batch
from app.extensions import db
from config import settings

LIFETIME = timedelta(minutes=5)
CHALLENGE_BYTES = 32


class Purpose(StrEnum):
    """What a ceremony may be used for."""

    REGISTER = "register"
    LOGIN = "login"
    MFA = "mfa"
    REAUTHENTICATE = "reauthenticate"


@dataclass(frozen=True)
class Ceremony:
    """``subject`` is the session, or the ticket of a second step. A login has none.

    It is not the user: a signature that was caught in one place would then serve
    in another session or login of the same user.
    """

    purpose: Purpose
    subject: str | None
    challenge: bytes
    expires_at: int

    @property
    def text(self) -> str:
        content = [self.subject, base64_encode(self.challenge).decode(), self.expires_at]
        text: str = _serializer(self.purpose).dumps(content)
        return text


def begin(purpose: Purpose, subject: object = None) -> Ceremony:
    """A new ceremony with a random challenge."""
    return Ceremony(
        purpose,
        None if subject is None else str(subject),
        secrets.token_bytes(CHALLENGE_BYTES),
        int((clock.now() + LIFETIME).timestamp()),
    )


def read(text: str, purpose: Purpose, subject: object = None) -> Ceremony:
    """The ceremony of this purpose and subject. Raises ``CeremonyInvalid``.

    Whether it was used up already, only ``spend`` finds out.
    """
    try:
        content: Any = _serializer(purpose).loads(text)
    except BadData:
        raise CeremonyInvalid from None
    of, challenge, expires_at = content
    if of != (None if subject is None else str(subject)) or expires_at <= clock.now().timestamp():
        raise CeremonyInvalid
    return Ceremony(purpose, of, base64_decode(challenge), expires_at)


def spend(ceremony: Ceremony) -> None:
    """Use the ceremony up. The caller commits, together with what the ceremony permits.

    Raises ``CeremonyInvalid`` if another request has used it up, and rolls back.
    """
    ends = clock.now() + LIFETIME
    db.session.add(
        SpentCeremony(ceremony_hash=hashlib.sha256(ceremony.challenge).hexdigest(), expires_at=ends)
    )
    try:
        db.session.flush()
    except IntegrityError:
        db.session.rollback()
        raise CeremonyInvalid from None


def prune(limit: int) -> int:
    """Forget up to ``limit`` ceremonies that have ended. Commits."""
    end = SpentCeremony.expires_at
    return delete_batch(SpentCeremony, end < clock.now(), oldest=end, limit=limit)


def _serializer(purpose: Purpose) -> URLSafeSerializer:
    # The purpose is part of the key, so a ceremony of one purpose is garbage for another.
    return URLSafeSerializer(
        settings.secret_key,
        salt=f"user system: passkey ceremony: {purpose}",
        signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"},
    )
