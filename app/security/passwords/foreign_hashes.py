"""The hashes of other systems. Passwords are compared with them; none is ever made here.

``hashing.py`` passes every hash here that is not in our own form. For a hash
that uses bcrypt, this module only prepares the password; bcrypt runs there.

Three tags are ours. An import puts them before the hashes of Flask-Security
and Firebase, because those do not say how they were made:

    flask-security$<passlib hash>          of an HMAC of the password
    flask-security-single$<passlib hash>   of the password (SECURITY_PASSWORD_SINGLE_HASH)
    firebase-scrypt$<rounds>$<memory cost>$<salt separator>$<salt>$<hash>
"""

import base64
import binascii
import hashlib
import hmac
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from argon2.exceptions import Argon2Error
from argon2.low_level import Type, hash_secret_raw
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from app.http.strict_json import is_storable
from config import settings

# A hash counts as corrupt if it needs more memory than this, or more than about three seconds of a
# busy core (measured; half of that on an idle core). Otherwise one login could make a server
# unusable. A password that was not typed in NFC is compared twice, which doubles the time.
MAX_MEMORY_BYTES = 256 * 2**20
MAX_SCRYPT_WORK = 2**21  # N × r × p
MAX_SCRYPT_LANES = 64  # p; with a small N, each lane costs far more than N × r × p says
MAX_PBKDF2_ITERATIONS = {"sha1": 8_000_000, "sha256": 8_000_000, "sha512": 3_500_000}
MAX_ARGON2_WORK = 2**21  # passes × KiB
MAX_ARGON2_LANES = 16  # each is a thread
MAX_ARGON2_STARTS = 1024  # passes × lanes: every pass starts its threads four times

ARGON2 = {"argon2id": Type.ID, "argon2i": Type.I}
# Shorter digests are refused: one of a single byte would match every 256th password.
MIN_DIGEST_BYTES, MAX_DIGEST_BYTES = 16, 64

NUMBER = "[1-9][0-9]{0,8}"
BASE64 = "[A-Za-z0-9+/]+={0,2}"


class Unverifiable(ValueError):
    """No password can be compared with this stored hash. ``code`` tells programs the reason."""

    def __init__(self, code: str, sentence: str) -> None:
        self.code = code
        super().__init__(sentence)


@dataclass(frozen=True)
class ForeignHash:
    """A hash of another system: how to derive a digest from a password, and the right digest."""

    derive: Callable[[str], bytes]
    expected: bytes

    def matches(self, password: str) -> bool:
        """Raises ``Unverifiable`` if the library refuses the hash, or memory runs out."""
        try:
            derived = self.derive(password)
        except (ValueError, OverflowError, MemoryError, Argon2Error) as error:
            raise Unverifiable(
                "unknown_hash", f"the library for this hash refuses it ({type(error).__name__})"
            ) from None
        return hmac.compare_digest(derived, self.expected)


@dataclass(frozen=True)
class AroundBcrypt:
    """A hash of another system that uses bcrypt: what to do before bcrypt, and bcrypt's hash."""

    prepare: Callable[[str], bytes]
    bcrypt: str


Prepare = Callable[[str], bytes]
Read = Callable[[re.Match[str], Prepare], ForeignHash]


def read(stored: str) -> ForeignHash | AroundBcrypt:
    """Read the parts of a stored hash, and compute nothing. Raises ``Unverifiable``.

    Settings are read here: the threads of the hashing pool have no access to them.
    """
    if not is_storable(stored):
        # An imported file may contain a lone surrogate, which UTF-8 cannot encode.
        raise _unknown()
    if stored.startswith("flask-security$"):
        return _read(stored.removeprefix("flask-security$"), _flask_security_hmac())
    if stored.startswith("flask-security-single$"):
        return _read(stored.removeprefix("flask-security-single$"), _nfkd)
    if stored.startswith("bcrypt_sha256$"):
        return AroundBcrypt(_sha256_hex, stored.removeprefix("bcrypt_sha256$"))
    if stored.startswith("bcrypt$"):
        return AroundBcrypt(str.encode, stored.removeprefix("bcrypt$"))
    return _read(stored, str.encode)


