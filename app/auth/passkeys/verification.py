"""What an authenticator sent: is it what WebAuthn level 3 asks for?

py_webauthn compares challenge, origin, domain and signature. What it leaves to
us stands here: the credential is an object, the page was not inside another
site's page, and the algorithm is one of ours. The counter is compared in the
database, so the library always gets 0.

Importing this module takes 7 MiB, so it is imported when the first passkey is used.
"""

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from webauthn import verify_authentication_response, verify_registration_response
from webauthn.helpers import base64url_to_bytes, decode_credential_public_key
from webauthn.helpers.cose import COSEAlgorithmIdentifier

from app.auth.passkeys.errors import CredentialRefused
from app.auth.passkeys.settings import relying_party

ALGORITHMS = [
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
    COSEAlgorithmIdentifier.EDDSA,
]
MAX_CREDENTIAL_ID = 1023
KNOWN_TRANSPORTS = ("ble", "cable", "hybrid", "internal", "nfc", "smart-card", "usb")


@dataclass(frozen=True)
class Registered:
    """A new key. ``is_synced`` says whether it has a backup elsewhere."""

    credential_id: bytes
    public_key: bytes
    algorithm: int
    sign_count: int
    aaguid: UUID | None
    transports: list[str]
    is_user_verified: bool
    is_synced: bool


@dataclass(frozen=True)
class Asserted:
    """A signature by a known key."""

    sign_count: int
    is_user_verified: bool
    is_synced: bool


def registered(credential: Any, challenge: bytes) -> Registered:
    """The key that an authenticator made. Raises ``CredentialRefused``."""
    client_data = _client_data(credential)
    _refuse_foreign_frame(client_data)
    party = relying_party()
    try:
        verified = verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origins,
            supported_pub_key_algs=ALGORITHMS,
        )
        algorithm = int(decode_credential_public_key(verified.credential_public_key).alg)
    # The parsers of CBOR and DER raise errors of many kinds for bytes that are not theirs.
    except Exception as error:
        raise CredentialRefused(f"{type(error).__name__}: {error}") from None
    if algorithm not in [int(each) for each in ALGORITHMS]:
        raise CredentialRefused(f"algorithm {algorithm}")
    if not 1 <= len(verified.credential_id) <= MAX_CREDENTIAL_ID:
        raise CredentialRefused("the id of the credential is too long")
    aaguid = UUID(verified.aaguid)
    return Registered(
        verified.credential_id,
        verified.credential_public_key,
        algorithm,
        verified.sign_count,
        aaguid if aaguid.int else None,
        _transports(credential),
        verified.user_verified,
        verified.credential_backed_up,
    )


def asserted(
    credential: Any, challenge: bytes, public_key: bytes, *, must_verify_user: bool
) -> Asserted:
    """A signature of the key over the challenge. Raises ``CredentialRefused``."""
    _refuse_foreign_frame(_client_data(credential))
    party = relying_party()
    try:
        verified = verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origins,
            credential_public_key=public_key,
            credential_current_sign_count=0,
            require_user_verification=must_verify_user,
        )
    except Exception as error:
        raise CredentialRefused(f"{type(error).__name__}: {error}") from None
    return Asserted(verified.new_sign_count, verified.user_verified, verified.credential_backed_up)


def credential_id_of(credential: Any) -> bytes:
    """The id that the credential claims to have. Raises ``CredentialRefused``."""
    return _decoded(_member(credential, "id"))


def user_handle_of(credential: Any) -> bytes | None:
    """The user handle that the authenticator sent, if any. Raises ``CredentialRefused``."""
    handle = _response(credential).get("userHandle")
    return None if handle is None else _decoded(handle)


def _client_data(credential: Any) -> dict[str, Any]:
    try:
        data = json.loads(_decoded(_response(credential).get("clientDataJSON")))
    except (ValueError, RecursionError):
        raise CredentialRefused("clientDataJSON is not JSON") from None
    if not isinstance(data, dict):
        raise CredentialRefused("clientDataJSON is no object")
    return data


def _refuse_foreign_frame(client_data: dict[str, Any]) -> None:
    """Our pages are never shown inside pages of others, so no ceremony happens there."""
    if client_data.get("crossOrigin", False) is not False or "topOrigin" in client_data:
        raise CredentialRefused("inside a page of another origin")


def _transports(credential: Any) -> list[str]:
    given = _response(credential).get("transports")
    listed = given if isinstance(given, list) else []
    return [name for name in KNOWN_TRANSPORTS if name in listed]


def _response(credential: Any) -> dict[str, Any]:
    response = _member(credential, "response")
    if not isinstance(response, dict):
        raise CredentialRefused("the response is no object")
    return response


def _member(credential: Any, name: str) -> Any:
    if not isinstance(credential, dict):
        raise CredentialRefused("the credential is no object")
    return credential.get(name)


def _decoded(text: Any) -> bytes:
    if not isinstance(text, str):
        raise CredentialRefused("a member is no text")
    try:
        return base64url_to_bytes(text)
    except ValueError:
        raise CredentialRefused("a member is not base64url") from None
