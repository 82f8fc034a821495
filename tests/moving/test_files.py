"""Rows out of files and into them."""

import csv
import io
import json
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.moving import files
from app.moving.files import UnfitFile, UnfitRow

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)


def rows(content: str | bytes, form: str) -> list[Any]:
    """What is in each row: the object, or the code of why there is none."""
    encoded = content.encode() if isinstance(content, str) else content
    return [
        row.content.code if isinstance(row.content, UnfitRow) else row.content
        for row in files.read(io.BytesIO(encoded), form)
    ]


# JSON Lines


def test_each_line_is_a_row_and_blank_ones_are_none() -> None:
    assert rows('{"a": 1}\n\n  \r\n{"a": 2}', "jsonl") == [{"a": 1}, {"a": 2}]


def test_a_bad_line_is_told_and_the_next_one_follows() -> None:
    lines = b'{"a": 1}\nnonsense\n[1]\n{"a": "\xff"}\n{"a": 1, "a": 2}\n{"a": 2}\n'

    assert rows(lines, "jsonl") == [
        *({"a": 1}, "malformed", "malformed", "not_utf8", "malformed", {"a": 2})
    ]


def test_a_line_that_is_nested_without_end_is_told() -> None:
    assert rows("[" * 100_000 + '\n{"a": 1}', "jsonl") == ["malformed", {"a": 1}]


def test_rows_know_their_lines_and_how_far_the_file_is_read() -> None:
    content = b'{"a": 1}\n\n{"a": 2}\n'

    read = list(files.read(io.BytesIO(content), "jsonl"))

    assert [(row.line, row.end) for row in read] == [(1, 9), (3, len(content))]


def test_a_line_without_end_is_not_read_into_memory() -> None:
    with pytest.raises(UnfitFile, match="mebibyte"):
        rows(b" " * 2**21, "jsonl")


def test_a_line_that_is_too_long_is_told_and_the_next_one_follows() -> None:
    assert rows(b'{"a": "' + b"x" * 2**21 + b'"}\n{"a": 1}\n', "jsonl") == ["malformed", {"a": 1}]


def test_not_a_number_is_nothing() -> None:
    assert rows('{"a": NaN, "b": -Infinity}', "jsonl") == [{"a": None, "b": None}]


# JSON


@pytest.mark.parametrize("around", ["%s", '{"users": %s}', '{"a": {"users": [0]}, "users": %s, '])
def test_the_elements_of_an_array_are_rows(around: str) -> None:
    content = around % '[\n{"a": 1},\t{"a": "]}"} , 3, {"a": 12}]'

    assert rows(content, "json") == [{"a": 1}, {"a": "]}"}, "malformed", {"a": 12}]


@pytest.mark.parametrize("between", ["", "\n", " \r\n"])
def test_arrays_one_after_the_other_are_all_read(between: str) -> None:
    content = between.join(['[{"a": 1}]', '{"users": [{"a": 2}], "total": 1}', "[]", '[{"a": 3}]'])

    assert rows(content, "json") == [{"a": 1}, {"a": 2}, {"a": 3}]


@pytest.mark.parametrize(
    "after", ["x", "]", ", {}", '{"a": 2}', "7", "[", '[{"a": 2}', '{"users": [{"a": 2}]} x', "\0"]
)
def test_what_stands_behind_the_array_does_not_vanish_without_a_word(after: str) -> None:
    for array in ('[{"a": 1}]', '{"users": [{"a": 1}]}'):
        read = files.read(io.BytesIO((array + after).encode()), "json")
        assert next(read).content == {"a": 1}

        with pytest.raises(UnfitFile):
            list(read)


def test_what_stands_behind_the_array_within_its_object_is_read_to_its_end() -> None:
    content = '{"users": [{"a": 1}], "more": {"users": [9]}, "users": [{"a": 2}]}'

    assert rows(content, "json") == [{"a": 1}, {"a": 2}]


def test_an_empty_array_has_no_rows() -> None:
    assert rows(" [ ] ", "json") == []


@hypothesis.settings(max_examples=50, deadline=None, database=None)
@given(
    st.lists(st.dictionaries(TEXTS, st.one_of(TEXTS, st.integers(), st.none()), max_size=3)),
    st.integers(1, 7),
)
def test_an_array_reads_the_same_in_whatever_pieces(
    elements: list[dict[str, Any]], chunk: int
) -> None:
    whole, files.CHUNK_BYTES = files.CHUNK_BYTES, chunk
    try:
        read = rows(json.dumps(elements, ensure_ascii=False), "json")
    finally:
        files.CHUNK_BYTES = whole

    assert read == elements


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "7",
        '"users"',
        "[",
        '[{"a": 1}',
        '[{"a": 1} {"a": 2}]',
        '[{"a": 1}, oops]',
        '{"users": 7}',
        '{"people": []}',
        "[" + "[" * 100000,
        # Two quotes that are not closed would take what is between them for one row.
        '[{"a": "x},\n{"a": "y"},\n{"a": "z},\n{"a": 1}]',
        '[{"a": 1}' + " " * 2**21 + "oops]",
    ],
)
def test_what_is_no_array_is_refused(content: str) -> None:
    with pytest.raises(UnfitFile):
        rows(content, "json")


