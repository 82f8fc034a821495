"""A spreadsheet runs nothing that somebody has typed."""

import csv
import io

from app.http import spreadsheets
from tests.cases import each


@each("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_no_cell_begins_like_a_formula(start: str) -> None:
    assert spreadsheets.guarded(f"{start}1+1") == f"'{start}1+1"


@each("between", ["", '"', '""', " ", ' "'])
def test_no_cell_begins_like_one_where_a_semicolon_parts_cells(between: str) -> None:
    """A quote is doubled in the file, and there it is a cell with nothing in quotes, and more."""
    assert spreadsheets.guarded(f"Ada;{between}=1+1") == f"Ada;{between}'=1+1"


@each("text", ["", "Ada", "O'Hara", "ada@example.com", "a-b", "7", "1 = 1"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert spreadsheets.guarded(text) == text


def test_all_rows_are_written_as_utf_8_that_excel_knows() -> None:
    rows = [("name",), *((f'"李", {number}',) for number in range(250))]

    written = "".join(spreadsheets.written(rows))

    assert written.startswith("\ufeff")
    read = list(csv.reader(io.StringIO(written.removeprefix("\ufeff"), newline="")))
    assert read == [list(row) for row in rows]
