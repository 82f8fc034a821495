"""Reads a value of another system as a text, a flag, a time, or nothing.

A value counts only if it can be read as the type of its column. Exports write
"nothing" in many ways: ``NULL``, ``\\N``, ``None``, a date of zeros. None of
them may become a name, a password, or a confirmed address.
"""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from app import clock
from app.moving.rows import UnfitRow

TRUE = frozenset({"true", "t", "1", "1.0", "yes", "y", "on", "\x01"})
FALSE = frozenset({"false", "f", "0", "0.0", "no", "n", "off", "\x00"})

# Databases, spreadsheets and programs write these for "nothing". In a text only this spelling
# counts, because some people are called Null.
NOTHING = frozenset(
    {
        *("", "NULL", "null", "(NULL)", "(null)", "<NULL>", "<null>", "[NULL]", "[null]"),
        *("\\N", "None", "<None>", "<nil>", "undefined", "NaN", "NaT", "<NA>"),
        *("N/A", "n/a", "#N/A", "#NULL!", "#VALUE!", "#REF!"),
    }
)
# In a flag or a time it counts in upper and lower case, because those are not names.
NOTHING_IN_ANY_CASE = frozenset(word.casefold() for word in NOTHING) | {"nil", "none", "nan", "-"}
NO_TIME = NOTHING_IN_ANY_CASE | FALSE | {"never", "-infinity"}

# Systems without a date write their zero: the year 1, 1753, 1900 or 1970.
FIRST_REAL_DAY = datetime(1971, 1, 1, tzinfo=UTC)
ONLY_ZEROS = re.compile(r"(?=.*0)[0.:/\-\sTZz+]*|-+")
# There is no year 0. PHP writes a date of zeros as the last day of the year before it.
NO_YEAR = re.compile(r"(-[0-9]{4,6}|[+]?0000)-[0-9]{2}-[0-9]{2}([T ].*)?")
# "Sat, 01 May 2021 10:00:00 GMT" (RFC 2822), "Sat May  1 10:00:00 2021" (C), and similar ones.
# Python would also read other words before a comma, and a year of two digits.
DAY = "(Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*"
MONTH = "(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*"
WORDED = re.compile(rf"({DAY},?\s+)?([0-9]{{1,2}}[\s-]+)?{MONTH}[\s-].*", re.IGNORECASE)
YEAR = re.compile(r"(?<![0-9+:-])[0-9]{4}(?![0-9:])")
NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{0,20})?")
# Numbers of seconds since 1970, and of thousandths, millionths and billionths, from 1973 to 2286.
UNITS = (
    (10**8, 10**10, 1),
    (10**11, 10**13, 10**3),
    (10**14, 10**16, 10**6),
    (10**17, 10**19, 10**9),
)


def text(value: Any) -> Any:
    """The text, or ``None`` for nothing. The schema refuses any other value later."""
    if isinstance(value, str):
        stripped = value.strip()
        return None if stripped in NOTHING else stripped
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value


def id_of(value: Any) -> Any:
    """The id that a row has in its system, or ``None`` for nothing."""
    return None if isinstance(value, str) and value.strip() in NOTHING else value


def words(value: Any) -> str | None:
    """The text, or ``None`` for any other value."""
    found = text(value)
    return found if isinstance(found, str) else None


def flag(value: Any) -> bool:
    """A boolean, as JSON, Python, databases and spreadsheets write it. "Nothing" means false."""
    if value is None or isinstance(value, bool):
        return bool(value)
    word = value if value in ("\x00", "\x01") else str(value).strip().casefold()
    if word in NOTHING_IN_ANY_CASE or word in FALSE:
        return False
    if word in TRUE:
        return True
    raise UnfitRow("malformed", f"has {word[:20]!r} for a boolean")


def instant(value: Any) -> datetime | None:
    """A time in any form that can be read, or ``None`` for nothing. Raises ``UnfitRow``."""
    if isinstance(value, dict):
        # MongoDB writes it this way.
        value = value.get("$date", value.get("$numberLong", value))
        if isinstance(value, dict):
            value = value.get("$numberLong", value)
    if value is None or value is False:
        return None
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        word = str(value).strip()
        if word.casefold() in NO_TIME or ONLY_ZEROS.fullmatch(word) or NO_YEAR.fullmatch(word):
            return None
        found = _read(word)
        if found is not None:
            return found if found >= FIRST_REAL_DAY else None
    raise UnfitRow("malformed", f"has {str(value)[:40]!r} for a time")


def is_past(value: Any) -> bool:
    """Whether the value is a time, and not in the future. Raises ``UnfitRow``."""
    found = instant(value)
    if found is not None and lies_ahead(found):
        raise UnfitRow("malformed", f"has {str(value)[:40]!r}, which is in the future, for a time")
    return found is not None


def lies_ahead(moment: datetime) -> bool:
    """Whether it is in the future. Clocks may differ by a day, as times without a zone do."""
    return moment > clock.now() + timedelta(days=1)


def created_at(value: Any) -> Any:
    """The time in ISO 8601, or ``None``. If it cannot be read, the schema refuses it later."""
    try:
        found = instant(value)
    except UnfitRow:
        return value
    return found.isoformat() if found else None


def _read(word: str) -> datetime | None:
    if word.casefold() == "infinity":
        return datetime.max.replace(tzinfo=UTC)
    if NUMBER.fullmatch(word) and len(word) != len("20210501"):
        return _of_number(float(word))
    if not any(character.isdigit() for character in word):
        return None
    # Ruby and BigQuery write "2021-05-01 10:00:00 UTC".
    bare = re.sub(r"(?<=[0-9]) ?(UTC|GMT)$", "+00:00", word)
    for read, form in ((datetime.fromisoformat, bare), (_worded, word)):
        try:
            found = read(form)
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
    return None


def _worded(word: str) -> datetime:
    """A time with the name of a month. Raises ``ValueError`` or what ``email`` raises."""
    year = YEAR.search(word)
    if not WORDED.fullmatch(word) or year is None:
        raise ValueError(word)
    # Python reads the year 1, by which some systems mean "never", as 2001.
    return parsedate_to_datetime(word).replace(year=int(year[0]) or 1)


def _of_number(number: float) -> datetime | None:
    for least, most, unit in UNITS:
        if least <= number < most:
            return datetime.fromtimestamp(number / unit, UTC)
    return None
