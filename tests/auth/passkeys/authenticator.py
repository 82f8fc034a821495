"""A software authenticator that can lie in every field (WebAuthn level 3 §6)."""

import hashlib
import json
import os
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

USER_PRESENT, USER_VERIFIED, CAN_SYNC, IS_SYNCED = 0x01, 0x04, 0x08, 0x10
HAS_KEY, HAS_EXTENSIONS = 0x40, 0x80
ORIGIN = "http://localhost:8000"


def to_text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


def to_bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Lies:
    """What to say instead of the truth. ``None`` is the truth."""

    type: str | None = None
    challenge: str | None = None
    origin: str | None = None
    rp_id: str | None = None
    client_data: dict[str, Any] = field(default_factory=dict)
    flags: int | None = None
    credential_id: bytes | None = None
    user_handle: bytes | None = None
    signature: bytes | None = None
    sign_count: int | None = None
    # The kind of attestation, and its statement. "packed" without a statement is self-attestation.
    fmt: str = "none"
    statement: dict[str, Any] | None = None
    # Members of the public key.
    cose: dict[int, Any] = field(default_factory=dict)
    # Extensions of the authenticator, and what follows after everything.
    extensions: bytes | None = None
    tail: bytes = b""
    # The whole attestation object.
    attestation: bytes | None = None
    credential: dict[str, Any] = field(default_factory=dict)
    response: dict[str, Any] = field(default_factory=dict)


@dataclass
class Authenticator:
    """One key. ``counts`` says whether its counter rises; some authenticators always say 0."""

    algorithm: int = -7
    verifies_user: bool = True
    is_synced: bool = False
    counts: bool = True
    origin: str = ORIGIN

    def __post_init__(self) -> None:
        self.credential_id = os.urandom(32)
        self.sign_count = 0
        self.user_handle: bytes | None = None
        self.key: Any = {
            -7: lambda: ec.generate_private_key(ec.SECP256R1()),
            -8: ed25519.Ed25519PrivateKey.generate,
            -257: lambda: rsa.generate_private_key(65537, 2048),
        }.get(self.algorithm, lambda: ec.generate_private_key(ec.SECP384R1()))()

    def create(self, options: dict[str, Any], lies: Lies | None = None) -> dict[str, Any]:
        """The answer to ``navigator.credentials.create``."""
        lies = lies or Lies()
        self.user_handle = to_bytes(options["user"]["id"])
        client_data = self._client_data("webauthn.create", options["challenge"], lies)
        data = self._data(options["rp"]["id"], lies, with_key=True)
        statement = lies.statement
        if statement is None:
            signed = data + hashlib.sha256(client_data).digest()
            own = {"alg": self.algorithm, "sig": self._sign(signed)}
            statement = own if lies.fmt == "packed" else {}
        made = cbor2.dumps({"fmt": lies.fmt, "attStmt": statement, "authData": data})
        attestation = lies.attestation or made
        response = {
            "clientDataJSON": to_text(client_data),
            "attestationObject": to_text(attestation),
            "transports": ["internal", "hybrid"],
        }
        return self._credential(response, lies)

    def get(self, options: dict[str, Any], lies: Lies | None = None) -> dict[str, Any]:
        """The answer to ``navigator.credentials.get``."""
        lies = lies or Lies()
        if lies.sign_count is not None:
            self.sign_count = lies.sign_count
        elif self.counts:
            self.sign_count += 1
        client_data = self._client_data("webauthn.get", options["challenge"], lies)
        data = self._data(options["rpId"], lies, with_key=False)
        signature = lies.signature or self._sign(data + hashlib.sha256(client_data).digest())
        handle = lies.user_handle or self.user_handle
        response = {
            "clientDataJSON": to_text(client_data),
            "authenticatorData": to_text(data),
            "signature": to_text(signature),
            "userHandle": to_text(handle) if handle else None,
        }
        return self._credential(response, lies)

    def _credential(self, response: dict[str, Any], lies: Lies) -> dict[str, Any]:
        name = to_text(lies.credential_id or self.credential_id)
        credential = {
            "id": name,
            "rawId": name,
            "type": "public-key",
            "clientExtensionResults": {},
            "response": response | lies.response,
        }
        return credential | lies.credential

    def _client_data(self, kind: str, challenge: str, lies: Lies) -> bytes:
        said = {
            "type": lies.type or kind,
            "challenge": lies.challenge or challenge,
            "origin": lies.origin or self.origin,
            "crossOrigin": False,
        }
        return json.dumps(said | lies.client_data).encode()

    def _data(self, rp_id: str, lies: Lies, *, with_key: bool) -> bytes:
        flags = USER_PRESENT | (USER_VERIFIED if self.verifies_user else 0)
        flags |= (CAN_SYNC | IS_SYNCED if self.is_synced else 0) | (HAS_KEY if with_key else 0)
        flags |= 0 if lies.extensions is None else HAS_EXTENSIONS
        flags = flags if lies.flags is None else lies.flags
        data = hashlib.sha256((lies.rp_id or rp_id).encode()).digest()
        data += struct.pack(">BI", flags, self.sign_count)
        if with_key:
            name = lies.credential_id or self.credential_id
            key = cbor2.dumps(self._cose() | lies.cose)
            data += bytes(16) + struct.pack(">H", len(name)) + name + key
        return data + (lies.extensions or b"") + lies.tail

    @property
    def public_key(self) -> bytes:
        return cbor2.dumps(self._cose())

    def _cose(self) -> dict[int, Any]:
        """The public key (RFC 9053)."""
        public = self.key.public_key()
        if isinstance(public, ed25519.Ed25519PublicKey):
            return {1: 1, 3: self.algorithm, -1: 6, -2: public.public_bytes_raw()}
        numbers = public.public_numbers()
        if isinstance(public, rsa.RSAPublicKey):
            return {
                1: 3,
                3: self.algorithm,
                -1: numbers.n.to_bytes(256, "big"),
                -2: b"\x01\x00\x01",
            }
        size, curve = (32, 1) if self.algorithm == -7 else (48, 2)
        x, y = numbers.x.to_bytes(size, "big"), numbers.y.to_bytes(size, "big")
        return {1: 2, 3: self.algorithm, -1: curve, -2: x, -3: y}

    def _sign(self, data: bytes) -> bytes:
        if self.algorithm == -8:
            return self.key.sign(data)
        if self.algorithm == -257:
            return self.key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        return self.key.sign(data, ec.ECDSA(hashes.SHA256()))
