"""Writing log lines in batches."""

import logging
import os
from collections import deque
from contextlib import suppress
from select import PIPE_BUF
from threading import Event, Lock, Thread
from time import sleep
from typing import Any

# How long a line may wait for others.
MOMENT_SECONDS = 0.02
# How many lines may wait for a stream that takes none. Beyond that, the oldest are dropped.
MOST_LINES = 100_000


class WrittenTogether(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes lines a moment later, together with the others that have come by then.

    Each write lets all other threads run first, and the next writer waits for
    that. A busy server would pay for it with every request. Lines are lost if
    the process is killed before it has written them, or if they cannot be
    written, for instance to a full disk.
    """

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._lines: deque[str] = deque(maxlen=MOST_LINES)
        self._has_some = Event()
        self._beginning = Lock()
        self._writing = Lock()
        # The process whose thread writes. After a fork it is another than this one.
        self._process = 0

    def handle(self, record: logging.LogRecord) -> bool:
        """Needs no lock, unlike other handlers: each line enters the queue in one step."""
        if is_wanted := bool(self.filter(record)):
            self.emit(record)
        return is_wanted

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.append(self.format(record) + self.terminator)
        except Exception:
            self.handleError(record)
        if self._process != os.getpid():
            self._begin()
        if not self._has_some.is_set():
            self._has_some.set()

    def flush(self) -> None:
        """Write all lines that wait. Logging calls this when the process ends."""
        with self._writing:
            some, size = "", 0
            while line := self._next():
                size += len(line.encode())
                if some and size > PIPE_BUF:
                    # A pipe would mix a longer piece with the lines of another process.
                    self._write(some)
                    some, size = "", len(line.encode())
                some += line
            self._write(some)

    def _next(self) -> str:
        try:
            return self._lines.popleft()
        except IndexError:
            return ""

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()

    def _begin(self) -> None:
        with self._beginning:
            if self._process != os.getpid():
                self._process, self._writing = os.getpid(), Lock()
                Thread(target=self._write_on, name="requests log", daemon=True).start()

    def _write_on(self) -> None:
        while True:
            self._has_some.wait()
            self._has_some.clear()
            sleep(MOMENT_SECONDS)
            # The stream may work again when the next lines come.
            with suppress(OSError, ValueError):
                self.flush()
