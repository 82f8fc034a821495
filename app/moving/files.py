"""Files of rows: JSON Lines, a JSON array or CSV, read and written one row at a time."""

import codecs
import csv
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, TextIO

# A row longer than this is no row; what it may hold is far shorter.
MAX_ROW_BYTES = 2**20
CHUNK_BYTES = 2**16

EXTENSIONS = MappingProxyType(
    {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".csv": "csv"}
)
FORMATS = ("jsonl", "json", "csv")

# A spreadsheet takes a cell that begins like this for a formula (CWE-1236). Where one does, a
# quote is written before it and taken off again; so it is for a text that is empty, as an empty
# cell means that there is none.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
QUOTE = "'"


class UnfitFile(ValueError):
    """The file as a whole cannot be read; the text says why."""


class UnfitRow(ValueError):
    """This row cannot be taken; ``code`` says why to programs, the text to people."""

    def __init__(self, code: str, sentence: str = "") -> None:
        self.code = code
        super().__init__(sentence or code)


@dataclass(frozen=True)
class Row:
    """One row: where it begins, how far the file is read with it, and what is in it."""

    line: int
    end: int
    content: dict[str, Any] | UnfitRow


def format_of(path: Path) -> str | None:
    """By the extension; ``None`` where it tells nothing."""
    return EXTENSIONS.get(path.suffix.lower())


def read(file: BinaryIO, form: str) -> Iterator[Row]:
    """The rows, one after the other. Raises ``UnfitFile``.

    Text is UTF-8, with or without a byte order mark. A row that is none is
    given as such, and the next one follows. For JSON, ``line`` is the number
    of the element.
    """
    start = file.read(len(codecs.BOM_UTF8))
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise UnfitFile("The file is in UTF-16. Save it as UTF-8.")
    if start != codecs.BOM_UTF8:
        file.seek(0)
    readers: dict[str, Callable[[BinaryIO], Iterator[Row]]] = {
        "jsonl": _read_json_lines,
        "json": _read_json,
        "csv": _read_csv,
    }
    return readers[form](file)


def _read_json_lines(file: BinaryIO) -> Iterator[Row]:
    end = file.tell()
    for number, line in enumerate(_lines(file), 1):
        end += len(line)
        if line.strip():
            yield Row(number, end, _json_object(line))


def _json_object(line: bytes) -> dict[str, Any] | UnfitRow:
    try:
        return _object(json.loads(line.decode(), object_pairs_hook=_without_duplicates))
    except UnicodeDecodeError:
        return UnfitRow("not_utf8")
    except UnfitRow as reason:
        return reason
    except (ValueError, RecursionError):
        return UnfitRow("malformed", "is no JSON")


def _object(value: Any) -> dict[str, Any] | UnfitRow:
    return value if isinstance(value, dict) else UnfitRow("malformed", "is no JSON object")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise UnfitRow("malformed", "has a key twice")
    return dict(pairs)


def _read_json(file: BinaryIO) -> Iterator[Row]:
    """The elements of an array, or of the array that an object holds under ``users``."""
    text = _Text(file)
    if text.next() == "{":
        text.skip_to_array("users")
    if text.take() != "[":
        raise UnfitFile("The file is no JSON array, nor an object with an array of users.")
    number = 0
    while text.next() != "]":
        number += 1
        value = text.value()
        yield Row(number, file.tell(), _object(value))
        if text.next() == ",":
            text.take()
        elif text.next() != "]":
            raise UnfitFile(f"After element {number} the file is no JSON.")


class _Text:
    """JSON text of which only the part at hand is in memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._parse = json.JSONDecoder(object_pairs_hook=_without_duplicates).raw_decode
        self._rest = ""

    def next(self) -> str:
        """The next character that is no white space, not taken yet; empty at the end."""
        self._rest = self._rest.lstrip(" \t\r\n")
        while not self._rest and self._more():
            self._rest = self._rest.lstrip(" \t\r\n")
        return self._rest[:1]

    def take(self) -> str:
        taken = self.next()
        self._rest = self._rest[1:]
        return taken

    def value(self) -> Any:
        """The next value whole. Raises ``UnfitFile``."""
        self.next()
        while True:
            try:
                value, end = self._parse(self._rest)
                # A number might go on in what is not read yet.
                if end < len(self._rest) or not self._more():
                    self._rest = self._rest[end:]
                    return value
            except UnfitRow as reason:
                raise UnfitFile(f"An element {reason}.") from None
            except (ValueError, RecursionError):
                if len(self._rest) > MAX_ROW_BYTES or not self._more():
                    raise UnfitFile("The file is no JSON, or ends in the midst of it.") from None

    def skip_to_array(self, key: str) -> None:
        self.take()
        while self.next() == '"':
            name = self.value()
            if self.take() != ":":
                break
            if name == key:
                return
            self.value()
            if self.next() == ",":
                self.take()
        raise UnfitFile(f"The file is a JSON object without an array of {key}.")

    def _more(self) -> bool:
        chunk = self._file.read(CHUNK_BYTES)
        try:
            self._rest += self._decode(chunk, not chunk)
        except UnicodeDecodeError:
            raise UnfitFile("The file is not in UTF-8.") from None
        return bool(chunk)


def _read_csv(file: BinaryIO) -> Iterator[Row]:
    progress = _Progress(file.tell())
    # Bytes that are no UTF-8 become lone surrogates, which no row may hold.
    lines = (progress.note(line).decode("utf-8", "surrogateescape") for line in _lines(file))
    cells = csv.reader(lines, strict=True)
    try:
        head = next(cells, [])
    except csv.Error as error:
        raise UnfitFile(f"The first line is no CSV: {error}.") from None
    if not head or len(set(head)) < len(head) or not all(head):
        raise UnfitFile("The first line must name each column, and none twice.")
    while True:
        line = cells.line_num + 1
        try:
            row = next(cells)
        except StopIteration:
            return
        except csv.Error as error:
            yield Row(line, progress.end, UnfitRow("malformed", f"is no CSV: {error}"))
            continue
        if row:
            yield Row(line, progress.end, _csv_row(head, row))


def _csv_row(head: list[str], row: list[str]) -> dict[str, Any] | UnfitRow:
    if len(row) != len(head):
        return UnfitRow("malformed", f"has {len(row)} cells, not {len(head)}")
    if any("\udc80" <= character <= "\udcff" for cell in row for character in cell):
        return UnfitRow("not_utf8")
    return dict(zip(head, row, strict=True))


class _Progress:
    def __init__(self, start: int) -> None:
        self.end = start

    def note(self, line: bytes) -> bytes:
        self.end += len(line)
        return line


def _lines(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(MAX_ROW_BYTES):
        if len(line) == MAX_ROW_BYTES:
            raise UnfitFile("The file has a line of more than a mebibyte.")
        yield line


def from_cells(row: dict[str, str]) -> dict[str, Any]:
    """A row of CSV that we wrote: quotes taken off, empty cells as ``None``."""
    return {column: cell.removeprefix(QUOTE) if cell else None for column, cell in row.items()}


def to_cell(value: Any) -> str:
    """The cell that ``from_cells`` reads back. What is no text has a form that is no formula."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return str(value)
    return QUOTE + value if not value or value.startswith((QUOTE, *FORMULA_STARTS)) else value


def write(file: TextIO, form: str, columns: tuple[str, ...], rows: Iterable[dict[str, Any]]) -> int:
    """Write the rows as JSON Lines or CSV, and say how many they were."""
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
