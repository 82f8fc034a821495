"""JSON Lines and JSON arrays, one row at a time."""

import codecs
import json
import math
import re
from collections.abc import Iterator
from typing import Any

from app.moving.rows import MAX_ROW_BYTES, TOO_LONG, Lines, Readable, Row, UnfitFile, UnfitRow

CHUNK_BYTES = 2**16
WHITE_SPACE = " \t\r\n"
# The commands handle a row recursively, and Python limits the depth of its stack.
MAX_DEPTH = 64


def read_json_lines(lines: Lines) -> Iterator[Row]:
    values = _Values()
    while True:
        number = lines.number
        line, size = lines.next()
        if not size:
            return
        if size > MAX_ROW_BYTES:
            yield Row(number, lines.end, UnfitRow("malformed", TOO_LONG))
        elif line.strip():
            yield Row(number, lines.end, _object_of(line, values))


def _object_of(line: bytes, values: "_Values") -> dict[str, Any] | UnfitRow:
    try:
        text = line.decode().strip(WHITE_SPACE)
        value, end = values.first_of(text)
    except UnicodeDecodeError:
        return UnfitRow("not_utf8")
    except RecursionError:
        return UnfitRow("malformed", TOO_DEEP)
    except ValueError:
        return UnfitRow("malformed", NO_JSON)
    return UnfitRow("malformed", NO_JSON) if text[end:] else _object(value)


def _object(value: Any) -> dict[str, Any] | UnfitRow:
    if isinstance(value, dict | UnfitRow):
        return value
    return UnfitRow("malformed", "is not a JSON object")