UNFIT = {
    "has a key twice": b'{"bio": "x", "bio": "y"}',
    "has a key twice further down": b'{"a": [[{"b": {"x": 1, "x": "]"}}]]}',
    "has a number with too many digits": b'{"a": [' + b"7" * 5000 + b"]}",
    "has a number that is too large": b'{"a": -1e400}',
    "is nested too deeply": b'{"a": ' + b"[" * 65 + b"]" * 65 + b"}",
    "is nested beyond Python's stack": b'{"a": "]", "b": '
    + b'[{"x": ' * 9999
    + b"1"
    + b"}]" * 9999
    + b"}",
    "is longer than a mebibyte": b'{"a": "\\"' + b"x]" * 2**20 + b'", "b": [{}]}',
    "is little longer than a mebibyte": b'{"a": "' + b"x" * 2**20 + b'"}',
    "has escapes where it is cut": b'{"a": "' + b'\\"]' * 2**20 + b'"}',
    "is a number longer than a mebibyte": b"7" * 2**21,
    "has a byte that is not UTF-8": b'{"a": "caf\xe9"}',
    "has a tab in a string": b'{"a": "x\ty, [", "b": 1}',
    "has an escape that there is not": b'{"a": "\\x41, [", "b": 1}',
    "is a word": b"true",
    "is a text": b'"{}"',
    "is an array": b"[[], {}]",
}


