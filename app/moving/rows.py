"""The parts of a file of rows: its lines, its rows, and the errors in them."""

from collections import deque
from dataclasses import dataclass
from typing import Any, Protocol

# A row longer than this is refused; all fields of an account together are far shorter.
MAX_ROW_BYTES = 2**20
SKIPPED_AT_ONCE = 2**16


class UnfitFile(ValueError):
    """The file as a whole cannot be read; the text says why."""


class UnfitRow(ValueError):
    """This row is refused. ``code`` tells programs the reason, the text tells people."""

    def __init__(self, code: str, sentence: str = "") -> None:
        self.code = code
        super().__init__(sentence or code)


@dataclass(frozen=True)
class Row:
    """One row: the line where it begins, how far the file is read after it, and its content."""

    line: int
    end: int
    content: dict[str, Any] | UnfitRow


class Readable(Protocol):
    """The methods that a file must have. A pipe has only these."""

    def read(self, size: int, /) -> bytes: ...

    def readline(self, size: int, /) -> bytes: ...


class Started:
    """A file whose first bytes were read already; it gives them again. A pipe cannot be rewound."""

    def __init__(self, start: bytes, file: Readable) -> None:
        self._start, self._file = start, file

    def read(self, size: int, /) -> bytes:
        part, self._start = self._start[:size], self._start[size:]
        return part or self._file.read(size)

    def readline(self, size: int, /) -> bytes:
        end = self._start.find(b"\n") + 1
        part = self._start[:end] if end else self._start
        self._start = self._start[len(part) :]
        return part if end else part + self._file.readline(size - len(part))


class Lines:
    """The lines of a file, one after the other. Some can be put back.

    ``number`` is the number of the next line. ``end`` says how many bytes come
    before it.
    """

    def __init__(self, file: Readable) -> None:
        self._file = file
        self._waiting: deque[tuple[bytes, int]] = deque()
        self.number, self.end = 1, 0

    def next(self) -> tuple[bytes, int]:
        """The line and how many bytes of the file it takes; empty at the end.

        If a line is too long, this returns only its beginning, and holds no
        more than that in memory.
        """
        line, size = self._waiting.popleft() if self._waiting else self._read()
        self.end += size
        self.number += bool(size)
        return line, size

    def put_back(self, lines: list[tuple[bytes, int]]) -> None:
        self._waiting.extendleft(reversed(lines))
        self.end -= sum(size for _, size in lines)
        self.number -= len(lines)

    def _read(self) -> tuple[bytes, int]:
        line = self._file.readline(MAX_ROW_BYTES + 1)
        size, last = len(line), line
        while len(line) > MAX_ROW_BYTES and last and not last.endswith(b"\n"):
            last = self._file.readline(SKIPPED_AT_ONCE)
            size += len(last)
        if len(line) > MAX_ROW_BYTES and not last:
            raise UnfitFile("The file ends in a line of more than a mebibyte.")
        return line, size


TOO_LONG = "is longer than a mebibyte"
