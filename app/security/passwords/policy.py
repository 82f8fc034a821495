"""Which passwords may be set."""

from functools import cache
from pathlib import Path

from app.errors import Message, ValidationFailed
from app.models import User
from app.security.passwords import breached
from app.security.passwords.hashing import _normal
from config import settings

MAX_LENGTH = 100
# The limit before NFC, where a character may be sent as up to four code points. The time that
# normalising takes grows with the square of the length, so no longer text is ever normalised.
MAX_RAW_LENGTH = 4 * MAX_LENGTH


TOO_LONG = Message("password_too_long", "Must have at most %(most)d characters.", most=MAX_LENGTH)


# People put these characters around a name to make a password from it.
AFFIXES = "0123456789!?.,-_*#$@ "


def flaw(password: str) -> Message | None:
    """Return why nobody should have this password, or ``None`` (NIST SP 800-63B-4 §3.1.1.2)."""
    if len(password) > MAX_RAW_LENGTH:
        return TOO_LONG
    length = len(_normal(password))
    if length < settings.password_min_length:
        return Message(
            "password_too_short",
            "Must have at least %(least)d characters. A few unrelated words are easy to remember.",
            least=settings.password_min_length,
        )
    if length > MAX_LENGTH:
        return TOO_LONG
    if settings.password_reject_common and _is_common(_normal(password).casefold()):
        return Message(
            "password_common",
            "Is among the first that an attacker tries. Choose a few unrelated words.",
        )
    # Last, because it may ask another server.
    if breached.is_breached(_normal(password)):
        return Message(
            "password_breached",
            "Is in a list of stolen passwords that attackers try. Choose a few unrelated words.",
        )
    return None


def identity_flaw(password: str, *, email: str, username: str) -> Message | None:
    """Return why this person should not have this password, or ``None``."""
    if not settings.password_reject_common:
        return None
    word = _normal(password).casefold()
    local, _, domain = email.partition("@")
    for name in (email, local, username.casefold(), domain):
        # Attackers first guess the name with digits and signs around it, twice, and backwards.
        core = name.strip(AFFIXES) or name
        guesses = {form for base in (name, core) for form in (base, base * 2, base[::-1])}
        if word in guesses or word.strip(AFFIXES) in guesses:
            return Message(
                "password_like_identity",
                "Is too much like the email address or username. Choose a few unrelated words.",
            )
    return None


def refuse_like_identity(password: str, user: User, *, field: str) -> None:
    """Raises ``ValidationFailed`` for the field if ``identity_flaw`` finds a reason."""
    if found := identity_flaw(password, email=user.email, username=user.username):
        raise ValidationFailed([found.at([field])])


def are_same(one: str, other: str) -> bool:
    """Whether two spellings are the same password."""
    return _normal(one) == _normal(other)


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
    """Whether it is like ``passwordpassword`` or ``aaaaaaaaaaaa``, which the list does not hold."""
    return any(
        word[:size] * (len(word) // size) == word
        and (size < 4 or word[:size] in _common_passwords())
        for size in range(1, len(word) // 2 + 1)
        if len(word) % size == 0
    )


@cache
def _common_passwords() -> frozenset[str]:
    """Return the words of zxcvbn's list with 8 characters or more (see docs/security.md)."""
    listed = Path(__file__).with_name("common_passwords.txt").read_text(encoding="utf-8")
    return frozenset(listed.splitlines())
