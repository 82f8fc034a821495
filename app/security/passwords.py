"""Hashing, verifying and judging passwords. The only module that knows bcrypt.

A stored password reads ``hs384$<pepper id>$<bcrypt hash>``: the password in
NFC goes through HMAC-SHA-384 and base64 before bcrypt, which alone would stop
at 72 bytes. The key of the HMAC is a pepper, kept outside the database, or a
fixed one where none is set (then the id is ``-``). A plain ``$2b$…`` hash of
another system verifies as well, and is outdated.
"""

import base64
import hmac
import logging
import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import bcrypt

from app.errors import Message, ValidationFailed
from app.models import User
from app.security import hashing_pool
from config import settings

log = logging.getLogger(__name__)

MAX_LENGTH = 100

SCHEME = "hs384"
NO_PEPPER = "-"
# Not a secret: it only keeps this use of HMAC apart from any other.
FIXED_KEY = b"user system: password before bcrypt"

# 2a, 2b and 2y are the same algorithm under the names of different implementations.
# The salt's 22nd character carries two bits; bcrypt raises where it carries more.
BCRYPT_HASH = re.compile(r"\$2[aby]\$(?P<cost>[0-9]{2})\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")
STORED = re.compile(rf"{SCHEME}\$(?P<pepper>[A-Za-z0-9_]+|{NO_PEPPER})\$(?P<bcrypt>.+)")
# A hash of a cost beyond this is taken for corrupt: it would hold a core for half a minute.
MAX_COST = 17

# What people put around a name to make a password of it.
AFFIXES = "0123456789!?.,-_*#$@ "


@dataclass(frozen=True)
class Verdict:
    """Whether the password was right, and whether its hash should be made anew."""

    is_right: bool
    is_outdated: bool = False


def hash(password: str) -> str:
    """The password as it is stored, by the newest pepper and today's cost.

    Takes a quarter of a second in the hashing pool; raises ``Overloaded``.
    """
    pepper = _newest_pepper()
    salt = bcrypt.gensalt(settings.bcrypt_rounds)
    hashed = hashing_pool.run(bcrypt.hashpw, _keyed(password, pepper), salt)
    return f"{SCHEME}${pepper}${hashed.decode()}"


def verify(password: str, stored: str | None) -> Verdict:
    """Compare a password with a stored one; ``None`` is a user who has none, or no user.

    Takes the same time whatever is stored, corrupt hashes and cheaper ones of
    other systems included, so that the answer's time says nothing of it.
    Raises ``Overloaded``.
    """
    known = _read(stored)
    compared = known or _nobodys()
    presented = _keyed(password, compared.pepper) if compared.pepper else _cut_at_72(password)
    is_right = hashing_pool.run(_compare, presented, compared, settings.bcrypt_rounds)

    if known is None or not is_right:
        return Verdict(is_right=False)
    is_current = known.pepper == _newest_pepper() and known.cost == settings.bcrypt_rounds
    return Verdict(is_right=True, is_outdated=not is_current)


def flaw(password: str) -> Message | None:
    """Why nobody should have this password, or ``None`` (NIST SP 800-63B-4 §3.1.1.2)."""
    length = len(_normal(password))
    if length < settings.password_min_length:
        return Message(
            "password_too_short",
            "Must have at least %(least)d characters. A few unrelated words are easy to remember.",
            least=settings.password_min_length,
        )
    if length > MAX_LENGTH:
        return Message(
            "password_too_long", "Must have at most %(most)d characters.", most=MAX_LENGTH
        )
    if settings.password_reject_common and _is_common(_normal(password).casefold()):
        return Message(
            "password_common",
            "Is among the first that an attacker tries. Choose a few unrelated words.",
        )
    return None


