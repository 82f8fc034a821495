"""Reading Fountain, the plain-text format of screenplays (https://fountain.io/syntax).

The result is a title page and a list of elements. Notes and what is commented
out ("boneyard") are left out of it, as they are of a printed page.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

SCENE, ACTION, CHARACTER, PARENTHETICAL = "scene", "action", "character", "parenthetical"
DIALOGUE, LYRICS, TRANSITION, CENTERED = "dialogue", "lyrics", "transition", "centered"
SECTION, SYNOPSIS, PAGE_BREAK = "section", "synopsis", "page_break"

# For a text that is twice as long, each of these takes twice as long, whatever the text holds. It
# has up to 400,000 characters, and everybody who can read it can have it parsed.
HEADING = re.compile(r"(?:INT|EXT|EST|INT\./EXT|INT/EXT|EXT\./INT|EXT/INT|I/E)[. ]", re.IGNORECASE)
NUMBER = re.compile(r"#([\w.-]{1,20})#$")
TITLE_KEY = re.compile(r"([^\s:][^:]*):(.*)")
EXTENSION = re.compile(r"\([^()]*\)")
INDENTED = re.compile(r"[ \t]{3,}|\t")


@dataclass(frozen=True)
class Element:
    """A part of a screenplay. ``text`` is without the signs that say which kind it is."""

    kind: str
    text: str
    # Of a scene: the number that its author gave it.
    number: str = ""
    # Of a section: 1 for an act, 2 for a sequence, and so on.
    level: int = 0
    # Of a character: whether these lines stand beside those of the character before.
    is_dual: bool = False


@dataclass(frozen=True)
class Script:
    # Names and values, like ("Title", "Big Fish").
    title_page: tuple[tuple[str, str], ...] = ()
    elements: tuple[Element, ...] = field(default=())


def parse(text: str) -> Script:
    """Read a screenplay. Every text is a screenplay: lines of no other kind are action."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _without(text, "/*", "*/")
    # A note may have several lines, but no empty one. Two spaces keep a line from being empty.
    text = "\n\n".join(_without(block, "[[", "]]") for block in text.split("\n\n"))
    title_page, lines = _title_page(text.split("\n"))
    return Script(title_page, tuple(_elements(lines)))


def _without(text: str, opening: str, closing: str) -> str:
    """The text without what stands between the signs. One that is not closed is text."""
    kept = []
    place = 0
    while (start := text.find(opening, place)) >= 0:
        end = text.find(closing, start + len(opening))
        if end < 0:
            break
        kept.append(text[place:start])
        place = end + len(closing)
    return "".join([*kept, text[place:]])


def _title_page(lines: list[str]) -> tuple[tuple[tuple[str, str], ...], list[str]]:
    """The pairs at the top of the text, up to the first empty line, and the lines after them."""
    end = next((place for place, line in enumerate(lines) if not line.strip()), len(lines))
    # Each key, and the lines of its value.
    pairs: list[tuple[str, list[str]]] = []
    for line in lines[:end]:
        if pairs and INDENTED.match(line):
            pairs[-1][1].append(line.strip())
        elif (found := TITLE_KEY.fullmatch(line)) and not _is_heading(line):
            pairs.append((found[1].strip(), [found[2].strip()]))
        else:
            return (), lines
    # A single line like "FADE IN:" or "CUT TO:" is the beginning of the script.
    if not any(any(value) for _, value in pairs):
        return (), lines
    return tuple((key, "\n".join(value).strip()) for key, value in pairs), lines[end:]


def _elements(lines: list[str]) -> Iterator[Element]:
    place = 0
    while place < len(lines):
        line = lines[place]
        # A line of two spaces is empty, but it does not end a dialogue.
        if not line.strip():
            place += 1
            continue
        is_after_empty = place == 0 or not lines[place - 1].strip()
        is_before_empty = place + 1 >= len(lines) or not lines[place + 1].strip()
        if is_after_empty and _is_character(line.strip()) and not _is_blank(lines, place + 1):
            yield _character(line.strip())
            place += 1
            while not _is_blank(lines, place):
                yield _spoken(lines[place].strip())
                place += 1
            continue
        one = _one_line(
            line.strip(), is_after_empty=is_after_empty, is_before_empty=is_before_empty
        )
        if one:
            yield one
            place += 1
            continue
        # Action keeps its line ends and its indentation.
        block = [_unforced(line)]
        place += 1
        while place < len(lines) and lines[place].strip():
            if _one_line(lines[place].strip(), is_after_empty=False, is_before_empty=False):
                break
            block.append(_unforced(lines[place]))
            place += 1
        yield Element(ACTION, "\n".join(block).replace("\t", "    ").rstrip())


