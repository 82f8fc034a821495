"""The keys that sign and verify tokens. They are read once and looked up in a fixed map.

With HS256 there is one key, ``SECRET_KEY``, which has no id. With other
algorithms the keys are the files in ``SIGNING_KEYS_DIR``:

- ``<key id>.pem``: a private key. The key that ``SIGNING_KEY_ID`` names signs.
  The others only verify, until the setting names them.
- ``<key id>.until-<seconds>.pem``: the public half of a retired key. It
  verifies until that instant (seconds since 1970). By then the last token
  that the key signed has expired.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from flask import Flask, current_app
from jwt import PyJWS
from jwt.algorithms import HMACAlgorithm, get_default_algorithms
from jwt.exceptions import InvalidKeyError

from app import clock
from config import Settings, SettingsRefused
from configuration.values import KEY_ID

FILE_NAME = re.compile(rf"(?P<id>{KEY_ID.pattern})(\.until-(?P<until>[0-9]{{1,12}}))?\.pem")
MIN_RSA_BITS = 2048


class HMAC(HMACAlgorithm):
    """PyJWT's HMAC, for a secret that was checked at the start and is kept as bytes.

    PyJWT itself tests for each token whether the secret looks like a key of
    another kind, which takes longer than the signature.
    """

    def prepare_key(self, key: str | bytes) -> bytes:
        return key if isinstance(key, bytes) else super().prepare_key(key)


# PyJWT's common object stays as it is, because other code in this process may use it.
signatures = PyJWS(algorithms=["ES256", "RS256", "EdDSA"])
signatures.register_algorithm("HS256", HMAC(HMACAlgorithm.SHA256))


class UnfitKey(ValueError):
    """The file does not hold a key that can be used; the message says why."""


@dataclass(frozen=True)
class Key:
    """One key. A retired key has ``until``, and its private half was deleted."""

    id: str
    algorithm: str
    private: PrivateKeyTypes | None
    public: PublicKeyTypes
    until: datetime | None
    path: Path

    @property
    def verifies(self) -> bool:
        return self.until is None or clock.now() < self.until


@dataclass(frozen=True, eq=False)
class KeyRing:
    """The key with which this process signs, and the keys that it accepts."""

    algorithm: str
    signing_key: Any
    header: dict[str, str]
    verifying: Mapping[Any, Key | bytes]

    def verifying_key(self, key_id: Any) -> Any:
        """Return the key with this id, or ``None``. A token names the id, so it is only compared.

        Nothing is read from a file or a URL that a token names.
        """
        key = self.verifying.get(key_id) if key_id is None or isinstance(key_id, str) else None
        if isinstance(key, Key):
            return key.public if key.verifies else None
        return key

    def jwk_set(self) -> dict[str, list[dict[str, Any]]]:
        """The public halves (RFC 7517 §5). A shared secret has none."""
        keys = [key for key in self.verifying.values() if isinstance(key, Key) and key.verifies]
        return {"keys": [_as_jwk(key) for key in keys]}


def init_app(app: Flask, settings: Settings) -> None:
    """Read the keys. Raises ``SettingsRefused`` if the application cannot start with them."""
    app.extensions["signing_keys"] = _key_ring(settings)


def current() -> KeyRing:
    """Return the keys of the current application."""
    ring: KeyRing = current_app.extensions["signing_keys"]
    return ring


def read_all(folder: Path) -> list[Key]:
    """Read every key in the folder. Raises ``UnfitKey`` for a file that does not hold one."""
    return [_read(path) for path in sorted(folder.glob("*.pem"))]


def generate(folder: Path, key_id: str, algorithm: str) -> Key:
    """Make a private key that only the owner of its file can read.

    Raises ``FileExistsError`` if another key, or a retired one, has this id.
    """
    if any(folder.glob(f"{key_id}.until-*.pem")):
        raise FileExistsError
    private: PrivateKeyTypes
    match algorithm:
        case "ES256":
            private = ec.generate_private_key(ec.SECP256R1())
        case "RS256":
            private = rsa.generate_private_key(public_exponent=65537, key_size=3072)
        case _:
            private = ed25519.Ed25519PrivateKey.generate()
    path = folder / f"{key_id}.pem"
    _write(
        path,
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
    return _read(path)


def retire(key: Key, until: datetime) -> Key:
    """Keep the public half of the key until this moment, and delete the private half."""
    path = key.path.with_name(f"{key.id}.until-{int(until.timestamp())}.pem")
    _write(
        path,
        key.public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
    )
    key.path.unlink()
    return _read(path)


def longest_token_life(settings: Settings) -> timedelta:
    """Return how long a token that is signed now can be used at most."""
    longest = max(
        settings.access_token_lifetime,
        min(settings.refresh_token_lifetime, settings.session_max_age),
    )
    return longest + timedelta(minutes=1)


def _key_ring(settings: Settings) -> KeyRing:
    if settings.algorithm == "HS256":
        secret = _checked(settings.secret_key)
        return KeyRing("HS256", secret, {}, {None: secret})
    try:
        found = read_all(settings.signing_keys_dir or Path())
    except (OSError, UnfitKey) as error:
        raise SettingsRefused(f"SIGNING_KEYS_DIR {error}") from None
    # If retiring a key was interrupted, both files exist. Then the key counts as retired.
    keys = {key.id: key for key in found}
    for key in found:
        if key.public != keys[key.id].public:
            raise SettingsRefused(
                f"SIGNING_KEYS_DIR holds two different keys with the id {key.id}. Remove one."
            )
        if key.algorithm != settings.algorithm:
            raise SettingsRefused(
                f"SIGNING_KEYS_DIR holds {key.path.name}, a key for {key.algorithm}, where "
                f"ALGORITHM is {settings.algorithm}. Keep one kind of key in a folder."
            )
    signing = keys.get(settings.signing_key_id)
    if signing is None or signing.private is None:
        fit = ", ".join(key.id for key in keys.values() if key.private) or "(the folder has none)"
        raise SettingsRefused(
            f"SIGNING_KEY_ID is {settings.signing_key_id!r}, and {settings.signing_keys_dir} "
            f"has no private key with this id. Write one of: {fit}."
        )
    return KeyRing(settings.algorithm, signing.private, {"kid": signing.id}, keys)


def _checked(secret: str) -> bytes:
    try:
        return HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(secret)
    except InvalidKeyError:
        raise SettingsRefused(
            "SECRET_KEY looks like a public key, a certificate or a JWK, which other people may "
            "know. Write a random text instead."
        ) from None


def _read(path: Path) -> Key:
    named = FILE_NAME.fullmatch(path.name)
    if named is None:
        raise UnfitKey(
            f"holds {path.name}, and this name is not a key id followed by .pem. "
            "A key id consists of letters, digits, _ and -."
        )
    try:
        if named["until"] is None:
            private = serialization.load_pem_private_key(path.read_bytes(), password=None)
            public = private.public_key()
        else:
            private, public = None, serialization.load_pem_public_key(path.read_bytes())
        until = datetime.fromtimestamp(int(named["until"]), UTC) if named["until"] else None
    except (ValueError, TypeError, OverflowError) as error:
        raise UnfitKey(
            f"holds {path.name}, which cannot be read as a key without a password: {error}"
        ) from None
    return Key(named["id"], _algorithm_of(public, path), private, public, until, path)


def _algorithm_of(public: PublicKeyTypes, path: Path) -> str:
    if isinstance(public, ec.EllipticCurvePublicKey) and isinstance(public.curve, ec.SECP256R1):
        return "ES256"
    if isinstance(public, rsa.RSAPublicKey) and public.key_size >= MIN_RSA_BITS:
        return "RS256"
    if isinstance(public, ed25519.Ed25519PublicKey):
        return "EdDSA"
    raise UnfitKey(
        f"holds {path.name}. A key must be a P-256 key, an Ed25519 key, or an RSA key of at least "
        f"{MIN_RSA_BITS} bits."
    )


def _as_jwk(key: Key) -> dict[str, Any]:
    algorithm: Any = get_default_algorithms()[key.algorithm]
    jwk: dict[str, Any] = json.loads(algorithm.to_jwk(key.public))
    jwk.pop("key_ops", None)
    return {**jwk, "kid": key.id, "use": "sig", "alg": key.algorithm}


def _write(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