def identity_flaw(password: str, *, email: str, username: str) -> Message | None:
    """Why this person should not have this password, or ``None``."""
    if not settings.password_reject_common:
        return None
    word = _normal(password).casefold()
    local, _, domain = email.partition("@")
    for name in (email, local, username.casefold(), domain):
        # Digits and signs around a name, the name twice or backwards, are the first guesses.
        core = name.strip(AFFIXES) or name
        guesses = {form for base in (name, core) for form in (base, base * 2, base[::-1])}
        if word in guesses or word.strip(AFFIXES) in guesses:
            return Message(
                "password_like_identity",
                "Is too much like the email address or username. Choose a few unrelated words.",
            )
    return None


def refuse_like_identity(password: str, user: User, *, field: str) -> None:
    """Raises ``ValidationFailed`` about the field where ``identity_flaw`` finds one."""
    if found := identity_flaw(password, email=user.email, username=user.username):
        raise ValidationFailed([found.at([field])])


def are_same(one: str, other: str) -> bool:
    """Whether two spellings are the same password."""
    return _normal(one) == _normal(other)


@dataclass(frozen=True)
class _Known:
    """A stored hash, taken apart. ``pepper`` is ``None`` for a plain bcrypt hash."""

    pepper: str | None
    bcrypt: str
    cost: int


def _read(stored: str | None) -> _Known | None:
    """``None`` for whatever cannot be verified."""
    tagged = STORED.fullmatch(stored or "")
    found = BCRYPT_HASH.fullmatch(tagged["bcrypt"] if tagged else stored or "")
    if found is None or not 4 <= int(found["cost"]) <= MAX_COST:
        return None
    pepper = tagged["pepper"] if tagged else None
    if pepper is not None and pepper != NO_PEPPER and pepper not in settings.password_peppers:
        log.error("a password is hashed with pepper %r, which PASSWORD_PEPPERS lacks", pepper)
        return None
    return _Known(pepper, found[0], int(found["cost"]))


def _compare(presented: bytes, stored: _Known, cost: int) -> bool:
    is_right = bcrypt.checkpw(presented, stored.bcrypt.encode())
    for missing in range(stored.cost, cost):
        # 2^c + 2^c + 2^(c+1) + … makes up the rounds that a cheaper hash saves.
        bcrypt.hashpw(b"", bcrypt.gensalt(missing))
    return is_right


def _newest_pepper() -> str:
    return next(iter(settings.password_peppers), NO_PEPPER)


def _nobodys() -> _Known:
    """What is compared when there is nothing to compare: the form of a hash, and its cost."""
    cost = settings.bcrypt_rounds
    return _Known(_newest_pepper(), f"$2b${cost:02}${'.' * 53}", cost)


def _normal(password: str) -> str:
    return unicodedata.normalize("NFC", password)


def _keyed(password: str, pepper: str) -> bytes:
    key = FIXED_KEY if pepper == NO_PEPPER else settings.password_peppers[pepper].encode()
    digest = hmac.digest(key, _normal(password).encode(), "sha384")
    return base64.b64encode(digest)


def _cut_at_72(password: str) -> bytes:
    """As the systems that made plain bcrypt hashes did: they cut silently, bcrypt 5 raises."""
    return _normal(password).encode()[:72]


ROWS = ("1234567890", "abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm")


def _is_common(word: str) -> bool:
    return (
        word in _common_passwords()
        or _is_common_word_repeated(word)
        or any(
            word in direction * (MAX_LENGTH // len(row) + 2)
            for row in ROWS
            for direction in (row, row[::-1])
        )
    )


def _is_common_word_repeated(word: str) -> bool:
    """``passwordpassword``, ``aaaaaaaaaaaa``: the list holds only what people typed once."""
    return any(
        word[:size] * (len(word) // size) == word
        and (size < 4 or word[:size] in _common_passwords())
        for size in range(1, len(word) // 2 + 1)
        if len(word) % size == 0
    )


@cache
def _common_passwords() -> frozenset[str]:
    """zxcvbn's ranked list, those of 8 characters and more (see docs/security.md)."""
    listed = Path(__file__).with_name("common_passwords.txt").read_text(encoding="utf-8")
    return frozenset(listed.splitlines())
