"""The logo: read once at the start, and refused if it is not a picture that a page may show.

An SVG is a document. Opened by itself it could run scripts on our origin, and as
a picture it could load others. So only elements that draw are allowed, and
references only lead to the file itself.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from xml.parsers import expat

from configuration.refusals import Wrong

MOST_BYTES = 100 * 1024
WANTED = "Write the path of a PNG, WebP or SVG file of at most 100 KiB"

SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"
XML = "http://www.w3.org/XML/1998/namespace"
ELEMENTS = frozenset(
    """svg g defs symbol use title desc metadata style path rect circle ellipse line polyline
    polygon text tspan textPath image clipPath mask pattern marker linearGradient radialGradient
    stop filter feBlend feColorMatrix feComponentTransfer feComposite feConvolveMatrix
    feDiffuseLighting feDisplacementMap feDistantLight feDropShadow feFlood feFuncA feFuncB feFuncG
    feFuncR feGaussianBlur feMerge feMergeNode feMorphology feOffset fePointLight
    feSpecularLighting feSpotLight feTile feTurbulence""".split()
)
# Drawing programs write notes in these namespaces. Browsers ignore them.
NOTES = (
    "http://sodipodi.sourceforge.net/",
    "http://www.inkscape.org/namespaces/",
    "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "http://creativecommons.org/ns#",
    "http://web.resource.org/cc/",
    "http://purl.org/dc/elements/1.1/",
)
PICTURE_INSIDE = re.compile(r"data:image/(png|jpeg|webp|gif);base64,[A-Za-z0-9+/=\s]*")
# A backslash could hide the name of a function.
LOADING_CSS = re.compile(
    r"\\|@import|url\((?!\s*[\"']?\s*#)|(image|image-set|cross-fade|src)\(", re.IGNORECASE
)


@dataclass(frozen=True)
class Logo:
    content: bytes = field(repr=False)
    media_type: str
    suffix: str

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the content. A URL with it may be cached for ever."""
        return hashlib.sha256(self.content).hexdigest()


def brand_logo(text: str) -> Logo | None:
    if not text:
        return None
    try:
        if not Path(text).is_file():
            raise Wrong(f"is {text!r}, which is not a file. {WANTED}.")
        with Path(text).open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise Wrong(f"is {text!r}, which cannot be read ({error.strerror}). {WANTED}.") from None
    if len(content) > MOST_BYTES:
        raise Wrong(f"is {text!r}, which is larger than 100 KiB. {WANTED}.")
    if content.startswith(b"\x89PNG\r\n\x1a\n") and b"IEND" in content:
        return Logo(content, "image/png", "png")
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP" and _is_complete_riff(content):
        return Logo(content, "image/webp", "webp")
    if reason := _flaw_of_svg(content):
        raise Wrong(f"is {text!r}, which is not a PNG or WebP, and as an SVG {reason}. {WANTED}.")
    return Logo(content, "image/svg+xml", "svg")


def _is_complete_riff(content: bytes) -> bool:
    return len(content) >= int.from_bytes(content[4:8], "little") + 8


class _Refused(Exception):
    """The SVG has something that a logo must not have."""


def _flaw_of_svg(content: bytes) -> str:
    """Why this SVG is refused, as the end of a sentence; empty if it is fine."""
    reading = _Reading()
    # The names of elements and attributes are given as "namespace name".
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = reading.start
    parser.EndElementHandler = reading.end
    parser.CharacterDataHandler = reading.text
    parser.StartDoctypeDeclHandler = reading.document_type
    parser.ProcessingInstructionHandler = reading.instruction
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        return f"it cannot be read ({error})"
    except _Refused as refused:
        return str(refused)
    return ""


class _Reading:
    """Looks at each part of an SVG. Raises ``_Refused``."""

    def __init__(self) -> None:
        self.open: list[str] = []
        self.style = ""

    def start(self, full_name: str, attributes: Mapping[str, str]) -> None:
        namespace, _, name = full_name.rpartition(" ")
        if not self.open and (namespace, name) != (SVG, "svg"):
            raise _Refused(f"it begins with <{name}>, not with <svg> in the namespace {SVG}")
        if self.open and self.open[-1] == "style":
            raise _Refused("it has an element in <style>")
        self.open.append(name if namespace == SVG else "")
        if namespace.startswith(NOTES):
            return
        if namespace != SVG or name not in ELEMENTS:
            raise _Refused(f"it has the element <{name}>, which is not allowed in a logo")
        for attribute, value in attributes.items():
            _look_at_attribute(*attribute.rpartition(" ")[::2], value)

    def text(self, text: str) -> None:
        if self.open and self.open[-1] == "style":
            self.style += text

    def end(self, _name: str) -> None:
        if self.open.pop() == "style":
            if LOADING_CSS.search(self.style):
                raise _Refused("its style loads something, or has a backslash")
            self.style = ""

    def document_type(
        self, _name: str, _system: str | None, _public: str | None, has_entities: int
    ) -> None:
        if has_entities:
            raise _Refused("it declares entities")

    def instruction(self, name: str, _text: str) -> None:
        raise _Refused(f"it has the processing instruction <?{name}?>")


def _look_at_attribute(namespace: str, name: str, value: str) -> None:
    if namespace not in ("", XLINK, XML):
        return
    if name.lower().startswith("on"):
        raise _Refused(f"it has the event handler {name}")
    if name in ("href", "src", "base"):
        if not value.startswith("#") and not PICTURE_INSIDE.fullmatch(value):
            raise _Refused(f"its attribute {name} leads outside the file")
    elif LOADING_CSS.search(value):
        raise _Refused(f"its attribute {name} loads something, or has a backslash")