@pytest.mark.parametrize("chunk", [7, 2**16])
@pytest.mark.parametrize(
    "form", ["%s\n%s\n%s\n", "[%s, %s, %s]", '{"a": 1.5, "users": [%s,%s,%s]}']
)
@pytest.mark.parametrize("unfit", UNFIT.values(), ids=UNFIT.keys())
def test_one_row_that_is_unfit_is_told_and_the_next_one_follows(
    unfit: bytes, form: str, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if len(unfit) > 2**15 and chunk == 7:
        pytest.skip("takes long, and the long chunk is shorter than that row as well")
    monkeypatch.setattr(files, "CHUNK_BYTES", chunk)
    content = form.encode() % (b'{"a": 1}', unfit, b'{"a": 3}')

    read = rows(content, "jsonl" if form.startswith("%s") else "json")

    is_not_utf_8 = b"\xe9" in unfit
    assert read == [{"a": 1}, "not_utf8" if is_not_utf_8 else "malformed", {"a": 3}]


@pytest.mark.parametrize("unfit", UNFIT.values(), ids=UNFIT.keys())
def test_what_stands_beside_the_users_may_be_anything(unfit: bytes) -> None:
    content = b'{"a": %s, "users": [{"a": 1}], "b": %s}' % (unfit, unfit)

    assert rows(content, "json") == [{"a": 1}]


def test_a_lone_surrogate_is_a_text_that_a_field_refuses() -> None:
    for form, content in (("jsonl", '{"a": "\\ud800"}'), ("json", '[{"a": "\\ud800"}]')):
        assert rows(content, form) == [{"a": "\ud800"}]


# CSV


def test_the_first_line_names_the_columns() -> None:
    assert rows("a,b\n1,\n2,x\n", "csv") == [{"a": "1", "b": ""}, {"a": "2", "b": "x"}]


def test_cells_may_hold_lines_and_quotes() -> None:
    content = 'a,b\r\n"one\r\ntwo","say ""hi"""\r\n3,4\r\n'

    read = list(files.read(io.BytesIO(content.encode()), "csv"))

    assert [row.content for row in read] == [
        {"a": "one\r\ntwo", "b": 'say "hi"'},
        {"a": "3", "b": "4"},
    ]
    assert [row.line for row in read] == [2, 4]


def test_a_bad_row_of_csv_is_told_and_the_next_one_follows() -> None:
    content = b'a,b\n1\n1,2,3\n"x"y,1\n\xff,1\n1,2\n'

    assert rows(content, "csv") == [
        *("malformed", "malformed", "malformed", "not_utf8", {"a": "1", "b": "2"})
    ]


@pytest.mark.parametrize("rows_after", [3, 2592])
@pytest.mark.parametrize("opening", ['"x,1', '1,"x', 'x"y,"', '"'])
def test_no_row_vanishes_behind_a_quote_that_is_not_closed(opening: str, rows_after: int) -> None:
    lines = ["a,b", "0,0", opening, *(f"{n},{n}" for n in range(rows_after))]

    read = list(files.read(io.BytesIO("\n".join(lines).encode()), "csv"))

    assert [row.line for row in read] == list(range(2, rows_after + 4))
    assert isinstance(read[1].content, UnfitRow)
    assert [row.content for row in read[2:]] == [
        {"a": str(n), "b": str(n)} for n in range(rows_after)
    ]
    assert read[-1].end == len("\n".join(lines))


def test_no_row_vanishes_between_two_quotes_that_are_not_closed() -> None:
    content = 'a,b,c\n1,"x,2\n3,y,4\n5,"z,6\n7,w,8\n'

    assert rows(content, "csv") == [
        *("malformed", {"a": "3", "b": "y", "c": "4"}),
        *("malformed", {"a": "7", "b": "w", "c": "8"}),
    ]


def test_a_quote_that_is_not_closed_costs_no_more_than_a_mebibyte() -> None:
    content = 'a,b\n1,"x\n' + f"2,{'y' * 100}\n" * 30_000

    read = rows(content, "csv")

    assert (len(read), read[0]) == (30_001, "malformed")


def test_a_cell_may_be_long_and_a_row_may_not() -> None:
    content = f'a,b\n1,"{"x" * 200_000}"\n2,"{"x" * 2**21}"\n3,y\n'

    assert rows(content, "csv") == [
        *({"a": "1", "b": "x" * 200_000}, "malformed", {"a": "3", "b": "y"})
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_head_tells_what_separates_the_cells(delimiter: str) -> None:
    content = f"a{delimiter}b\n1{delimiter}x,y;z\n".replace("x,y;z", '"x,y;z"')

    assert rows(content, "csv") == [{"a": "1", "b": "x,y;z"}]
    assert rows(content.encode("utf-8-sig"), "csv") == [{"a": "1", "b": "x,y;z"}]


def test_the_line_for_excel_is_no_head() -> None:
    assert rows("sep=;\r\na;b\r\n1;2\r\n", "csv") == [{"a": "1", "b": "2"}]


@pytest.mark.parametrize("head", ["a,a", "a,", '"a', ""])
def test_columns_without_a_name_of_their_own_are_refused(head: str) -> None:
    with pytest.raises(UnfitFile):
        rows(f"{head}\n1,2\n", "csv")


# Encodings


@pytest.mark.parametrize(
    ("form", "content"),
    [("jsonl", '{"a": "é"}'), ("json", '[{"a": "é"}]'), ("csv", "a\né\n")],
)
def test_a_byte_order_mark_is_not_part_of_the_text(form: str, content: str) -> None:
    assert rows(content.encode("utf-8-sig"), form) == rows(content, form) == [{"a": "é"}]


@pytest.mark.parametrize("form", files.FORMATS)
def test_utf_16_is_refused_with_advice(form: str) -> None:
    with pytest.raises(UnfitFile, match="Save it as UTF-8"):
        rows('{"a": 1}'.encode("utf-16"), form)


@pytest.mark.parametrize("form", files.FORMATS)
@pytest.mark.parametrize(
    "content",
    [
        *('{"a": 1}'.encode(encoding) for encoding in ("utf-16-le", "utf-16-be", "utf-32")),
        *(b"PK\x03\x04 and so on", b"\x1f\x8b and so on"),
    ],
)
def test_what_is_no_text_is_refused_with_advice(form: str, content: bytes) -> None:
    with pytest.raises(UnfitFile, match="Save it as"):
        rows(content, form)


@pytest.mark.parametrize("content", [b"a,caf\xe9\n1,2\n", b"a,b\r1,2\r"])
def test_a_head_that_is_not_utf_8_or_has_the_whole_file_is_refused(content: bytes) -> None:
    with pytest.raises(UnfitFile, match=r"UTF-8|CR only"):
        rows(content, "csv")


# Formulas


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_begins_like_a_formula(start: str) -> None:
    cell = files.to_cell(f"{start}cmd|' /C calc'!A0")

    assert cell == f"'{start}cmd|' /C calc'!A0"


@hypothesis.settings(max_examples=200, deadline=None, database=None)
@given(st.one_of(st.none(), TEXTS, st.sampled_from(["", "'", "''", "'=1", "=1", "\r\n", "-"])))
def test_every_text_comes_back_out_of_its_cell(text: str | None) -> None:
    cell = files.to_cell(text)

    assert files.from_cells({"a": cell}) == {"a": text}
    assert not cell.startswith(files.FORMULA_STARTS)


@hypothesis.settings(max_examples=50, deadline=None, database=None)
@given(st.lists(st.fixed_dictionaries({"a": TEXTS, "b": st.one_of(st.none(), TEXTS)})))
def test_what_is_written_as_csv_reads_back(written: list[dict[str, Any]]) -> None:
    file = io.StringIO(newline="")

    number = files.write(file, "csv", ("a", "b"), written)

    read = [files.from_cells(row) for row in rows(file.getvalue(), "csv")]
    assert (number, read) == (len(written), written)
    assert next(iter(csv.reader(io.StringIO(file.getvalue())))) == ["a", "b"]
