"""Writing log lines in batches."""

import logging
import os
from collections import deque
from contextlib import suppress
from select import PIPE_BUF
from threading import Event, Lock, Thread
from time import sleep
from typing import Any

# How long such a line may wait for others.
MOMENT_SECONDS = 0.02
# As many may wait for a stream that takes none; the oldest are dropped then.
MOST_LINES = 100_000


class WrittenTogether(logging.StreamHandler):  # type: ignore[type-arg]
    """Lines that are written a moment later, as many together as have come by then.

    Each write lets all other threads run first, and whoever wants to write
    next waits for it, which a busy server would pay for with every request.
    What the process has not written when it is killed is lost, and so is
    what cannot be written, to a full disk for instance.
    """

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._lines: deque[str] = deque(maxlen=MOST_LINES)
        self._has_some = Event()
        self._beginning = Lock()
        self._writing = Lock()
        # The process whose thread writes; after a fork that is not this one.
        self._process = 0

    def handle(self, record: logging.LogRecord) -> bool:
        """Without the lock of other handlers: each line is put into the queue in one step."""
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
        """Write what there is. Logging does so when the process ends."""
        with self._writing:
            some, size = "", 0
            while line := self._next():
                size += len(line.encode())
                if some and size > PIPE_BUF:
                    # In one piece, a pipe would mix it with the lines of another process.
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
            # Whatever is wrong with the stream, the next lines may find it well again.
            with suppress(OSError, ValueError):
                self.flush()