def read_json(file: Readable, chunk: int = CHUNK_BYTES) -> Iterator[Row]:
    """Yield the elements of an array, or of the array that an object holds under ``users``.

    The content of an element that cannot be used is an ``UnfitRow``, and the
    next element follows. If another array follows, as in files that were put
    together, its elements follow. Anything else behind the array is refused,
    and never ignored.
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
            raise UnfitFile("The file is not JSON, or ends in the middle of an array.")
    text.take()


def _users(text: "_Text") -> Iterator[Any]:
    if text.take() != "{":
        raise UnfitFile("The file is neither a JSON array nor an object with an array of users.")
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
    # A file that was cut off behind the array still has all of its rows.
    if text.next() != "}" and not (found and not text.next()):
        raise UnfitFile("The file is not JSON, or ends in the middle of an object.")
    text.take()
    if not found:
        raise UnfitFile(
            "The file is a JSON object without an array of users. If each line is an object, "
            "use --format jsonl."
        )


TOO_DEEP = "is nested too deeply"
NO_JSON = "is not JSON"
CUT_OFF = "The file is not JSON, or ends in the middle of a value."


class _Values:
    """Reads JSON values. A value that no row may hold is read to its end, as ``UnfitRow``."""

    def __init__(self) -> None:
        self._objections: list[UnfitRow] = []
        self._decoder = json.JSONDecoder(
            object_pairs_hook=self._object,
            parse_int=self._integer,
            parse_float=self._float,
            # Python programs write NaN, which is not JSON, where a table has no value.
            parse_constant=lambda _constant: None,
        )

    def first_of(self, text: str) -> tuple[Any, int]:
        """The value that the text begins with, and where it ends.

        Raises ``ValueError`` if there is no value, or only a part of one.
        """
        self._objections.clear()
        value, end = self._decoder.raw_decode(text)
        if _is_too_deep(value, text, end):
            self._object_to(TOO_DEEP)
        return (self._objections[0] if self._objections else value), end

    def _object_to(self, sentence: str) -> None:
        self._objections.append(UnfitRow("malformed", sentence))

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            self._object_to("has a key twice")
        return found

    def _integer(self, digits: str) -> int:
        try:
            return int(digits)
        except ValueError:
            # Python refuses more than 4,300 digits, because reading them takes quadratic time.
            self._object_to("has a number with too many digits")
            return 0

    def _float(self, digits: str) -> float:
        number = float(digits)
        if math.isinf(number):
            self._object_to("has a number that is too large")
        return number


def _is_too_deep(value: Any, text: str, end: int) -> bool:
    if text.count("[", 0, end) + text.count("{", 0, end) <= MAX_DEPTH:
        return False
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
    return bool(level)


# The characters of a number. If a number reaches the end of the text at hand, it may continue.
NUMBER = re.compile(r"[-+.0-9eE]*")
# Bytes that are not UTF-8, as ``surrogateescape`` leaves them.
NOT_UTF_8 = re.compile("[\udc80-\udcff]")
STRUCTURE = re.compile(r'["\[\]{}, \t\r\n]')
IN_A_STRING = re.compile(r'["\\]')
# An escape that the end of the text at hand cuts off is not wrong. The longest ones are two
# escapes of six characters.
LONGEST_ESCAPE = 12


class _Text:
    """JSON text of which only the part at hand is in memory."""

    def __init__(self, file: Readable, chunk: int) -> None:
        self._file = file
        self._chunk = chunk
        self._decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
        self._values = _Values()
        self._rest = ""
        self.bytes_read = 0

    def next(self) -> str:
        """The next character that is not white space, without taking it; empty at the end."""
        self._rest = self._rest.lstrip(WHITE_SPACE)
        while not self._rest and self._more():
            self._rest = self._rest.lstrip(WHITE_SPACE)
        return self._rest[:1]

    def take(self) -> str:
        taken = self.next()
        self._rest = self._rest[1:]
        return taken

    def value(self) -> Any:
        """The whole next value, or the reason why no row may hold it. Raises ``UnfitFile``."""
        self.next()
        while True:
            try:
                value, end = self._values.first_of(self._rest)
            except RecursionError:
                self._skip()
                return UnfitRow("malformed", TOO_DEEP)
            except json.JSONDecodeError as error:
                if self._is_wrong_in_a_string(error):
                    self._skip()
                    return UnfitRow("malformed", NO_JSON)
                ended = False
            else:
                ended = NUMBER.match(self._rest).end() < len(self._rest)  # type: ignore[union-attr]
                ended = ended or not self._more()
            if ended:
                return self._taken(value, end)
            if len(self._rest) > MAX_ROW_BYTES:
                if self._skip() <= MAX_ROW_BYTES:
                    raise UnfitFile(CUT_OFF)
                return UnfitRow("malformed", TOO_LONG)
            if not self._more():
                raise UnfitFile(CUT_OFF)

    def _taken(self, value: Any, end: int) -> Any:
        text, self._rest = self._rest[:end], self._rest[end:]
        if len(text) > MAX_ROW_BYTES:
            return UnfitRow("malformed", TOO_LONG)
        return UnfitRow("not_utf8") if NOT_UTF_8.search(text) else value

    def _is_wrong_in_a_string(self, error: json.JSONDecodeError) -> bool:
        """Whether a string has an end, but holds characters that it must not hold.

        If a line ends within a string, its closing quote is probably missing.
        """
        return (
            error.msg.startswith("Invalid ")
            and self._rest[error.pos : error.pos + 1] not in ("\r", "\n")
            and error.pos + LONGEST_ESCAPE < len(self._rest)
        )

    def _skip(self) -> int:
        """Skip a value, which may be too large for memory. Returns its length.

        Raises ``UnfitFile`` if it has no end.
        """
        depth, in_a_string, position, length = 0, False, 0, 0
        while True:
            found = (IN_A_STRING if in_a_string else STRUCTURE).search(self._rest, position)
            if found is None:
                # The character behind a backslash may not be read yet.
                position = max(position - len(self._rest), 0)
                length, self._rest = length + len(self._rest), ""
                if not self._more():
                    raise UnfitFile(CUT_OFF)
                continue
            mark, position = found[0], found.end()
            if in_a_string:
                position += mark == "\\"
                in_a_string = mark != '"'
            elif mark == '"':
                in_a_string = True
            elif mark in "[{":
                depth += 1
            elif mark in "]}" and depth:
                depth -= 1
            elif not depth:
                # The character that ends a number or a word is not part of it.
                position = found.start()
            if not depth and not in_a_string:
                self._rest = self._rest[position:]
                return length + position

    def _more(self) -> bool:
        chunk = self._file.read(self._chunk)
        self.bytes_read += len(chunk)
        self._rest += self._decode(chunk, not chunk)
        return bool(chunk)
