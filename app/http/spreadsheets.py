"""Texts that a spreadsheet must not take for a formula (CWE-1236)."""

import csv
import io
import re
from collections.abc import Iterable, Iterator

# A cell that begins like this is a formula. Excel also takes the wide forms, which Chinese and
# Japanese keyboards type.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
QUOTE = "'"

# Excel parts lines by the semicolon in some countries, so a cell may begin after one too. There a
# quote in the text begins a quoted cell, and Excel drops it.
_BEGINNING = re.compile(f'(^|[;\\t\\r\\n][ "]*)(?=[{re.escape("".join(FORMULA_STARTS))}])')
# By this mark Excel knows that the file is UTF-8.
_BYTE_ORDER_MARK = "\ufeff"
_ROWS_AT_ONCE = 100


def guarded(text: str) -> str:
    """The text as a spreadsheet shows it: with a quote before what would be a formula."""
    return _BEGINNING.sub(rf"\1{QUOTE}", text)


def written(rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """The rows as CSV for a spreadsheet, in pieces of many rows."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    buffer.write(_BYTE_ORDER_MARK)
    for number, row in enumerate(rows, 1):
        writer.writerow([guarded(cell) for cell in row])
        if number % _ROWS_AT_ONCE == 0:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()
