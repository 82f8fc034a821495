"""What an authenticator sent: is it what WebAuthn level 3 asks for?

py_webauthn compares type, challenge, origin, domain, flags and signature. What
it leaves to us stands here and in ``answers.py``. The counter is compared in
the database, so the library always gets 0.

Importing this module takes 7 MiB, so it is imported when the first passkey is used.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from webauthn import verify_authentication_response, verify_registration_response
from webauthn.helpers import (
    decode_credential_public_key,
    decoded_public_key_to_cryptography,
    parse_cbor,
)
from webauthn.helpers.cose import COSEAlgorithmIdentifier

from app.auth.passkeys import cbor
from app.auth.passkeys.answers import Answer
from app.auth.passkeys.errors import CredentialRefused
from app.auth.passkeys.options import ALGORITHMS
from app.auth.passkeys.settings import relying_party

ES256, RS256, EDDSA = (COSEAlgorithmIdentifier(each) for each in ALGORITHMS)
# Shorter keys are weak, and longer ones are slow.
RSA_BITS = range(2048, 4097)

# The places in authenticator data (WebAuthn level 3 §6.1).
FLAGS, AFTER_COUNTER, LENGTH_OF_ID = 32, 37, slice(53, 55)
HAS_KEY = 0x40


@dataclass(frozen=True)
class Registered:
    """A new key.

    ``may_sync`` says whether the authenticator may have a backup of it
    elsewhere, and ``is_synced`` whether it has one.
    """

    credential_id: bytes
    public_key: bytes
    algorithm: int
    sign_count: int
    aaguid: UUID | None
    is_user_verified: bool
    may_sync: bool
    is_synced: bool


@dataclass(frozen=True)
class Asserted:
    """A signature by a known key."""

    sign_count: int
    is_user_verified: bool
    may_sync: bool
    is_synced: bool


def registered(answer: Answer, challenge: bytes) -> Registered:
    """The key that an authenticator made. Raises ``CredentialRefused``."""
    answer.refuse_unless_for(challenge)
    party = relying_party()
    try:
        _refuse_unless_none_or_self(answer.raw("attestationObject"))
        verified = verify_registration_response(
            credential=answer.members,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origins,
            supported_pub_key_algs=[ES256, RS256, EDDSA],
        )
        algorithm = _algorithm_of(verified.credential_public_key)
        aaguid = UUID(verified.aaguid)
    # The parsers of CBOR and of keys raise errors of many kinds for bytes that are not theirs.
    except Exception as error:
        raise _refused(error) from None
    if verified.credential_id != answer.credential_id:
        raise CredentialRefused("the authenticator names another id")
    return Registered(
        verified.credential_id,
        verified.credential_public_key,
        algorithm,
        verified.sign_count,
        aaguid if aaguid.int else None,
        verified.user_verified,
        verified.credential_device_type == "multi_device",
        verified.credential_backed_up,
    )


def asserted(
    answer: Answer, challenge: bytes, public_key: bytes, *, must_verify_user: bool
) -> Asserted:
    """A signature of the key over the challenge. Raises ``CredentialRefused``."""
    answer.refuse_unless_for(challenge)
    party = relying_party()
    try:
        _refuse_unless_plain(answer.raw("authenticatorData"))
        verified = verify_authentication_response(
            credential=answer.members,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origins,
            credential_public_key=public_key,
            credential_current_sign_count=0,
            require_user_verification=must_verify_user,
        )
    except Exception as error:
        raise _refused(error) from None
    return Asserted(
        verified.new_sign_count,
        verified.user_verified,
        verified.credential_device_type == "multi_device",
        verified.credential_backed_up,
    )


def _refuse_unless_none_or_self(attestation: bytes) -> None:
    """Allow no attestation, or one by the new key itself, before the library reads it.

    We ask for none, and then browsers pass on these two alone (WebAuthn level
    3 §5.1.3). Chains of certificates would be read for nothing.
    """
    cbor.refuse_unless_plain(attestation)
    given = parse_cbor(attestation)
    kind, statement = given["fmt"], given["attStmt"]
    if not ((kind == "none" and statement == {}) or (kind == "packed" and "x5c" not in statement)):
        raise CredentialRefused("an attestation that nobody asked for")
    _refuse_unless_plain(given["authData"])


def _refuse_unless_plain(data: bytes) -> None:
    """Look at the key and the extensions in authenticator data, before the library reads them."""
    after = AFTER_COUNTER
    if data[FLAGS] & HAS_KEY:
        after = LENGTH_OF_ID.stop + int.from_bytes(data[LENGTH_OF_ID], "big")
    cbor.refuse_unless_plain(data[after:])


def _algorithm_of(public_key: bytes) -> int:
    """The algorithm of a key, if it is one of ours and the key is of its kind."""
    decoded = decode_credential_public_key(public_key)
    key: Any = decoded_public_key_to_cryptography(decoded)
    fits = {
        ES256: isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1),
        RS256: isinstance(key, RSAPublicKey) and key.key_size in RSA_BITS,
        EDDSA: isinstance(key, Ed25519PublicKey),
    }
    if not fits.get(decoded.alg, False):
        raise CredentialRefused(f"the key is not of the algorithm {decoded.alg}")
    return int(decoded.alg)


def _refused(error: Exception) -> CredentialRefused:
    # A text of the library may quote what was sent, at any length.
    return CredentialRefused(f"{type(error).__name__}: {error}"[:200])
