"""Hashing and verifying passwords. The only module that uses bcrypt.

A stored password has the form ``hs384$<pepper id>$<bcrypt hash>``. The
password in NFC goes through HMAC-SHA-384 and base64 before bcrypt, because
bcrypt alone uses only the first 72 bytes. The key of the HMAC is a pepper,
which is kept outside the database. If no pepper is set, the key is a fixed one
and the id is ``-``. A plain ``$2b$…`` hash of another system can be verified
as well, and so can every hash that ``foreign_hashes`` can read. All of these
count as outdated.
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

# At a login the password may be longer than one that can be set here, because it may come from
# another system. A password that is longer than this is wrong.
MAX_CHECKED_LENGTH = 1000


SCHEME = "hs384"
NO_PEPPER = "-"
# This is not a secret. It only makes this use of HMAC different from any other.
FIXED_KEY = b"user system: password before bcrypt"

# 2a, 2b and 2y are the same algorithm under the names of different implementations.
# The 22nd character of the salt has two bits of the salt; bcrypt raises an error if it has more.
BCRYPT_HASH = re.compile(r"\$2[aby]\$(?P<cost>[0-9]{2})\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")
STORED = re.compile(rf"{SCHEME}\$(?P<pepper>[A-Za-z0-9_]+|{NO_PEPPER})\$(?P<bcrypt>.+)")
# The lowest cost of bcrypt, and the highest value of BCRYPT_ROUNDS. A hash with a higher cost
# counts as corrupt: each step doubles the time, and a cost of 15 takes two to three seconds.
MIN_COST, MAX_COST = 4, 15


@dataclass(frozen=True)
class Verdict:
    """Whether the password was right, and whether it should be hashed again in today's form."""

    is_right: bool
    is_outdated: bool = False


def hash(password: str) -> str:
    """Hash a password for storing, with the newest pepper and today's cost.

    This takes a quarter of a second in the hashing pool. Raises ``Overloaded``.
    """
    pepper = _newest_pepper()
    salt = bcrypt.gensalt(settings.bcrypt_rounds)
    hashed = pool.run(bcrypt.hashpw, _keyed(pepper)(password), salt)
    return f"{SCHEME}${pepper}${hashed.decode()}"


def verify(password: str, stored: str | None) -> Verdict:
    """Compare a password with a stored hash. Raises ``Overloaded``.

    ``stored`` is ``None`` if the user has no password, or if there is no user.
    The time is the same whatever is stored, even for a corrupt hash or a
    cheaper one of another system, so that the time of the answer does not tell
    which it was. Only a hash that costs more than today's takes longer. A
    password that is too long to be anybody's is wrong after the same time.
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
    """Return why no login can be checked against this hash, as a code.

    Returns ``None`` if the hash can be used.
    """
    try:
        _read(stored)
    except Unverifiable as reason:
        return reason.code
    return None


@dataclass(frozen=True)
class _Known:
    """A stored hash with which a password can be compared.

    ``cost`` is the cost of bcrypt. It is ``None`` for a hash of another kind,
    for which the time of the comparison must be measured. ``pepper`` is the
    id of the pepper, if the hash has our own form.
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
                f"it was hashed with pepper {pepper!r}, which is not in PASSWORD_PEPPERS",
            )
        return _bcrypt(tagged["bcrypt"], _keyed(pepper), pepper)
    foreign = foreign_hashes.read(stored)
    if isinstance(foreign, AroundBcrypt):
        # The systems that made the hash used only the first 72 bytes. bcrypt 5 raises an error
        # for more.
        return _bcrypt(foreign.bcrypt, lambda password: foreign.prepare(password)[:72])
    return _Known(foreign.matches)


def _bcrypt(hashed: str, presented: Callable[[str], bytes], pepper: str | None = None) -> _Known:
    found = BCRYPT_HASH.fullmatch(hashed)
    if found is None or int(found["cost"]) < MIN_COST:
        raise Unverifiable("unknown_hash", "the form of the hash is not known, or it is damaged")
    if int(found["cost"]) > MAX_COST:
        raise Unverifiable("hash_too_costly", "it needs more time than a login may take")
    return _Known(
        lambda password: bcrypt.checkpw(presented(password), hashed.encode()),
        int(found["cost"]),
        pepper,
    )


def _compare_in_pool(spellings: list[str], known: _Known) -> bool:
    return pool.run(_compare, spellings, known, settings.bcrypt_rounds)


def _compare(spellings: list[str], known: _Known, rounds: int) -> bool:
    """Whether the password is right, either as it was typed or in NFC.

    Other systems hashed the password as it was typed, and the keyboard of
    today may combine an accent with its letter where that of then did not. A
    hash in our own form is of the NFC, so one comparison would do; it gets two
    as well, so that every kind of hash takes the same work.
    """
    return any(_compare_one(spelling, known, rounds) for spelling in spellings)


def _compare_one(password: str, known: _Known, rounds: int) -> bool:
    begun = time.perf_counter()
    is_right = known.matches(password)
    took = time.perf_counter() - begun
    _make_up(2**rounds - (_rounds_in(took, rounds) if known.cost is None else 2**known.cost))
    return is_right


def _rounds_in(seconds: float, rounds: int) -> int:
    """Return how many of bcrypt's rounds this machine does in this time.

    To measure it, one eighth of a hash is computed. This eighth is work too,
    so the result includes it.
    """
    eighth = max(rounds - 3, MIN_COST)
    begun = time.perf_counter()
    bcrypt.hashpw(b"", bcrypt.gensalt(eighth))
    return int(2**eighth * (1 + seconds / (time.perf_counter() - begun)))


def _make_up(missing: int) -> None:
    """Do the rounds of bcrypt that a cheaper hash has saved, rounded down to a multiple of 16."""
    for cost in range(MIN_COST, max(missing, 0).bit_length()):
        if missing >> cost & 1:
            bcrypt.hashpw(b"", bcrypt.gensalt(cost))


def _newest_pepper() -> str:
    return next(iter(settings.password_peppers), NO_PEPPER)


def _nobodys() -> _Known:
    """Return a hash that no password matches, with today's cost.

    It is compared if there is no stored hash, so that this takes the same time.
    """
    pepper = _newest_pepper()
    hashed = f"$2b${settings.bcrypt_rounds:02}${'.' * 53}"
    return _bcrypt(hashed, _keyed(pepper), pepper)


def _normal(password: str) -> str:
    return unicodedata.normalize("NFC", password)


def _keyed(pepper: str) -> Callable[[str], bytes]:
    """Return the function that prepares a password for bcrypt.

    The key is looked up here, because the threads of the hashing pool have no
    access to the settings.
    """
    key = FIXED_KEY if pepper == NO_PEPPER else settings.password_peppers[pepper].encode()

    def keyed(password: str) -> bytes:
        return base64.b64encode(hmac.digest(key, _normal(password).encode(), "sha384"))

    return keyed
