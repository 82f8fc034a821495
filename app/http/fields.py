"""The types of fields: a class for each row of the contract's input rules.

Each refusal is a ``Message``: a code for programs and a sentence for people.
Types are strict: a value of another type is refused and never converted.
"""

import re
import unicodedata
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import flask_marshmallow
import marshmallow
from marshmallow import ValidationError, fields

from app.database.types import MAX_ID
from app.field_errors import UNSTORABLE, Message, out_of_range
from app.http.strict_json import is_storable

REFUSALS = {
    "required": "This field is required.",
    "null": "May not be null.",
    "invalid": "Is of the wrong type.",
}

# Control characters, invisible format characters (bidi overrides and isolates among them), line
# and paragraph separators: they make one name look like another, or break a line of a log.
UNSEEMLY_CATEGORIES = ("Cc", "Cf", "Zl", "Zp")
# Invisible characters that real names have: the joiners that Persian, Indic scripts and emoji
# cannot do without, the direction marks that keyboards for Arabic and Hebrew type between words,
# the soft hyphens of text that was pasted from a page, and the tags that make flags of regions.
SEEMLY = frozenset("\u200c\u200d\u200e\u200f\u061c\u00ad") | frozenset(
    map(chr, range(0xE0020, 0xE0080))
)

# No string is longer than this, unless its field says otherwise.
MAX_TEXT_LENGTH = 5000
# The longest instant, in characters. Nanoseconds and a zone fit, with room to spare.
MAX_INSTANT_LENGTH = 64


class Schema(flask_marshmallow.Schema):
    """The base of every schema; unknown fields are refused."""

    error_messages = {  # noqa: RUF012 — marshmallow's own way to say it
        "unknown": Message("unknown_field", "There is no such field."),
    }


class FormSchema(Schema):
    """The base of OAuth 2's forms; fields that it does not know are ignored (RFC 6749 §3.2)."""

    class Meta:
        unknown = marshmallow.EXCLUDE


class _Coded(fields.Field[Any]):
    """Gives marshmallow's own refusals a code and a sentence of ours."""

    def make_error(self, key: str, **kwargs: Any) -> ValidationError:
        return ValidationError(Message(key, REFUSALS.get(key, "Is not acceptable.")))


class Text(_Coded, fields.String):
    """A string of at most ``max_length`` code points, kept as it was sent.

    The length is checked before anything else, because Unicode's normal forms
    take seconds for 64 KiB of combining marks.
    """

    def __init__(self, *, max_length: int | None = None, **kwargs: Any) -> None:
        self.max_length = MAX_TEXT_LENGTH if max_length is None else max_length
        document = kwargs.pop("metadata", {})
        if max_length is not None:
            document = {"maxLength": max_length} | document
        super().__init__(metadata=document, **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        if not isinstance(value, str):
            raise self.make_error("invalid")
        if not is_storable(value):
            raise ValidationError(UNSTORABLE)
        if len(value) > self.max_length:
            return self._too_long(value)
        return value

    def _too_long(self, value: str) -> str:
        raise ValidationError(
            Message("too_long", "Must have at most %(most)d characters.", most=self.max_length)
        )


class Checked(Text):
    """A string that is simply right or wrong, such as a password, a login name or a token.

    A string that is longer than any right one is cut to one code point more
    than ``longest``. So it stays wrong, and it takes as long and gets the same
    answer as any other wrong one.
    """

    def __init__(self, *, longest: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.max_length = longest

    def _too_long(self, value: str) -> str:
        return value[: self.max_length + 1]


class DisplayName(Text):
    """Text on one line, without characters that hide or reorder others."""

    def __init__(self, **kwargs: Any) -> None:
        document = {"format": "display-name"} | kwargs.pop("metadata", {})
        super().__init__(metadata=document, **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, *args, **kwargs)
        if any(unicodedata.category(c) in UNSEEMLY_CATEGORIES and c not in SEEMLY for c in text):
            raise ValidationError(
                Message("invalid_characters", "Control and format characters are not accepted.")
            )
        return text


class Line(DisplayName):
    """A ``DisplayName`` that says something. Space around it is cut off."""

    def __init__(self, **kwargs: Any) -> None:
        document = {"format": "line", "minLength": 1} | kwargs.pop("metadata", {})
        super().__init__(metadata=document, **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        line = super()._deserialize(value, *args, **kwargs).strip()
        if all(character.isspace() or character in SEEMLY for character in line):
            raise self.make_error("required")
        return line


class HttpUrl(Text):
    """An absolute http or https URL (RFC 3986), 500 characters at most."""

    PATTERN = re.compile(r"https?://[^\s/?#@]+([/?#]\S*)?", re.IGNORECASE)

    def __init__(self, **kwargs: Any) -> None:
        document = {"format": "uri", "description": "An absolute http or https URL."}
        super().__init__(max_length=500, metadata=document, **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, *args, **kwargs)
        if not self._is_http_url(text):
            raise ValidationError(Message("invalid_url", "Is not an absolute http or https URL."))
        return text

    def _is_http_url(self, text: str) -> bool:
        try:
            parts = urlsplit(text)
            return bool(
                self.PATTERN.fullmatch(text)
                and text.isprintable()
                and not re.search(r"[<>\"\\^`{|}]", text)
                and parts.hostname
                and (parts.port is None or parts.port > 0)
            )
        except ValueError:
            return False


class OneOf(Text):
    """One of a few words."""

    def __init__(self, words: tuple[str, ...], **kwargs: Any) -> None:
        self.words = words
        super().__init__(metadata={"enum": list(words)}, **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, *args, **kwargs)
        if text not in self.words:
            raise ValidationError(
                Message("invalid_choice", "Must be one of: %(words)s.", words=", ".join(self.words))
            )
        return text


class FewOf(_Coded, fields.List[Any]):
    """A list of at most 100 items."""

    MOST = 100

    def __init__(self, inner: fields.Field[Any], **kwargs: Any) -> None:
        document = {"maxItems": self.MOST} | kwargs.pop("metadata", {})
        super().__init__(inner, metadata=document, **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> list[Any]:
        if not isinstance(value, list):
            raise self.make_error("invalid")
        if len(value) > self.MOST:
            raise ValidationError(
                Message("too_many", "Must have at most %(most)d items.", most=self.MOST)
            )
        return super()._deserialize(value, *args, **kwargs)


class Flag(_Coded, fields.Boolean):
    """A boolean. Numbers and strings that look like one are refused."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid")
        return value


class WholeNumber(_Coded, fields.Integer):
    """A number from ``least`` to ``most``."""

    def __init__(self, least: int, most: int, **kwargs: Any) -> None:
        self.least, self.most = least, most
        super().__init__(metadata={"minimum": least, "maximum": most}, **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.make_error("invalid")
        if not self.least <= value <= self.most:
            raise ValidationError(out_of_range(self.least, self.most))
        return value


class Id(WholeNumber):
    """The id of a row, as a number."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(1, MAX_ID, **kwargs)


def as_rfc_3339(value: datetime | None) -> str | None:
    """An instant in UTC, to the second."""
    if value is None:
        return None
    # ``strftime`` writes the year 999 as "999", which is not RFC 3339.
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


class Instant(fields.DateTime):
    """An instant as RFC 3339 in UTC, to the second."""

    def _serialize(self, value: datetime | None, *args: Any, **kwargs: Any) -> str | None:
        return as_rfc_3339(value)
