"""The options that a browser needs for a ceremony (WebAuthn level 3 §5.4 and §5.5)."""

from collections.abc import Sequence
from typing import Any

from itsdangerous import base64_encode

from app.auth.passkeys.ceremonies import LIFETIME, Ceremony
from app.auth.passkeys.models import Passkey
from app.auth.passkeys.settings import relying_party
from app.models import User

TIMEOUT = int(LIFETIME.total_seconds() * 1000)
# ES256, RS256 and EdDSA, in the order in which we like them.
ALGORITHMS = (-7, -257, -8)


def for_registration(
    ceremony: Ceremony, user: User, handle: bytes, known: Sequence[Passkey]
) -> dict[str, Any]:
    """``PublicKeyCredentialCreationOptionsJSON``."""
    party = relying_party()
    options = {
        "rp": {"id": party.id, "name": party.id},
        "user": {
            "id": _text(handle),
            "name": user.email,
            "displayName": user.full_name or user.username,
        },
        "challenge": _text(ceremony.challenge),
        "pubKeyCredParams": [{"type": "public-key", "alg": alg} for alg in ALGORITHMS],
        "timeout": TIMEOUT,
        "excludeCredentials": _listed(known),
        "authenticatorSelection": {
            "residentKey": "required",
            "requireResidentKey": True,
            "userVerification": "preferred",
        },
        "attestation": "none",
    }
    return {"ceremony": ceremony.text, "options": options}


def for_login(ceremony: Ceremony) -> dict[str, Any]:
    """``PublicKeyCredentialRequestOptionsJSON``. It names no key, so it tells nothing."""
    return _request(ceremony, (), "required")


def for_user(ceremony: Ceremony, known: Sequence[Passkey]) -> dict[str, Any]:
    """The same for a user who gave a first proof: it names the user's keys."""
    return _request(ceremony, known, "preferred")


def accepted(handle: bytes, usable: Sequence[Passkey]) -> dict[str, Any]:
    """``AllAcceptedCredentialsOptions``: a browser stops to offer the user's other passkeys."""
    return {
        "rpId": relying_party().id,
        "userId": _text(handle),
        "allAcceptedCredentialIds": [_text(passkey.credential_id) for passkey in usable],
    }


def _request(ceremony: Ceremony, known: Sequence[Passkey], verification: str) -> dict[str, Any]:
    options = {
        "rpId": relying_party().id,
        "challenge": _text(ceremony.challenge),
        "timeout": TIMEOUT,
        "allowCredentials": _listed(known),
        "userVerification": verification,
    }
    return {"ceremony": ceremony.text, "options": options}


def _listed(known: Sequence[Passkey]) -> list[dict[str, Any]]:
    return [
        {
            "type": "public-key",
            "id": _text(passkey.credential_id),
            "transports": passkey.transports.split(),
        }
        for passkey in known
    ]


def _text(raw: bytes) -> str:
    text: str = base64_encode(raw).decode()
    return text
