"""The log: one line for each event, as JSON for machines or in columns for people."""

import json
import logging
import re
import sys
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from app.http.request_id import request_id_or_none
from config import Settings

Entry = MutableMapping[str, Any]

log = logging.getLogger(__name__)

# The logger in which gunicorn writes one line for each request.
REQUESTS = "gunicorn.access"

# How a line changes the colour of a terminal.
COLOUR = re.compile(r"\x1b\[[0-9;]*m")

# The attributes that every record has. The caller added all others.
STANDARD = frozenset([*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"])


def configure(settings: Settings) -> None:
    """Send everything that the process logs, libraries included, to standard error."""
    formatter = OneLine(as_json if settings.log_format == "json" else _for_people())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    # gunicorn does not pass these lines on to the root.
    logging.getLogger(REQUESTS).handlers = [handler]
    requests_of_flask_run = logging.getLogger("werkzeug")
    requests_of_flask_run.addFilter(_plain)
    # Without a level of its own, this logger would give itself INFO.
    requests_of_flask_run.setLevel(settings.log_level)
    # Alembic names each of its plugins when it is imported, which is after this.
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)
    root = logging.getLogger()
    for old in [h for h in root.handlers if type(h) is logging.StreamHandler]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(settings.log_level)


def announce(settings: Settings) -> None:
    """Warn of variables whose names are probably misspelt settings."""
    for sentence in settings.warnings:
        log.warning("%s", sentence)


class OneLine(logging.Formatter):
    """Lets structlog render a record with everything that the caller added to it.

    structlog's own formatter would copy the record several times, which costs
    time in each request.
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


# Made once: json.dumps would make a new encoder at each call with these options.
_encoder = json.JSONEncoder(ensure_ascii=True, default=repr)


def as_json(entry: Entry) -> str:
    if "exc_info" in entry:
        # Most short commands log nothing, so structlog is imported when a line needs it.
        from structlog.processors import format_exc_info

        entry = dict(format_exc_info(None, "", entry))
    return _encoder.encode(entry)


def _for_people() -> Callable[[Entry], str]:
    colors = sys.stderr.isatty()

    @cache
    def renderer() -> Callable[[Any, str, Entry], str]:
        from structlog import dev

        # structlog's rich one would print the values of variables, passwords among them.
        return dev.ConsoleRenderer(colors=colors, exception_formatter=dev.plain_traceback)

    return lambda entry: renderer()(None, "", _with_escapes(entry))


def load() -> None:
    """Load structlog, as the first line would. A server does it before it begins workers."""
    import structlog  # noqa: F401


def _plain(record: logging.LogRecord) -> bool:
    """Without the colours and line breaks of ``flask run``, which escapes what clients sent."""
    record.msg, record.args = COLOUR.sub("", record.getMessage()).replace("\n", " "), None
    return True


def _with_escapes(entry: Entry) -> Entry:
    """Show line breaks and terminal controls as escapes, so that no text can forge a line."""
    return {
        name: "".join(c if c.isprintable() else ascii(c)[1:-1] for c in value)
        if isinstance(value, str) and not value.isprintable()
        else value
        for name, value in entry.items()
    }
