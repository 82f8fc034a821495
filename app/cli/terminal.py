"""Input and output of commands: tables for people, JSON for scripts, questions, progress."""

import json
import re
import sys
import textwrap
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import chain, islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import click
from marshmallow import Schema, ValidationError

from app.administration import operating
from app.errors import AppError, NotFound

PROGRESS_EVERY = 10_000

Item = TypeVar("Item")


def or_explain(verb: Callable[[], Item], missing: str = "It no longer exists.") -> Item:
    """Do it, or end with exit status 1 and one line that says why not."""
    try:
        return verb()
    except NotFound:
        raise click.ClickException(missing) from None
    except operating.NotDone as reason:
        raise click.ClickException(str(reason)) from None
    except AppError as error:
        raise click.ClickException(f"{error.detail.rstrip('.')}.") from None


def loaded(schema: Schema, given: dict[str, Any]) -> dict[str, Any]:
    """Check the arguments by the schema. Ends with a line for each wrong field."""
    try:
        checked: dict[str, Any] = schema.load(given)
    except ValidationError as error:
        messages = error.normalized_messages()  # type: ignore[no-untyped-call]
        flaws = [
            f"{field.replace('_', ' ')}: {flaw}"
            for field, found in messages.items()
            for flaw in found
        ]
        raise click.ClickException("\n".join(flaws)) from None
    return checked


without_asking = click.option("--yes", is_flag=True, help="Do not ask.")


def confirm(question: str, yes: bool) -> None:
    """Ask, unless ``--yes`` was given. Any answer except yes ends the command with status 1."""
    if yes:
        return
    try:
        click.confirm(question, abort=True)
    except click.Abort:
        raise click.ClickException("Nothing was done. --yes answers the question.") from None


# Of lists that may be very long.
at_most_fifty = click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=50,
    show_default=True,
    help="List at most this many.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


# The name of a file that the command writes.
NEW_FILE = click.Path(dir_okay=False, path_type=Path)


class Duration(click.ParamType[timedelta]):
    """A length of time like 30s, 10m, 1h or 1d."""

    name = "duration"
    UNITS = MappingProxyType({"s": "seconds", "m": "minutes", "h": "hours", "d": "days"})

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        found = re.fullmatch(r"([1-9][0-9]{0,5})([smhd])", str(value))
        length = timedelta(**{self.UNITS[found[2]]: int(found[1])}) if found else timedelta.max
        if length > timedelta(days=365):
            self.fail(f"{value!r} is not a length of time. Write one like 30s, 10m, 1h or 1d.")
        return length


def moment(at: datetime) -> str:
    """A time for people, with its zone, which is UTC."""
    return f"{at:%Y-%m-%d %H:%M:%SZ}"


# Direction marks let a terminal show text in another order than it is read.
_TURNING = frozenset("\u200e\u200f\u061c") | frozenset(
    map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A)))
)


def one_line(text: str) -> str:
    """Text of people, in which a line break cannot pretend to be the end of the value.

    Control characters could also move the cursor of the terminal. JSON has the text as it is.
    """
    if text.isprintable():
        return text
    return "".join(_visible(character) for character in text)


def _visible(character: str) -> str:
    if character in _TURNING or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp"):
        return character.encode("unicode_escape").decode()
    return character


def detail(name: str, value: Any) -> None:
    """Print a line ``name: value``."""
    words = yes_or_no(value) if isinstance(value, bool) else "" if value is None else str(value)
    click.echo(f"{name}: {one_line(words)}".rstrip())


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """Print columns. The first thousand rows decide their width, so that no row waits for more."""
    rows = (tuple(map(one_line, row)) for row in rows)
    first = [head, *islice(rows, 1000)]
    widths = [max(len(line[column]) for line in first) for column in range(len(head))]
    for line in chain(first, rows):
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def in_json(value: Any, indent: int | None = None) -> str:
    """JSON for scripts. Output whose encoding is not UTF-8 gets it in ASCII."""
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    is_utf_8 = encoding.lower().replace("_", "-") in ("utf-8", "utf8")
    return json.dumps(value, ensure_ascii=not is_utf_8, indent=indent)


def json_list(items: Iterable[Any]) -> None:
    """A JSON array, written item by item."""
    before = "[\n"
    for item in items:
        click.echo(before + textwrap.indent(in_json(item, indent=2), "  "), nl=False)
        before = ",\n"
    click.echo("\n]" if before.startswith(",") else "[]")


def counting(batches: Iterable[Sequence[Item]], what: str) -> Iterator[Item]:
    """Yield the items one by one. If there are many, report the progress on standard error."""
    done = 0
    for batch in batches:
        yield from batch
        done += len(batch)
        if done % PROGRESS_EVERY < len(batch):
            click.echo(f"… {done} {what} so far", err=True)


def yes_or_no(flag: bool) -> str:
    return "yes" if flag else "no"