def _read(stored: str, prepare: Prepare) -> ForeignHash | AroundBcrypt:
    if stored.startswith("$2"):
        return AroundBcrypt(prepare, stored)
    for form, reader in FORMS:
        if found := form.fullmatch(stored):
            return reader(found, prepare)
    raise _unknown()


def _unknown() -> Unverifiable:
    return Unverifiable("unknown_hash", "the form of the hash is not known, or it is damaged")


def _refuse_too_costly(*, memory: int = 0, work: int, most: int) -> None:
    if memory > MAX_MEMORY_BYTES or work > most:
        raise Unverifiable("hash_too_costly", "it needs more time or memory than a login may take")


def _flask_security_hmac() -> Prepare:
    if not settings.security_password_salt:
        raise Unverifiable(
            "setting_missing", "a hash of Flask-Security needs the setting SECURITY_PASSWORD_SALT"
        )
    key = settings.security_password_salt.encode()
    return lambda password: base64.b64encode(hmac.digest(key, _nfkd(password), "sha512"))


def _nfkd(password: str) -> bytes:
    """Normalise as Flask-Security does by default (``SECURITY_PASSWORD_NORMALIZE_FORM``)."""
    return unicodedata.normalize("NFKD", password).encode()


def _sha256_hex(password: str) -> bytes:
    return hashlib.sha256(password.encode()).hexdigest().encode()


def _werkzeug_scrypt(found: re.Match[str], prepare: Prepare) -> ForeignHash:
    n, r, p = int(found["n"]), int(found["r"]), int(found["p"])
    return _scrypt(prepare, found["salt"].encode(), n, r, p, bytes.fromhex(found["hash"]))


def _django_scrypt(found: re.Match[str], prepare: Prepare) -> ForeignHash:
    n, r, p = int(found["n"]), int(found["r"]), int(found["p"])
    return _scrypt(prepare, found["salt"].encode(), n, r, p, _from_base64(found["hash"]))


def _scrypt(prepare: Prepare, salt: bytes, n: int, r: int, p: int, expected: bytes) -> ForeignHash:
    if n < 2 or n & (n - 1) or n.bit_length() > 16 * r:
        raise _unknown()
    # OpenSSL counts N blocks, one block for each lane, and two blocks to work in.
    memory = 128 * r * (n + p + 2)
    _refuse_too_costly(memory=memory, work=n * r * p, most=MAX_SCRYPT_WORK)
    _refuse_too_costly(work=p, most=MAX_SCRYPT_LANES)

    def derive(password: str) -> bytes:
        return hashlib.scrypt(
            prepare(password),
            salt=salt,
            n=n,
            r=r,
            p=p,
            maxmem=memory + 2**20,
            dklen=64,
        )

    return _foreign(derive, expected, length=64)


def _werkzeug_pbkdf2(found: re.Match[str], prepare: Prepare) -> ForeignHash:
    return _pbkdf2(found, prepare, found["salt"].encode(), bytes.fromhex(found["hash"]))


def _django_pbkdf2(found: re.Match[str], prepare: Prepare) -> ForeignHash:
    return _pbkdf2(found, prepare, found["salt"].encode(), _from_base64(found["hash"]))


def _passlib_pbkdf2(found: re.Match[str], prepare: Prepare) -> ForeignHash:
    salt, expected = (_from_base64(found[name].replace(".", "+")) for name in ("salt", "hash"))
    return _pbkdf2(found, prepare, salt, expected)


def _pbkdf2(found: re.Match[str], prepare: Prepare, salt: bytes, expected: bytes) -> ForeignHash:
    iterations, digest = int(found["iterations"]), found["digest"]
    _refuse_too_costly(work=iterations, most=MAX_PBKDF2_ITERATIONS[digest])

    def derive(password: str) -> bytes:
        return hashlib.pbkdf2_hmac(digest, prepare(password), salt, iterations)

    return _foreign(derive, expected, length=hashlib.new(digest, usedforsecurity=False).digest_size)


def _argon2(found: re.Match[str], prepare: Prepare) -> ForeignHash:
    memory, passes, lanes = int(found["m"]), int(found["t"]), int(found["p"])
    salt, expected = _from_base64(found["salt"]), _from_base64(found["hash"])
    if memory < 8 * lanes or len(salt) < 8:
        raise _unknown()
    _refuse_too_costly(memory=memory * 1024, work=memory * passes, most=MAX_ARGON2_WORK)
    _refuse_too_costly(work=lanes, most=MAX_ARGON2_LANES)
    _refuse_too_costly(work=passes * lanes, most=MAX_ARGON2_STARTS)

    def derive(password: str) -> bytes:
        secret = prepare(password)
        variant = ARGON2[found["variant"]]
        return hash_secret_raw(secret, salt, passes, memory, lanes, len(expected), variant)

    return _foreign(derive, expected)


