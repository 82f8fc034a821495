"""The log: one line an event, as JSON for machines or in columns for people."""

import json
import logging
import os
import sys
from collections import deque
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from datetime import UTC, datetime
from select import PIPE_BUF
from threading import Event, Lock, Thread
from time import sleep
from typing import Any

import structlog

from app.request_id import request_id_or_none
from config import Settings

Entry = MutableMapping[str, Any]

# Where gunicorn writes one line a request.
REQUESTS = "gunicorn.access"
# How long such a line may wait for others.
MOMENT_SECONDS = 0.02
# As many may wait for a stream that takes none; the oldest are dropped then.
MOST_LINES = 100_000

# What every record has of its own; the rest is what the caller added.
STANDARD = frozenset([*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"])


def configure(settings: Settings) -> None:
    """Send everything that the process logs, libraries included, to standard error."""
    formatter = OneLine(as_json if settings.log_format == "json" else _for_people())
    together = WrittenTogether(sys.stderr)
    together.setFormatter(formatter)
    logging.getLogger(REQUESTS).handlers = [together]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for old in [h for h in root.handlers if type(h) is logging.StreamHandler]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(settings.log_level)


class OneLine(logging.Formatter):
    """A record with all that was added to it, rendered by structlog.

    structlog's own formatter copies it several times on the way, which each
    request pays for.
    """

    def __init__(self, render: Callable[[Entry], str]) -> None:
        super().__init__()
        self._render = render

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        entry: dict[str, Any] = {
            "timestamp": at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        entry |= {name: value for name, value in vars(record).items() if name not in STANDARD}
        request_id = request_id_or_none()
        if request_id is not None:
            entry.setdefault("request_id", request_id)
        if record.exc_info:
            entry["exc_info"] = record.exc_info
        return self._render(entry)


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


# Made once: json.dumps makes one each time that it is asked for anything unusual.
_encoder = json.JSONEncoder(ensure_ascii=True, default=repr)
_render_json = structlog.processors.JSONRenderer(lambda entry, **_: _encoder.encode(entry))


def as_json(entry: Entry) -> str:
    if "exc_info" in entry:
        entry = structlog.processors.format_exc_info(None, "", entry)
    return str(_render_json(None, "", entry))


def _for_people() -> Callable[[Entry], str]:
    renderer = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(),
        # The richer one prints the values of variables, passwords among them.
        exception_formatter=structlog.dev.plain_traceback,
    )
    return lambda entry: renderer(None, "", _with_escapes(entry))


def _with_escapes(entry: Entry) -> Entry:
    """Show line breaks and terminal controls as escapes: no text makes a line of its own."""
    return {
        name: "".join(c if c.isprintable() else ascii(c)[1:-1] for c in value)
        if isinstance(value, str) and not value.isprintable()
        else value
        for name, value in entry.items()
    }
