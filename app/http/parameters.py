"""The types of the parameters of a query, and the pages of a list."""

import re
from datetime import MINYEAR, UTC, datetime
from typing import Any, cast

from marshmallow import ValidationError, fields

from app.database import pages
from app.errors import Message
from app.field_errors import out_of_range
from app.http.fields import MAX_INSTANT_LENGTH, Checked, Schema, _Coded

FIRST_INSTANT = datetime.min.replace(tzinfo=UTC)
LAST_INSTANT = datetime.max.replace(tzinfo=UTC)


class FlagParameter(_Coded, fields.Boolean):
    """A boolean in a query: ``true`` or ``false``."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> bool:
        if value not in ("true", "false"):
            raise ValidationError(
                Message("invalid_choice", "Must be one of: %(words)s.", words="true, false")
            )
        return bool(value == "true")


class NumberParameter(_Coded, fields.Integer):
    """A whole number in a query, in ASCII digits and within bounds."""

    def __init__(self, *, least: int, most: int, **kwargs: Any) -> None:
        self.least, self.most = least, most
        super().__init__(metadata={"minimum": least, "maximum": most}, **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> int:
        if not re.fullmatch(r"-?[0-9]+", value):
            raise self.make_error("invalid")
        # Python refuses to read numbers of thousands of digits.
        number = int(value) if len(value) < 20 else None
        if number is None or not self.least <= number <= self.most:
            raise ValidationError(out_of_range(self.least, self.most))
        return number


class InstantParameter(_Coded, fields.DateTime):
    """An instant in a query, as RFC 3339 with its zone."""

    PATTERN = re.compile(
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?"
        r"([Zz]|[+-][0-9]{2}:[0-9]{2})"
    )

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> datetime:
        try:
            if len(value) > MAX_INSTANT_LENGTH or not self.PATTERN.fullmatch(value):
                raise ValueError
            instant = datetime.fromisoformat(value.upper())
        except ValueError:
            raise ValidationError(
                Message("invalid_instant", "Is not an instant like 2026-11-22T08:00:00Z.")
            ) from None
        try:
            return instant.astimezone(UTC)
        except OverflowError:
            # It is outside the years that Python knows, and no row is there.
            return FIRST_INSTANT if instant.year == MINYEAR else LAST_INSTANT


class PageQuerySchema(Schema):
    limit = NumberParameter(least=1, most=100, load_default=20)
    cursor = Checked(
        longest=pages.MAX_LENGTH, metadata={"description": "`next_cursor` of the page before."}
    )


class PageSchema(Schema):
    """The base of the pages of lists. An answer with a cursor also has a ``Link`` (RFC 8288)."""


def page_of(item: type[Schema], name: str) -> type[Schema]:
    """The schema of a page of a list. The OpenAPI document knows it under ``name``."""
    members: dict[str, fields.Field[Any]] = {
        "items": fields.List(fields.Nested(item), required=True),
        "next_cursor": fields.String(required=True, allow_none=True),
    }
    return cast(type[Schema], PageSchema.from_dict(members, name=name))
