"""Files of rows: JSON Lines, a JSON array or CSV, read and written one row at a time."""

import codecs
import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any, TextIO

from app.http.spreadsheets import FORMULA_STARTS, QUOTE
from app.moving.csv_rows import read_csv
from app.moving.json_rows import CHUNK_BYTES as CHUNK_BYTES
from app.moving.json_rows import read_json, read_json_lines
from app.moving.rows import Lines, Readable, Row, Started, UnfitFile, UnfitRow
from app.moving.values import NOTHING

__all__ = ["FORMATS", "Row", "UnfitFile", "UnfitRow", "format_of", "read", "write"]

EXTENSIONS = MappingProxyType(
    {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".csv": "csv", ".tsv": "csv"}
)
FORMATS = ("jsonl", "json", "csv")

# The first bytes of files that are not text in UTF-8.
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
NO_TEXT = (b"PK\x03\x04", b"\x1f\x8b", b"\xd0\xcf\x11\xe0")

# We write a quote before a cell that a spreadsheet would take for a formula, and take it off when
# we read it. We also write it before a text that is empty or reads like "nothing", because a cell
# like that without a quote means that there is no value.


def format_of(path: Path) -> str | None:
    """The format that the extension names, or ``None``."""
    return EXTENSIONS.get(path.suffix.lower())


def read(file: Readable, form: str) -> Iterator[Row]:
    """Yield the rows, one after the other. Raises ``UnfitFile``.

    Text is UTF-8, with or without a byte order mark. The content of a row that
    cannot be read is an ``UnfitRow``, and the next row follows. For JSON,
    ``line`` is the number of the element. The file may be a pipe.
    """
    start = file.read(4)
    if start.startswith(UTF_16) or b"\0" in start:
        raise UnfitFile("The file is in UTF-16 or is not text. Save it as UTF-8.")
    if start.startswith(NO_TEXT):
        raise UnfitFile("The file is compressed or a spreadsheet. Save it as CSV or JSON in UTF-8.")
    opened = Started(start.removeprefix(codecs.BOM_UTF8), file)
    if form == "json":
        return read_json(opened, CHUNK_BYTES)
    return read_csv(Lines(opened)) if form == "csv" else read_json_lines(Lines(opened))


def from_cells(row: dict[str, str]) -> dict[str, Any]:
    """Read a CSV row that we wrote: take quotes off, and turn cells without value into ``None``."""
    return {
        column: None if cell in NOTHING else cell.removeprefix(QUOTE)
        for column, cell in row.items()
    }


def to_cell(value: Any) -> str:
    """The cell that ``from_cells`` reads back. Only a text can look like a formula."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return str(value)
    is_guarded = value in NOTHING or value.startswith((QUOTE, *FORMULA_STARTS))
    return QUOTE + value if is_guarded else value


def write(file: TextIO, form: str, columns: tuple[str, ...], rows: Iterable[dict[str, Any]]) -> int:
    """Write the rows as JSON Lines or CSV. Returns how many there were."""
    number = 0
    writer = csv.writer(file)
    if form == "csv":
        writer.writerow(columns)
    for row in rows:
        number += 1
        if form == "csv":
            writer.writerow([to_cell(row[column]) for column in columns])
        else:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return number
