"""The one canonical form of an email address and of a username.

Registration, login, administration and limits all compare what these
functions return. They never compare the text that was typed, and never let
the database ignore case: PostgreSQL, SQLite and Python do it differently.
"""

import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from app.errors import Message
from app.security import lookalikes

if TYPE_CHECKING:
    import regex

MAX_EMAIL_LENGTH = 254
MIN_USERNAME_LENGTH, MAX_USERNAME_LENGTH = 3, 50
# The limit before NFC, where a character may be sent as up to four code points. The time that
# normalising takes grows with the square of the length, so no longer text is ever normalised.
MAX_RAW_USERNAME_LENGTH = 4 * MAX_USERNAME_LENGTH
# NFKC replaces some characters by several: one Arabic letter becomes eighteen.
MAX_USERNAME_KEY_LENGTH = 200
# An identifier that nobody can have is cut to this length. Limits and throttles still tell such
# identifiers apart by their beginning.
MAX_UNUSABLE_LENGTH = 300

# Nobody may pose as the service or its staff, or take a name that is also a path of the API.
RESERVED_USERNAMES = frozenset(
    """
    abuse account accounts admin administrator anonymous api audit auth billing everyone export
    guest help hostmaster info login logout mail me moderator nobody noreply no-reply null
    official operator owner postmaster register root security self sessions staff superuser
    support sysadmin system team undefined user users webmaster www
    """.split()
)

# The scripts that UTS 39 recommends. Scripts that one language uses together count as one script
# (UTS 39 §5.1).
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


@cache
def _username_pattern() -> "regex.Pattern[str]":
    # The library and the pattern take as long as a tenth of a short command, and few commands
    # check a username. A server calls `load` at its start.
    import regex

    alternatives = []
    for scripts in SCRIPTS:
        letters = "".join(rf"\p{{Script_Extensions={script}}}" for script in scripts)
        # Some letters are invisible on purpose, like the Hangul fillers. They are left out.
        seen = r"[\p{L}\p{M}\p{Nd}]--[\p{Default_Ignorable_Code_Point}]"
        inner = rf"[[[{letters}]&&[{seen}]]||[0-9]]"
        alternatives.append(rf"{inner}(?:[{inner[1:-1]}||[._-]]*{inner})?")
    return regex.compile("|".join(alternatives), flags=regex.VERSION1)


# An encoded word, or a route: a "%" with a host after it, or a "!" with a host before it.
_ENCODED_OR_ROUTE = re.compile(r"=\?|.%[a-z0-9]|[a-z0-9]!.")


class InvalidEmail(ValueError):
    """The text is not an address to which a mail could be sent."""


class InvalidUsername(ValueError):
    """The text is not a valid username; ``message`` says why."""

    def __init__(self, message: Message) -> None:
        self.message = message
        super().__init__(message)


class Identifier(NamedTuple):
    """The email address or username of an account: the kind, and the canonical form."""

    kind: str
    value: str


def load() -> None:
    """Load what the first address and the first username would load."""
    canonical_email("ada@example.org")
    canonical_username("ada")


def identifier_of(*, email: str | None = None, username: str | None = None) -> Identifier:
    """Read what somebody typed at login.

    ``username`` may hold an address as well, because no username has an
    ``@``. A text that is not an address is kept as it was typed. No user has
    it, so the caller treats it like any other address that nobody has.
    """
    typed = email if email is not None else username or ""
    if email is None and "@" not in typed:
        is_long = len(typed) > MAX_RAW_USERNAME_LENGTH
        name = typed if is_long else username_key(typed)
        return Identifier("username", name[:MAX_UNUSABLE_LENGTH])
    try:
        return Identifier("email", canonical_email(typed))
    except InvalidEmail:
        return Identifier("email", typed[:MAX_UNUSABLE_LENGTH])


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
    """Return the address in lower case, with its domain in ASCII. Raises ``InvalidEmail``.

    The part before the ``@`` is changed to lower case too, so only ASCII is
    accepted there: with other letters, two different mailboxes could become
    the same address (CVE-2019-19844). DNS is not asked.
    """
    if len(text) > MAX_EMAIL_LENGTH:
        raise InvalidEmail
    # Many short commands read no address. A server calls `load` at its start.
    import email_validator

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
    """Do the same for an address that an account will get. Raises ``InvalidEmail``.

    RFC 5322 allows some addresses that mail programs on the way understand as
    another mailbox. With each of them, the owner of that mailbox could make
    one more account. ``=?utf-8?q?ada?=`` is an encoded word (RFC 2047) for
    ``ada``. ``ada%example.org@relay`` and ``example.org!ada@relay`` are
    routes, which Postfix follows by default. Old accounts that have such an
    address may keep it.
    """
    email = canonical_email(text)
    if _ENCODED_OR_ROUTE.search(email.rpartition("@")[0]):
        raise InvalidEmail
    return email


def canonical_username(text: str) -> str:
    """Return the username in NFC, as it is stored and shown. Raises ``InvalidUsername``."""
    if len(text) > MAX_RAW_USERNAME_LENGTH:
        raise InvalidUsername(LENGTH)
    username = unicodedata.normalize("NFC", text)
    if not MIN_USERNAME_LENGTH <= len(username) <= MAX_USERNAME_LENGTH:
        raise InvalidUsername(LENGTH)
    if (
        not _username_pattern().fullmatch(username)
        or len(username_key(username)) > MAX_USERNAME_KEY_LENGTH
    ):
        raise InvalidUsername(CHARACTERS)
    return username


def username_key(username: str) -> str:
    """Return the form by which usernames are compared (UAX 31, toNFKC_Casefold).

    Two usernames with the same key are the same name.
    """
    folded = unicodedata.normalize("NFKC", username).casefold()
    return unicodedata.normalize("NFKC", folded)


def is_reserved(username: str) -> bool:
    """Whether the username is a reserved name, or looks like one."""
    is_exact = username_key(username) in RESERVED_USERNAMES
    return is_exact or lookalikes.looks_like_any(username, RESERVED_USERNAMES)
