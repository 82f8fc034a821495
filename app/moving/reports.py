"""The report of an import: one JSON object for each row, with its outcome and the reason."""

import json
import math
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from app.moving.candidates import Outcome

Tell = Callable[[list[Outcome]], int]


class NotWritten(Exception):
    """The report cannot be written; the text says why."""


@contextmanager
def report_to(report: Path | None, written_before: int) -> Iterator[Tell]:
    """Yield a function that writes outcomes, and returns the length of the report with them.

    Text beyond ``written_before`` was written after the last checkpoint. It is
    cut off, because those rows come again. Raises ``NotWritten``.
    """
    if report is None:
        yield lambda _outcomes: 0
        return
    with _refusing():
        opened = _opened(report)
    # A device or a pipe has no length, and belongs to the whole machine.
    is_file = stat.S_ISREG(os.fstat(opened.fileno()).st_mode)

    def tell(outcomes: list[Outcome]) -> int:
        with _refusing():
            opened.write(b"".join(as_json(outcome) + b"\n" for outcome in outcomes))
            opened.flush()
            return opened.tell() if is_file else 0

    try:
        with _refusing():
            if is_file:
                opened.truncate(min(written_before, os.fstat(opened.fileno()).st_size))
                opened.seek(0, os.SEEK_END)
        yield tell
    finally:
        # A failure to write was reported already.
        with suppress(OSError):
            opened.close()


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NotWritten(error.strerror or str(error)) from None


def _opened(report: Path) -> BinaryIO:
    """The report. Only you can read a new file; an existing file keeps its mode."""
    try:
        descriptor = os.open(report, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        descriptor = os.open(report, os.O_WRONLY | os.O_CREAT, 0o600)
    return os.fdopen(descriptor, "wb")


def as_json(outcome: Outcome) -> bytes:
    told: dict[str, Any] = {
        "line": outcome.line,
        "outcome": outcome.outcome,
        "reason": outcome.reason,
        "id": outcome.id,
        "source_id": outcome.source_id,
    }
    if isinstance(outcome.source_id, float) and not math.isfinite(outcome.source_id):
        told["source_id"] = None
    text = json.dumps(told | outcome.details, ensure_ascii=False, default=str)
    # UTF-8 cannot write half of a character (a lone surrogate). JSON can, with the same escape as
    # Python.
    return text.encode("utf-8", "backslashreplace")
