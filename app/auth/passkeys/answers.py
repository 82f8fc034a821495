"""What a browser answers in a ceremony, as ``PublicKeyCredential.toJSON()`` writes it.

Here is looked at everything that needs no cryptography: the types, the
lengths, and the members that py_webauthn reads less strictly than the standard.
"""

import base64
import json
import re
from dataclasses import dataclass
from typing import Any

from app.auth.passkeys.errors import CredentialRefused

# The longest member of a real answer has about 2,000 characters: the id of the key, the key, and
# a signature. More would only cost time.
LONGEST = 8192
# WebAuthn level 3 §6.5.1.
MAX_CREDENTIAL_ID = 1023
# Base64url without padding.
WRITTEN = re.compile(r"[A-Za-z0-9_-]*", re.ASCII)
KNOWN_TRANSPORTS = ("ble", "cable", "hybrid", "internal", "nfc", "smart-card", "usb")


@dataclass(frozen=True)
class Answer:
    """An answer whose members have the right types.

    ``members`` is the answer without what nobody needs, for the library.
    """

    credential_id: bytes
    client_data: dict[str, Any]
    user_handle: bytes | None
    transports: list[str]
    members: dict[str, Any]

    def raw(self, name: str) -> bytes:
        """A member of the response, decoded."""
        return _decoded(self.members["response"][name])

    def refuse_unless_for(self, challenge: bytes) -> None:
        """Look at what the browser says of the page. Raises ``CredentialRefused``.

        Our pages are never shown inside pages of others, so no ceremony happens there.
        """
        # The library decodes the text first, and ignores characters that do not belong there.
        if self.client_data.get("challenge") != _encoded(challenge):
            raise CredentialRefused("another challenge")
        is_framed = self.client_data.get("crossOrigin", False) is not False
        if is_framed or "topOrigin" in self.client_data:
            raise CredentialRefused("inside a page of another origin")


def of_registration(credential: Any) -> Answer:
    """The answer of ``navigator.credentials.create()``. Raises ``CredentialRefused``."""
    return _read(credential, "clientDataJSON", "attestationObject")


def of_assertion(credential: Any) -> Answer:
    """The answer of ``navigator.credentials.get()``. Raises ``CredentialRefused``."""
    return _read(credential, "clientDataJSON", "authenticatorData", "signature")


def _read(credential: Any, *needed: str) -> Answer:
    if not isinstance(credential, dict) or not isinstance(credential.get("response"), dict):
        raise CredentialRefused("the credential or its response is not an object")
    response = credential["response"]
    raw_id = _decoded(credential.get("rawId"))
    if not 1 <= len(raw_id) <= MAX_CREDENTIAL_ID:
        raise CredentialRefused("the length of the id")
    if credential.get("id") != credential["rawId"] or credential.get("type") != "public-key":
        raise CredentialRefused("id or type")
    for name in needed:
        _decoded(response.get(name))
    handle = response.get("userHandle")
    return Answer(
        raw_id,
        _client_data(response["clientDataJSON"]),
        None if handle is None else _decoded(handle),
        _transports(response.get("transports")),
        {name: credential[name] for name in ("id", "rawId", "type")}
        | {"response": {name: response[name] for name in needed}},
    )


def _client_data(text: str) -> dict[str, Any]:
    try:
        data = json.loads(_decoded(text).decode())
    except (ValueError, RecursionError):
        raise CredentialRefused("clientDataJSON is not JSON") from None
    if not isinstance(data, dict):
        raise CredentialRefused("clientDataJSON is not an object")
    return data


def _transports(given: Any) -> list[str]:
    listed = given if isinstance(given, list) else []
    return [name for name in KNOWN_TRANSPORTS if name in listed]


def _decoded(text: Any) -> bytes:
    """The bytes of base64url. Each has one spelling, so that a text can be compared."""
    if not isinstance(text, str) or len(text) > LONGEST or not WRITTEN.fullmatch(text):
        raise CredentialRefused("a member is not base64url, or too long")
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise CredentialRefused("a member is not base64url") from None
    if _encoded(raw) != text:
        raise CredentialRefused("a member is not base64url")
    return raw


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
