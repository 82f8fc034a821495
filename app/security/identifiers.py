"""The one canonical form of an email address and of a username.

Registration, login, administration and limits all compare what these
functions return, never what was typed, and never by the database's own idea
of case: PostgreSQL's and SQLite's differ from Python's and from each other.
"""

import unicodedata
from typing import NamedTuple

import email_validator
import regex

from app.errors import Message
from app.security import lookalikes

MAX_EMAIL_LENGTH = 254
MIN_USERNAME_LENGTH, MAX_USERNAME_LENGTH = 3, 50
# Before NFC: a character may be sent as up to four code points. Normalising takes time by the
# square of the length, so nothing longer is ever normalised.
MAX_RAW_USERNAME_LENGTH = 4 * MAX_USERNAME_LENGTH
# Compatibility characters may be written out: one Arabic letter becomes eighteen.
MAX_USERNAME_KEY_LENGTH = 200
# So much of what can be nobody's is told apart.
MOST_OF_NOTHING = 300

# Nobody may pose as the service or its staff, nor be mistaken for a path of the API.
RESERVED_USERNAMES = frozenset(
    """
    abuse account accounts admin administrator anonymous api audit auth billing everyone export
    guest help hostmaster info login logout mail me moderator nobody noreply no-reply null
    official operator owner postmaster register root security self sessions staff superuser
    support sysadmin system team undefined user users webmaster www
    """.split()
)

# Scripts of UTS 39's recommended set; those that one language writes together count as one
# script (UTS 39 §5.1).
SCRIPTS = (
    ["Latin"],
    ["Greek"],
    ["Cyrillic"],
    ["Armenian"],
    ["Hebrew"],
    ["Arabic"],
    ["Georgian"],
    ["Ethiopic"],
    ["Thaana"],
    ["Devanagari"],
    ["Bengali"],
    ["Gurmukhi"],
    ["Gujarati"],
    ["Oriya"],
    ["Tamil"],
    ["Telugu"],
    ["Kannada"],
    ["Malayalam"],
    ["Sinhala"],
    ["Thai"],
    ["Lao"],
    ["Tibetan"],
    ["Myanmar"],
    ["Khmer"],
    ["Han", "Hiragana", "Katakana"],
    ["Han", "Hangul"],
    ["Han", "Bopomofo"],
)


def _username_pattern() -> regex.Pattern[str]:
    alternatives = []
    for scripts in SCRIPTS:
        letters = "".join(rf"\p{{Script_Extensions={script}}}" for script in scripts)
        # Some letters, like the Hangul fillers, are there to be invisible.
        seen = r"[\p{L}\p{M}\p{Nd}]--[\p{Default_Ignorable_Code_Point}]"
        inner = rf"[[[{letters}]&&[{seen}]]||[0-9]]"
        alternatives.append(rf"{inner}(?:[{inner[1:-1]}||[._-]]*{inner})?")
    return regex.compile("|".join(alternatives), flags=regex.VERSION1)


_USERNAME = _username_pattern()


# An encoded word, or a host on either side of the sign by which it is a route.
_ENCODED_OR_ROUTE = regex.compile(r"=\?|.%[a-z0-9]|[a-z0-9]!.")


class InvalidEmail(ValueError):
    """The text is no address that could be written to."""


class InvalidUsername(ValueError):
    """The text is no username; ``message`` says why."""

    def __init__(self, message: Message) -> None:
        self.message = message
        super().__init__(message)


class Identifier(NamedTuple):
    """What somebody is known by: ``email`` or ``username``, and the canonical form."""

    kind: str
    value: str


def read(*, email: str | None = None, username: str | None = None) -> Identifier:
    """What was typed at login. ``username`` may hold an address as well; no username has an ``@``.

    What is no address is known by itself: there is no such user, and it is
    dealt with like any other that does not exist.
    """
    typed = email if email is not None else username or ""
    if email is None and "@" not in typed:
        is_long = len(typed) > MAX_RAW_USERNAME_LENGTH
        name = typed if is_long else username_key(typed)
        return Identifier("username", name[:MOST_OF_NOTHING])
    try:
        return Identifier("email", canonical_email(typed))
    except InvalidEmail:
        return Identifier("email", typed[:MOST_OF_NOTHING])


LENGTH = Message(
    "invalid_length",
    "Must have %(least)d to %(most)d characters.",
    least=MIN_USERNAME_LENGTH,
    most=MAX_USERNAME_LENGTH,
)
CHARACTERS = Message(
    "invalid_characters",
    "Must consist of letters and digits of one script, with . _ - only inside.",
)


def canonical_email(text: str) -> str:
    """Lower case, the domain in its ASCII form. Raises ``InvalidEmail``.

    The local part is folded too, so only ASCII is accepted in it: folding
    other letters makes different mailboxes the same (CVE-2019-19844). DNS is
    not asked.
    """
    if len(text) > MAX_EMAIL_LENGTH:
        raise InvalidEmail
    try:
        parsed = email_validator.validate_email(
            text, check_deliverability=False, allow_smtputf8=False
        )
    except email_validator.EmailNotValidError:
        raise InvalidEmail from None
    email = f"{parsed.local_part}@{parsed.ascii_domain}".lower()
    if len(email) > MAX_EMAIL_LENGTH:
        raise InvalidEmail
    return email


def canonical_new_email(text: str) -> str:
    """The same for an address that an account is to get. Raises ``InvalidEmail``.

    Some spellings are addresses by the letter of RFC 5322, and programs on the
    way read another mailbox out of them: each would be one more account for
    that one. ``=?utf-8?q?ada?=`` is an encoded word (RFC 2047) for ``ada``.
    ``ada%example.org@relay`` and ``example.org!ada@relay`` are routes, which
    Postfix follows unless told otherwise. Old accounts that have one may go on
    with it.
    """
    email = canonical_email(text)
    if _ENCODED_OR_ROUTE.search(email.rpartition("@")[0]):
        raise InvalidEmail
    return email


def canonical_username(text: str) -> str:
    """The username as it is kept and shown: in NFC. Raises ``InvalidUsername``."""
    if len(text) > MAX_RAW_USERNAME_LENGTH:
        raise InvalidUsername(LENGTH)
    username = unicodedata.normalize("NFC", text)
    if not MIN_USERNAME_LENGTH <= len(username) <= MAX_USERNAME_LENGTH:
        raise InvalidUsername(LENGTH)
    if not _USERNAME.fullmatch(username) or len(username_key(username)) > MAX_USERNAME_KEY_LENGTH:
        raise InvalidUsername(CHARACTERS)
    return username


def username_key(username: str) -> str:
    """What makes two usernames the same: NFKC, case-folded (UAX 31, toNFKC_Casefold)."""
    folded = unicodedata.normalize("NFKC", username).casefold()
    return unicodedata.normalize("NFKC", folded)


def is_reserved(username: str) -> bool:
    """Whether it is a reserved name, or looks like one."""
    is_exact = username_key(username) in RESERVED_USERNAMES
    return is_exact or lookalikes.looks_like_any(username, RESERVED_USERNAMES)
