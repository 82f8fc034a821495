"""A screenplay on paper: which line of which page each of its elements takes.

A page of a screenplay in Courier 12 has 55 lines, and takes about a minute of
film. The scenes are measured by these pages, and the PDF file has them.
"""

import html
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from screenplays import fountain
from screenplays.fountain import Element, Script

LINES_OF_PAGE = 55
# How many characters a line has. Chinese characters take the place of two.
WIDTHS = {
    fountain.DIALOGUE: 35,
    fountain.LYRICS: 35,
    fountain.PARENTHETICAL: 25,
    fountain.CHARACTER: 38,
}
WIDTH = 61
# Before these there is no empty line.
SPOKEN = (fountain.DIALOGUE, fountain.PARENTHETICAL, fountain.LYRICS)
# How many lines must follow on the same page, so that a heading or a name does not end it.
KEPT_WITH = {fountain.SCENE: 2, fountain.CHARACTER: 1, fountain.PARENTHETICAL: 1}
# The author's own order of things is not on the page.
UNSEEN = (fountain.SECTION, fountain.SYNOPSIS)


# A part of a line, and what emphasizes it: some of the letters b, i and u.
Piece = tuple[str, str]
TAG = re.compile("<(/?)([biu])>")


@dataclass(frozen=True)
class Placed:
    """An element with its lines. ``start`` counts lines from the beginning of the first page."""

    element: Element
    start: int
    lines: tuple[tuple[Piece, ...], ...]

    @property
    def end(self) -> int:
        return self.start + len(self.lines)


def placed(script: Script) -> Iterator[Placed]:
    """The elements that are on paper, in their order."""
    line = 0
    for element in script.elements:
        if element.kind in UNSEEN:
            continue
        if element.kind == fountain.PAGE_BREAK:
            line = _top_of_page(line)
            continue
        is_apart = element.kind not in SPOKEN and line % LINES_OF_PAGE > 0
        one = Placed(element, line + is_apart, tuple(_lines(element)))
        following = KEPT_WITH.get(element.kind, 0)
        if following and one.start % LINES_OF_PAGE + len(one.lines) + following > LINES_OF_PAGE:
            one = Placed(element, _top_of_page(line), one.lines)
        yield one
        line = one.end


def pages(script: Script) -> int:
    """How many pages the script has."""
    last = max((one.end for one in placed(script)), default=0)
    return max(1, -(-last // LINES_OF_PAGE))


def page_of(line: int) -> int:
    return line // LINES_OF_PAGE + 1


def columns(text: str) -> int:
    """How many columns of Courier the text takes."""
    return len(text) if text.isascii() else sum(1 + is_wide(character) for character in text)


def is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in "WF"


def pieces(text: str) -> list[Piece]:
    """A line without the signs of emphasis, cut where the emphasis changes."""
    if not fountain.SIGNS.search(text):
        return [(text, "")]
    shown = fountain.emphasized(html.escape(text))
    found, styles, last = [], "", 0
    for tag in TAG.finditer(shown):
        found.append((shown[last : tag.start()], styles))
        styles = styles.replace(tag[2], "") if tag[1] else styles + tag[2]
        last = tag.end()
    found.append((shown[last:], styles))
    return [(html.unescape(part), style) for part, style in found if part]


def rows(text: str, width: int) -> Iterator[tuple[int, int]]:
    """Where each line of the text begins and ends, if no line has more columns than ``width``."""
    start = 0
    while columns(text[start : start + width + 1]) > width:
        end = _end_of_row(text, start, width)
        yield start, end
        start = end + text.startswith(" ", end)
    yield start, len(text)


def _end_of_row(text: str, start: int, width: int) -> int:
    """After the last word that fits. Chinese may be cut anywhere, and a long word where it must."""
    end = start + 1
    room = width - columns(text[start])
    while (room := room - columns(text[end])) >= 0:
        end += 1
    for place in range(end, start, -1):
        if text[place] == " " or is_wide(text[place]) or is_wide(text[place - 1]):
            return place
    return end


def _lines(element: Element) -> Iterator[tuple[Piece, ...]]:
    width = WIDTHS.get(element.kind, WIDTH)
    text = element.text.upper() if element.kind == fountain.SCENE else element.text
    for line in text.split("\n"):
        whole = pieces(line)
        if len(whole) == 1:
            [(plain, style)] = whole
            yield from (((plain[start:end], style),) for start, end in rows(plain, width))
            continue
        plain = "".join(part for part, _ in whole)
        styles = [style for part, style in whole for _ in part]
        for start, end in rows(plain, width):
            runs = groupby(range(start, end), styles.__getitem__)
            yield tuple(("".join(plain[place] for place in run), style) for style, run in runs)


def _top_of_page(line: int) -> int:
    """This line if it is the first of a page, or the first of the next page."""
    return -(-line // LINES_OF_PAGE) * LINES_OF_PAGE
