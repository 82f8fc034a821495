"""CSV as databases and spreadsheets write it, one row at a time.

An unclosed quote would swallow every row up to the next quote, or up to the
end of the file. So if a row of several lines cannot be right, only its first
line is refused, and reading continues at its second line.
"""

import csv
import re
from collections.abc import Iterator
from typing import Any

from app.moving.rows import MAX_ROW_BYTES, TOO_LONG, Lines, Row, UnfitFile, UnfitRow

# The comma, and the delimiters of spreadsheets in countries that write numbers with a comma.
DELIMITERS = (",", ";", "\t", "|")

# The library says "unexpected end of data", which is hard to understand: the quote is the mistake.
UNCLOSED = "has a quote that is opened and not closed"

# The library refuses a cell of more than 128 KiB; our limit is that of the row. The library only
# has a limit for the whole process.
csv.field_size_limit(MAX_ROW_BYTES)


def read_csv(lines: Lines) -> Iterator[Row]:
    """The rows below the head. Raises ``UnfitFile``."""
    delimiter = _delimiter(lines)
    head = _head(lines, delimiter)
    while found := _next(lines, delimiter, len(head)):
        line, cells = found
        if isinstance(cells, UnfitRow):
            yield Row(line, lines.end, cells)
        elif cells:
            yield Row(line, lines.end, _object(head, cells))


def _delimiter(lines: Lines) -> str:
    """The delimiter that splits the first line into the most columns."""
    first = lines.next()
    text = first[0].decode("utf-8", "replace").rstrip("\r\n")
    if said := re.fullmatch(r'"?sep=(.)"?', text):
        # A line for Microsoft Excel, above the head.
        return said[1]
    lines.put_back([first] if first[1] else [])
    if "\r" in text:
        raise UnfitFile("The lines end in CR only. Save the file with LF or CR LF.")

    def columns(delimiter: str) -> int:
        try:
            return len(next(csv.reader([text], delimiter=delimiter)))
        except (csv.Error, StopIteration):
            return 0

    return max(DELIMITERS, key=columns)


def _head(lines: Lines, delimiter: str) -> list[str]:
    found = _next(lines, delimiter, None)
    cells = found[1] if found else []
    if isinstance(cells, UnfitRow):
        raise UnfitFile(f"The first line {cells}.")
    head = [name.strip() for name in cells]
    if not head or len(set(head)) < len(head) or not all(head):
        raise UnfitFile("The first line must name each column, and no column twice.")
    if not _is_utf_8(head):
        raise UnfitFile("The file is not in UTF-8. Save it as UTF-8.")
    return head


def _next(
    lines: Lines, delimiter: str, columns: int | None
) -> tuple[int, list[str] | UnfitRow] | None:
    """The line at which the next row begins, and its cells; ``None`` at the end of the file."""
    number, taken, size = lines.number, [], 0

    def feed() -> Iterator[str]:
        nonlocal size
        while (line := lines.next())[1]:
            taken.append(line)
            size += line[1]
            if size > MAX_ROW_BYTES:
                raise UnfitRow("malformed", f"{TOO_LONG}, or has a quote that is not closed")
            # Bytes that are not UTF-8 become lone surrogates, which no row may hold.
            yield line[0].decode("utf-8", "surrogateescape")

    cells: list[str] | UnfitRow
    try:
        cells = next(csv.reader(feed(), delimiter=delimiter, strict=True))
    except StopIteration:
        return None
    except csv.Error as error:
        what = UNCLOSED if str(error) == "unexpected end of data" else f"is not CSV: {error}"
        cells = UnfitRow("malformed", what)
    except UnfitRow as reason:
        cells = reason
    if isinstance(cells, list) and cells and columns is not None and len(cells) != columns:
        cells = UnfitRow("malformed", f"has {len(cells)} cells, not {columns}")
    if isinstance(cells, UnfitRow):
        lines.put_back(taken[1:])
    return number, cells


def _object(head: list[str], cells: list[str]) -> dict[str, Any] | UnfitRow:
    return dict(zip(head, cells, strict=True)) if _is_utf_8(cells) else UnfitRow("not_utf8")


def _is_utf_8(cells: list[str]) -> bool:
    return not any("\udc80" <= character <= "\udcff" for cell in cells for character in cell)
