"""A screenplay as a PDF file, with the pages that ``paper.py`` measures.

Courier and the Chinese font are in every program that shows PDF files, so they
are not in the file. ``reportlab`` writes it.
"""

from collections.abc import Iterable, Sequence
from io import BytesIO
from itertools import groupby

from reportlab.lib.pagesizes import LETTER
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas

from screenplays import fountain, paper
from screenplays.errors import TooManyPages
from screenplays.fountain import Element, Script
from screenplays.paper import LINES_OF_PAGE, WIDTH, Piece, Placed

# In points, of which an inch has 72.
SIZE, LINE, COLUMN = 12, 12, 7.2
LEFT, TOP = 108, LETTER[1] - 72
# The column in which the lines of an element begin.
INDENTS = {
    fountain.DIALOGUE: 10,
    fountain.LYRICS: 10,
    fountain.PARENTHETICAL: 16,
    fountain.CHARACTER: 22,
}
FONTS = {
    "": "Courier",
    "b": "Courier-Bold",
    "i": "Courier-Oblique",
    "bi": "Courier-BoldOblique",
}
COURIER = frozenset(bytes(range(32, 256)).decode("cp1252", "ignore"))
# This font has the other characters of the first 65,536. A mark stands for those that are later.
OTHERS, MISSING = "STSong-Light", "〓"
pdfmetrics.registerFont(UnicodeCIDFont(OTHERS))
# Where the title page begins, in lines.
TITLE = 18
# Five films. A text that is all empty lines could have a hundred times as many.
MOST_PAGES = 600
# Chinese lines with names and numbers change the font a few times each. A text that does it at each
# character would take 20 seconds.
MOST_CHANGES_OF_FONT = 60_000


def file(title: str, script: Script) -> bytes:
    """The file. Its first page has no number, as usual. Raises ``TooManyPages``."""
    placed = list(paper.placed(script))
    if placed and placed[-1].end > MOST_PAGES * LINES_OF_PAGE:
        raise TooManyPages
    if _changes_of_font(placed) > MOST_CHANGES_OF_FONT:
        raise TooManyPages
    written = BytesIO()
    # Two files of the same screenplay are the same, which their time would prevent.
    canvas = Canvas(written, pagesize=LETTER, invariant=True)
    canvas.setTitle(title)
    canvas.setCreator("")
    if script.title_page:
        _write_title_page(canvas, script)
        canvas.showPage()
    number = 1
    for one in placed:
        for place, line in enumerate(one.lines, one.start):
            while number < paper.page_of(place):
                canvas.showPage()
                number += 1
                _write(canvas, 58, -3, [(f"{number}.", "")])
            _write_line(canvas, one.element, place % LINES_OF_PAGE, line)
            if one.element.number and place == one.start:
                # The number that the author gave to a scene stands in the margin.
                number_of_scene = [(one.element.number, "b")]
                _write(canvas, -7, place % LINES_OF_PAGE, number_of_scene)
    canvas.showPage()
    canvas.save()
    return written.getvalue()


def _changes_of_font(placed: Iterable[Placed]) -> int:
    pieces = (text for one in placed for line in one.lines for text, _ in line)
    return sum(1 for text in pieces for _ in groupby(text, COURIER.__contains__))


def _write_title_page(canvas: Canvas, script: Script) -> None:
    line = TITLE
    for key, value in script.title_page:
        for text in value.split("\n"):
            for start, end in paper.rows(text, WIDTH):
                bold = "b" if key.casefold() == "title" else ""
                parts = [(part, style or bold) for part, style in paper.pieces(text[start:end])]
                if line < LINES_OF_PAGE:
                    _write(canvas, _centered(parts), line, parts)
                line += 1
        line += 1


def _write_line(canvas: Canvas, element: Element, line: int, parts: Sequence[Piece]) -> None:
    column = float(INDENTS.get(element.kind, 0))
    if element.kind == fountain.TRANSITION:
        column = WIDTH - _columns(parts)
    elif element.kind == fountain.CENTERED:
        column = _centered(parts)
    always = {fountain.SCENE: "b", fountain.LYRICS: "i"}.get(element.kind, "")
    _write(canvas, column, line, [(text, style + always) for text, style in parts])


def _columns(parts: Sequence[Piece]) -> int:
    return sum(paper.columns(text) for text, _ in parts)


def _centered(parts: Sequence[Piece]) -> float:
    return (WIDTH - _columns(parts)) / 2


def _write(canvas: Canvas, column: float, line: int, parts: Sequence[Piece]) -> None:
    """Write a line of the page. The first one is 0."""
    x, y = LEFT + column * COLUMN, TOP - (line + 1) * LINE
    for text, style in parts:
        font = FONTS["".join(sorted({*style} - {"u"}))]
        whole = x
        for is_courier, run in groupby(text, COURIER.__contains__):
            written = "".join(run)
            width = paper.columns(written) * COLUMN
            if is_courier:
                canvas.setFont(font, SIZE)
                canvas.drawString(x, y, written)
            else:
                _write_others(canvas, x, y, written, width)
            x += width
        if "u" in style:
            canvas.line(whole, y - 2, x, y - 2)


def _write_others(canvas: Canvas, x: float, y: float, text: str, width: float) -> None:
    """Characters of another font, as wide as those of Courier."""
    text = "".join(one if ord(one) < 0x10000 else MISSING for one in text)
    letters = canvas.beginText(x, y)
    letters.setFont(OTHERS, SIZE)
    letters.setHorizScale(100 * width / pdfmetrics.stringWidth(text, OTHERS, SIZE))
    letters.textOut(text)
    letters.setHorizScale(100)
    canvas.drawText(letters)
