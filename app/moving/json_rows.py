"""JSON Lines and JSON arrays, one row at a time."""

import codecs
import json
from collections.abc import Iterator
from typing import Any

from app.moving.rows import MAX_ROW_BYTES, TOO_LONG, Lines, Readable, Row, UnfitFile, UnfitRow

CHUNK_BYTES = 2**16


def read_json_lines(lines: Lines) -> Iterator[Row]:
    while True:
        number = lines.number
        line, size = lines.next()
        if not size:
            return
        if size > MAX_ROW_BYTES:
            yield Row(number, lines.end, UnfitRow("malformed", TOO_LONG))
        elif line.strip():
            yield Row(number, lines.end, _object_of(line))


def _object_of(line: bytes) -> dict[str, Any] | UnfitRow:
    try:
        return _object(_DECODER.decode(line.decode().strip(" \t\r\n")))
    except UnicodeDecodeError:
        return UnfitRow("not_utf8")
    except UnfitRow as reason:
        return reason
    except (ValueError, RecursionError):
        return UnfitRow("malformed", "is no JSON")


def _object(value: Any) -> dict[str, Any] | UnfitRow:
    return value if isinstance(value, dict) else UnfitRow("malformed", "is no JSON object")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise UnfitRow("malformed", "has a key twice")
    return dict(pairs)


def _nothing(_constant: str) -> None:
    """Python programs write NaN, which is no JSON, where a table has nothing."""


_DECODER = json.JSONDecoder(object_pairs_hook=_without_duplicates, parse_constant=_nothing)


def read_json(file: Readable, chunk: int = CHUNK_BYTES) -> Iterator[Row]:
    """The elements of an array, or of the array that an object holds under ``users``.

    Where another array follows, as in files that were put together, its
    elements follow. What else follows is refused, never passed over.
    """
    text = _Text(file, chunk)
    number = 0
    if not text.next():
        raise UnfitFile("The file is empty.")
    while text.next():
        for value in _elements(text) if text.next() == "[" else _users(text):
            number += 1
            yield Row(number, text.bytes_read, _object(value))


def _elements(text: "_Text") -> Iterator[Any]:
    text.take()
    while text.next() != "]":
        yield text.value()
        if text.next() == ",":
            text.take()
        elif text.next() != "]":
            raise UnfitFile("The file is no JSON, or ends in the midst of an array.")
    text.take()


def _users(text: "_Text") -> Iterator[Any]:
    if text.take() != "{":
        raise UnfitFile("The file is no JSON array, nor an object with an array of users.")
    found = False
    while text.next() == '"':
        name = text.value()
        if text.take() != ":":
            break
        if name == "users" and text.next() == "[":
            found = True
            yield from _elements(text)
        else:
            text.value()
        if text.next() == ",":
            text.take()
    # A file that was cut off behind the array has all of its rows.
    if text.next() != "}" and not (found and not text.next()):
        raise UnfitFile("The file is no JSON, or ends in the midst of an object.")
    text.take()
    if not found:
        raise UnfitFile(
            "The file is a JSON object without an array of users. If each line is an object, "
            "say --format jsonl."
        )


class _Text:
    """JSON text of which only the part at hand is in memory."""

    def __init__(self, file: Readable, chunk: int) -> None:
        self._file = file
        self._chunk = chunk
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._rest = ""
        self.bytes_read = 0

    def next(self) -> str:
        """The next character that is no white space, not taken yet; empty at the end."""
        self._rest = self._rest.lstrip(" \t\r\n")
        while not self._rest and self._more():
            self._rest = self._rest.lstrip(" \t\r\n")
        return self._rest[:1]

    def take(self) -> str:
        taken = self.next()
        self._rest = self._rest[1:]
        return taken

    def value(self) -> Any:
        """The next value whole. Raises ``UnfitFile``."""
        self.next()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._rest)
                # A number might go on in what is not read yet.
                if end < len(self._rest) or not self._more():
                    self._rest = self._rest[end:]
                    return value
            except UnfitRow as reason:
                raise UnfitFile(f"An element {reason}.") from None
            except (ValueError, RecursionError):
                if len(self._rest) > MAX_ROW_BYTES or not self._more():
                    raise UnfitFile("The file is no JSON, or ends in the midst of it.") from None

    def _more(self) -> bool:
        chunk = self._file.read(self._chunk)
        self.bytes_read += len(chunk)
        try:
            self._rest += self._decode(chunk, not chunk)
        except UnicodeDecodeError:
            raise UnfitFile("The file is not in UTF-8.") from None
        return bool(chunk)