def _one_line(text: str, *, is_after_empty: bool, is_before_empty: bool) -> Element | None:
    """The element if the line is one by itself, and not action or a part of a dialogue."""
    if text.startswith("!"):
        return None
    if re.fullmatch("={3,}", text):
        return Element(PAGE_BREAK, "")
    if text.startswith("="):
        return Element(SYNOPSIS, text[1:].strip())
    if text.startswith("#"):
        name = text.lstrip("#")
        return Element(SECTION, name.strip(), level=len(text) - len(name))
    if text.startswith("~"):
        return Element(LYRICS, text[1:].strip())
    if text.startswith(">"):
        if text.endswith("<"):
            return Element(CENTERED, text[1:-1].strip())
        return Element(TRANSITION, text[1:].strip())
    if _is_forced_heading(text) or (is_after_empty and _is_heading(text)):
        heading = text[1:] if _is_forced_heading(text) else text
        if number := NUMBER.search(heading):
            return Element(SCENE, heading[: number.start()].strip(), number=number[1])
        return Element(SCENE, heading.strip())
    if is_after_empty and is_before_empty and _is_upper(text) and text.endswith("TO:"):
        return Element(TRANSITION, text)
    return None


def _is_blank(lines: list[str], place: int) -> bool:
    """Whether the line ends a dialogue. One with two spaces does not."""
    return place >= len(lines) or (not lines[place].strip() and len(lines[place]) < 2)


def _is_heading(text: str) -> bool:
    return HEADING.match(text) is not None


def _is_forced_heading(text: str) -> bool:
    # Action may begin with an ellipsis.
    return text.startswith(".") and not text.startswith("..") and len(text) > 1


def _is_character(text: str) -> bool:
    if text.startswith("@"):
        return len(text) > 1
    if text[0] in "!.>~#=" or _is_heading(text):
        return False
    name = EXTENSION.sub("", text.removesuffix("^")).strip()
    return _is_upper(name) and not name.endswith(":")


def _is_upper(text: str) -> bool:
    """Whether it has letters, and no small ones. Chinese has neither, and needs an ``@``."""
    return text.isupper()


def _character(text: str) -> Element:
    is_dual = text.endswith("^")
    return Element(CHARACTER, text.removesuffix("^").removeprefix("@").strip(), is_dual=is_dual)


def _spoken(text: str) -> Element:
    if text.startswith("(") and text.endswith(")"):
        return Element(PARENTHETICAL, text)
    if text.startswith("~"):
        return Element(LYRICS, text[1:].strip())
    return Element(DIALOGUE, text)


def _unforced(line: str) -> str:
    return line.replace("!", "", 1) if line.lstrip().startswith("!") else line


# The signs of emphasis, and those that a backslash makes ordinary characters.
SIGNS = re.compile(r"\\[*_\\]|\*{1,3}|_")
TAGS = {
    "***": ("<b><i>", "</i></b>"),
    "**": ("<b>", "</b>"),
    "*": ("<i>", "</i>"),
    "_": ("<u>", "</u>"),
}


def emphasized(escaped: str) -> str:
    """Turn the signs of emphasis into HTML. The text has been escaped for HTML already."""
    return "\n".join(map(_emphasized_line, escaped.split("\n")))


def _emphasized_line(line: str) -> str:
    """A sign begins emphasis before a letter, and ends it after one. Other signs are text."""
    pieces: list[str] = []
    # The signs that may begin emphasis, with their places in ``pieces``.
    opened: list[tuple[str, int]] = []
    waiting = dict.fromkeys(TAGS, 0)
    last = 0
    for found in SIGNS.finditer(line):
        sign = found[0]
        pieces.append(line[last : found.start()])
        last = found.end()
        if sign not in TAGS:
            pieces.append(sign[1])
            continue
        if waiting[sign] and not line[found.start() - 1].isspace():
            while opened:
                inner, place = opened.pop()
                waiting[inner] -= 1
                if inner == sign:
                    pieces[place] = TAGS[sign][0]
                    break
            pieces.append(TAGS[sign][1])
            continue
        if not line[last : last + 1].isspace() and last < len(line):
            opened.append((sign, len(pieces)))
            waiting[sign] += 1
        pieces.append(sign)
    return "".join([*pieces, line[last:]])
