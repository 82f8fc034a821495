"""The scenes of a screenplay, and how it looks in HTML."""

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from markupsafe import Markup, escape

from screenplays import fountain, paper
from screenplays.fountain import Script
from screenplays.paper import UNSEEN, Placed

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
    starts: list[Placed] = []
    end = 0
    for one in paper.placed(script):
        if one.element.kind == fountain.SCENE:
            starts.append(one)
        end = one.end
    ends = [*(one.start for one in starts), end][1:]
    return [
        Scene(
            number=one.element.number or str(place),
            heading=one.element.text,
            page=paper.page_of(one.start),
            pages=max(1, ceil((end - one.start) * 8 / paper.LINES_OF_PAGE)) / 8,
        )
        for place, (one, end) in enumerate(zip(starts, ends, strict=True), 1)
    ]


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
