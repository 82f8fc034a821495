"""Hashing, verifying and judging passwords. The only module that knows bcrypt.

A stored password reads ``hs384$<pepper id>$<bcrypt hash>``: the password in
NFC goes through HMAC-SHA-384 and base64 before bcrypt, which alone would stop
at 72 bytes. The key of the HMAC is a pepper, kept outside the database, or a
fixed one where none is set (then the id is ``-``). A plain ``$2b$…`` hash of
another system verifies as well, and so does whatever ``foreign_hashes`` can
read; all of them are outdated.
"""

import base64
import hmac
import logging
import re
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

import bcrypt

from app.security.passwords import foreign_hashes, pool
from app.security.passwords.foreign_hashes import AroundBcrypt, Unverifiable
from config import settings

log = logging.getLogger(__name__)

# A password that is checked may be another system's, and longer. Beyond this it is wrong.
MAX_CHECKED_LENGTH = 1000


SCHEME = "hs384"
NO_PEPPER = "-"
# Not a secret: it only keeps this use of HMAC apart from any other.
FIXED_KEY = b"user system: password before bcrypt"

# 2a, 2b and 2y are the same algorithm under the names of different implementations.
# The salt's 22nd character carries two bits; bcrypt raises where it carries more.
BCRYPT_HASH = re.compile(r"\$2[aby]\$(?P<cost>[0-9]{2})\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")
STORED = re.compile(rf"{SCHEME}\$(?P<pepper>[A-Za-z0-9_]+|{NO_PEPPER})\$(?P<bcrypt>.+)")
# The least that bcrypt knows, and the most that BCRYPT_ROUNDS may ask for. A hash of a higher cost
# counts as corrupt: each step doubles the time, and a cost of 15 takes two to three seconds.
MIN_COST, MAX_COST = 4, 15


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
    hashed = pool.run(bcrypt.hashpw, _keyed(pepper)(password), salt)
    return f"{SCHEME}${pepper}${hashed.decode()}"


def verify(password: str, stored: str | None) -> Verdict:
    """Compare a password with a stored one; ``None`` is a user who has none, or no user.

    Takes the same time whatever is stored, corrupt hashes and cheaper ones of
    other systems included, so that the answer's time says nothing of it. Only
    a hash that is dearer than today's cannot hide. A password that is too long
    to be anybody's is wrong at the same cost. Raises ``Overloaded``.
    """
    is_possible = len(password) <= MAX_CHECKED_LENGTH
    spellings = dict.fromkeys([password, _normal(password)] if is_possible else [""])
    known, is_right = None, False
    if stored is not None:
        try:
            known = _read(stored)
            is_right = _compare_in_pool(list(spellings), known)
        except Unverifiable as reason:
            known = None
            log.error("a stored password cannot be verified: %s", reason)
    if known is None:
        _compare_in_pool(list(spellings), _nobodys())

    if known is None or not is_possible or not is_right:
        return Verdict(is_right=False)
    is_current = known.pepper == _newest_pepper() and known.cost == settings.bcrypt_rounds
    return Verdict(is_right=True, is_outdated=not is_current)


def objection(stored: str) -> str | None:
    """The code of why no login could be checked against this, or ``None`` where one could."""
    try:
        _read(stored)
    except Unverifiable as reason:
        return reason.code
    return None


@dataclass(frozen=True)
class _Known:
    """A stored hash that can be compared.

    ``cost`` is bcrypt's, ``None`` where only the clock can tell what a
    comparison costs; ``pepper`` is that of a hash of our own scheme.
    """

    matches: Callable[[str], bool]
    cost: int | None = None
    pepper: str | None = None


def _read(stored: str) -> _Known:
    """Raises ``Unverifiable``."""
    if tagged := STORED.fullmatch(stored):
        pepper = tagged["pepper"]
        if pepper != NO_PEPPER and pepper not in settings.password_peppers:
            raise Unverifiable(
                "pepper_missing",
                f"it is hashed with pepper {pepper!r}, which PASSWORD_PEPPERS lacks",
            )
        return _bcrypt(tagged["bcrypt"], _keyed(pepper), pepper)
    foreign = foreign_hashes.read(stored)
    if isinstance(foreign, AroundBcrypt):
        # As the systems that made it did: they cut silently, bcrypt 5 raises.
        return _bcrypt(foreign.bcrypt, lambda password: foreign.prepare(password)[:72])
    return _Known(foreign.matches)


def _bcrypt(hashed: str, presented: Callable[[str], bytes], pepper: str | None = None) -> _Known:
    found = BCRYPT_HASH.fullmatch(hashed)
    if found is None or int(found["cost"]) < MIN_COST:
        raise Unverifiable("unknown_hash", "its form is not known, or it is damaged")
    if int(found["cost"]) > MAX_COST:
        raise Unverifiable("hash_too_costly", "it asks for more time than a login may")
    return _Known(
        lambda password: bcrypt.checkpw(presented(password), hashed.encode()),
        int(found["cost"]),
        pepper,
    )


def _compare_in_pool(spellings: list[str], known: _Known) -> bool:
    return pool.run(_compare, spellings, known, settings.bcrypt_rounds)


def _compare(spellings: list[str], known: _Known, rounds: int) -> bool:
    """Whether the password is right as it was typed, or else in NFC.

    Other systems hashed what was typed, and a keyboard may compose today what
    another did not. The work is the same for every kind of hash: ours are of
    the NFC either way.
    """
    return any(_compare_one(spelling, known, rounds) for spelling in spellings)


def _compare_one(password: str, known: _Known, rounds: int) -> bool:
    begun = time.perf_counter()
    is_right = known.matches(password)
    took = time.perf_counter() - begun
    _make_up(2**rounds - (_rounds_in(took, rounds) if known.cost is None else 2**known.cost))
    return is_right


def _rounds_in(seconds: float, rounds: int) -> int:
    """How many of bcrypt's rounds this machine does in that time, as an eighth of them tells.

    That eighth is work as well, and counted.
    """
    eighth = max(rounds - 3, MIN_COST)
    begun = time.perf_counter()
    bcrypt.hashpw(b"", bcrypt.gensalt(eighth))
    return int(2**eighth * (1 + seconds / (time.perf_counter() - begun)))


def _make_up(missing: int) -> None:
    """Do as many of bcrypt's rounds as a cheaper hash has saved, to the nearest 16."""
    for cost in range(MIN_COST, max(missing, 0).bit_length()):
        if missing >> cost & 1:
            bcrypt.hashpw(b"", bcrypt.gensalt(cost))


def _newest_pepper() -> str:
    return next(iter(settings.password_peppers), NO_PEPPER)


def _nobodys() -> _Known:
    """What is compared when there is nothing to compare: the form of a hash, and its cost."""
    pepper = _newest_pepper()
    hashed = f"$2b${settings.bcrypt_rounds:02}${'.' * 53}"
    return _bcrypt(hashed, _keyed(pepper), pepper)


def _normal(password: str) -> str:
    return unicodedata.normalize("NFC", password)


def _keyed(pepper: str) -> Callable[[str], bytes]:
    """What a password becomes before bcrypt.

    The key is looked up here: the threads of the hashing pool know no settings.
    """
    key = FIXED_KEY if pepper == NO_PEPPER else settings.password_peppers[pepper].encode()

    def keyed(password: str) -> bytes:
        return base64.b64encode(hmac.digest(key, _normal(password).encode(), "sha384"))

    return keyed