def _firebase(found: re.Match[str], _prepare: Prepare) -> ForeignHash:
    if not settings.firebase_signer_key:
        raise Unverifiable("setting_missing", "a hash of Firebase needs FIREBASE_SIGNER_KEY")
    signer_key = base64.b64decode(settings.firebase_signer_key)
    salt = _from_base64(found["salt"]) + _from_base64(found["separator"])
    n, r = 2 ** int(found["memory"]), int(found["rounds"])
    key_of = _scrypt(str.encode, salt, n, r, 1, bytes(64)).derive

    def derive(password: str) -> bytes:
        # Firebase stores the project's key, encrypted with a key that the password gives.
        encrypted = Cipher(algorithms.AES256(key_of(password)[:32]), modes.CTR(bytes(16)))
        return encrypted.encryptor().update(signer_key)

    return _foreign(derive, _from_base64(found["hash"]), length=len(signer_key))


FORMS: tuple[tuple[re.Pattern[str], Read], ...] = (
    (
        re.compile(
            rf"scrypt:(?P<n>{NUMBER}):(?P<r>{NUMBER}):(?P<p>{NUMBER})"
            r"\$(?P<salt>[^$]+)\$(?P<hash>[0-9a-f]{128})"
        ),
        _werkzeug_scrypt,
    ),
    (
        re.compile(
            rf"scrypt\$(?P<n>{NUMBER})\$(?P<salt>[^$]+)\$(?P<r>{NUMBER})\$(?P<p>{NUMBER})"
            rf"\$(?P<hash>{BASE64})"
        ),
        _django_scrypt,
    ),
    (
        re.compile(
            rf"pbkdf2:(?P<digest>sha1|sha256|sha512):(?P<iterations>{NUMBER})"
            r"\$(?P<salt>[^$]+)\$(?P<hash>(?:[0-9a-f]{2})+)"
        ),
        _werkzeug_pbkdf2,
    ),
    (
        re.compile(
            rf"pbkdf2_(?P<digest>sha1|sha256)\$(?P<iterations>{NUMBER})"
            rf"\$(?P<salt>[^$]+)\$(?P<hash>{BASE64})"
        ),
        _django_pbkdf2,
    ),
    (
        re.compile(
            rf"\$pbkdf2-(?P<digest>sha256|sha512)\$(?P<iterations>{NUMBER})"
            r"\$(?P<salt>[A-Za-z0-9./]+)\$(?P<hash>[A-Za-z0-9./]+)"
        ),
        _passlib_pbkdf2,
    ),
    (
        # The form of the Password Hashing Competition; Django writes its own name before it.
        re.compile(
            r"(?:argon2)?\$(?P<variant>argon2id|argon2i)\$v=19"
            rf"\$m=(?P<m>{NUMBER}),t=(?P<t>{NUMBER}),p=(?P<p>{NUMBER})"
            r"\$(?P<salt>[A-Za-z0-9+/]+)\$(?P<hash>[A-Za-z0-9+/]+)"
        ),
        _argon2,
    ),
    (
        re.compile(
            r"firebase-scrypt\$(?P<rounds>[1-9][0-9]?)\$(?P<memory>[1-9][0-9]?)"
            rf"\$(?P<separator>(?:{BASE64})?)\$(?P<salt>{BASE64})\$(?P<hash>{BASE64})"
        ),
        _firebase,
    ),
)


def _foreign(
    derive: Callable[[str], bytes], expected: bytes, *, length: int | None = None
) -> ForeignHash:
    fits = MIN_DIGEST_BYTES <= len(expected) <= MAX_DIGEST_BYTES
    if not fits or length not in (None, len(expected)):
        raise _unknown()
    return ForeignHash(derive, expected)


def _from_base64(text: str) -> bytes:
    """Decode base64 with or without padding."""
    bare = text.rstrip("=")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except binascii.Error:
        raise _unknown() from None
