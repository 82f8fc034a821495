"""A screenplay as pages: how long its scenes are, and how it looks in HTML."""

import base64
import hashlib
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from markupsafe import Markup, escape

from screenplays import fountain
from screenplays.fountain import Element, Script

# A page of a screenplay in Courier 12 has about 55 lines, and takes about a minute of film.
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
# The author's own order of things is not on the page.
UNSEEN = (fountain.SECTION, fountain.SYNOPSIS)
STYLES = (Path(__file__).parent / "static" / "screenplay.css").read_text(encoding="utf-8")
STYLES_HASH = base64.b64encode(hashlib.sha256(STYLES.encode()).digest()).decode()
# For a file that nobody should be able to make dangerous, whatever it says.
POLICY = f"default-src 'none'; style-src 'sha256-{STYLES_HASH}'; sandbox; frame-ancestors 'none'"


@dataclass(frozen=True)
class Scene:
    number: str
    heading: str
    # The page on which it begins, and how many pages it has, in eighths, as scripts are counted.
    page: int
    pages: float


def scenes(script: Script) -> list[Scene]:
    """The scenes in their order. One that its author did not number has its place as number."""
    starts: list[tuple[Element, int]] = []
    line = 0
    for element in script.elements:
        if element.kind == fountain.SCENE:
            starts.append((element, line))
        line = _line_after(line, element)
    bounds = [start for _, start in starts] + [line]
    return [
        Scene(
            number=element.number or str(place),
            heading=element.text,
            page=start // LINES_OF_PAGE + 1,
            pages=max(1, ceil((end - start) * 8 / LINES_OF_PAGE)) / 8,
        )
        for place, ((element, start), end) in enumerate(zip(starts, bounds[1:], strict=True), 1)
    ]


def pages(script: Script) -> int:
    line = 0
    for element in script.elements:
        line = _line_after(line, element)
    return max(1, ceil(line / LINES_OF_PAGE))


def body(script: Script) -> Markup:
    """The title page and the script, to put into a page."""
    return Markup("\n").join([*_title_page(script), *_written(script)])


def document(title: str, script: Script, language: str = "") -> str:
    """A file of its own, which looks the same everywhere and loads nothing."""
    lang = Markup(' lang="{}"').format(language) if language else ""
    return Markup(
        '<!doctype html>\n<html{}>\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        "<title>{}</title>\n<style>{}</style>\n</head>\n"
        '<body class="file">\n<main class="screenplay">\n{}\n</main>\n</body>\n</html>\n'
    ).format(lang, title, Markup(STYLES), body(script))  # noqa: S704 — our own file


def _line_after(line: int, element: Element) -> int:
    if element.kind in UNSEEN:
        return line
    if element.kind == fountain.PAGE_BREAK:
        return ceil(line / LINES_OF_PAGE) * LINES_OF_PAGE
    before = 0 if element.kind in SPOKEN or line % LINES_OF_PAGE == 0 else 1
    width = WIDTHS.get(element.kind, WIDTH)
    return line + before + sum(_height(text, width) for text in element.text.split("\n"))


def _height(text: str, width: int) -> int:
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return max(1, ceil((len(text) + wide) / width))


def _title_page(script: Script) -> Iterator[Markup]:
    if not script.title_page:
        return
    yield Markup('<header class="title-page">')
    for key, value in script.title_page:
        name = "title" if key.casefold() == "title" else "fact"
        yield Markup('<p class="{}">{}</p>').format(name, _lines(value))
    yield Markup("</header>")


def _written(script: Script) -> Iterator[Markup]:
    place = 0
    for element in script.elements:
        if element.kind in UNSEEN:
            continue
        if element.kind == fountain.PAGE_BREAK:
            yield Markup("<hr>")
        elif element.kind == fountain.SCENE:
            place += 1
            number = element.number or str(place)
            yield Markup('<h2 id="scene-{}"><span class="number">{}</span> {}</h2>').format(
                place, number, _lines(element.text)
            )
        else:
            kind = element.kind + (" dual" if element.is_dual else "")
            yield Markup('<p class="{}">{}</p>').format(kind, _lines(element.text))


def _lines(text: str) -> Markup:
    """Text with its emphasis. It is escaped first, so that nothing in it becomes HTML."""
    shown = fountain.emphasized(str(escape(text)))
    return Markup(shown.replace("\n", "<br>"))  # noqa: S704 — escaped above
