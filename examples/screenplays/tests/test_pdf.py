"""The PDF file: its pages, and what is written on them."""

import base64
import re
import zlib

import pytest
from screenplays import paper, pdf
from screenplays.errors import TooManyPages
from screenplays.fountain import parse


def pages_of(text: str, title: str = "Big Fish") -> list[str]:
    """What each page of the file draws, in the language of PDF."""
    file = pdf.file(title, parse(text))
    streams = re.findall(rb"stream\r?\n(.*?)endstream", file, re.DOTALL)
    assert file.startswith(b"%PDF-")
    return [
        zlib.decompress(base64.a85decode(b"<~" + one.strip(), adobe=True)).decode("latin-1")
        for one in streams
    ]


def test_each_element_has_its_place_and_the_title_a_page_of_its_own() -> None:
    title, page = pages_of(
        "Title: Big Fish\n\nINT. RIVER - night #7A#\n\nA *big* fish.\n\nEDWARD\nYes."
    )

    assert "(Big Fish) Tj" in title
    # An inch has 72 points, and the text begins an inch and a half from the left.
    places = re.findall(r"1 0 0 1 ([\d.]+) ([\d.]+) Tm \((.*?)\) Tj", page)
    assert places == [
        ("108", "708", "INT. RIVER - NIGHT"),
        ("57.6", "708", "7A"),
        ("108", "684", "A "),
        ("122.4", "684", "big"),
        ("144", "684", " fish."),
        ("266.4", "660", "EDWARD"),
        ("180", "648", "Yes."),
    ]


def test_its_pages_are_those_that_the_scenes_name() -> None:
    lines = "\n".join(f"Line {number}." for number in range(53))
    script = f"INT. ONE - DAY\n\n{lines}\n\nINT. TWO - DAY\n\nShort."

    first, second = pages_of(script)

    assert paper.pages(parse(script)) == 2
    assert "Line 52." in first
    assert "INT. TWO - DAY" in second
    assert "(2.) Tj" in second


def test_a_heading_and_a_name_do_not_end_a_page() -> None:
    lines = "\n".join(f"Line {number}." for number in range(53))

    for last in ("INT. TWO - DAY\n\nShort.", "EDWARD\nBig one."):
        placed = list(paper.placed(parse(f"{lines}\n\n{last}")))
        assert {paper.page_of(one.start) for one in placed[1:]} == {2}, last


def test_long_lines_are_broken_between_words_and_chinese_anywhere() -> None:
    text = "A river that is long, " * 4 + "山" * 40

    rows = [text[start:end] for start, end in paper.rows(text, 61)]

    assert all(paper.columns(row) <= 61 for row in rows)
    assert rows[0] == "A river that is long, A river that is long, A river that is"
    assert "".join(rows).count("山") == 40


def test_every_character_is_written_and_none_is_a_command() -> None:
    [page] = pages_of(r"(a) Tj \ 鱼 Ж “…” 😀", title="😀 鱼")

    assert r"(\(a\) Tj \\ ) Tj" in page
    # Their numbers in Unicode. A mark stands for the last one, which the font lacks.
    assert [r"(\234|)" in page, r"(\004\026)" in page, r"(0\023)" in page] == [True] * 3


def test_a_file_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    # It has few pages, and very many changes of the font.
    with pytest.raises(TooManyPages):
        pdf.file("Mixed", parse("山a" * 35_000))

    monkeypatch.setattr(pdf, "MOST_PAGES", 2)
    with pytest.raises(TooManyPages):
        pdf.file("Long", parse("a\n\n" * 90))
