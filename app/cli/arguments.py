"""The kinds of values that commands take: moments, positions, hashes, names of events."""

import math
import re
from datetime import MINYEAR, UTC, datetime
from difflib import get_close_matches
from typing import Any

import click

from app.audit import vocabulary
from app.database.types import MAX_ID
from app.http.parameters import FIRST_INSTANT, LAST_INSTANT


class Instant(click.ParamType[datetime]):
    """A moment in RFC 3339. A date alone means the start of that day in UTC."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        text = f"{value}T00:00:00Z" if len(str(value)) == len("2026-11-22") else str(value)
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            self.fail(
                f"{value!r} is not a time. Write one like 2026-11-22 or 2026-11-22T08:00:00Z."
            )
        try:
            return moment.astimezone(UTC)
        except OverflowError:
            # The time is beyond the first or the last possible instant. No event is there.
            return FIRST_INSTANT if moment.year == MINYEAR else LAST_INSTANT


class Place(click.ParamType["int | datetime"]):
    """A position in the chain, or a moment."""

    name = "position|time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | datetime:
        text = str(value)
        if text.isascii() and text.isdigit():
            # Python refuses to read more than 4,300 digits.
            return min(int(text), MAX_ID) if len(text) <= len(str(MAX_ID)) else MAX_ID
        return Instant().convert(value, param, ctx)


class Days(click.FloatRange):
    """A number of days. Click would accept NaN, which is neither too large nor too small."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number of days.", param, ctx)
        return number


class Head(click.ParamType[str]):
    """A hash of the chain. A mistyped hash must not look like a log that was rewritten."""

    name = "hash"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value).lower()
        if strange := re.search(r"[^0-9a-f]", text):
            self.fail(f"A head is 64 hexadecimal digits; {strange[0]!r} is not one.")
        if len(text) != 64:
            self.fail(f"A head is 64 hexadecimal digits; this has {len(text)}.")
        return text


class EventName(click.ParamType[str]):
    """The name of an event in the log's vocabulary."""

    name = "event"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        names = vocabulary.names()
        if value not in names:
            near = get_close_matches(str(value).lower(), names)
            others = f"Similar ones: {', '.join(near)}" if near else f"All: {', '.join(names)}"
            self.fail(f"There is no event {str(value)[:50]!r}. {others}.")
        return str(value)
