"""The log: one line an event, as JSON for machines or in columns for people."""

import logging
import sys
from typing import Any

import structlog

from app.request_id import request_id_or_none
from config import Settings


def configure(settings: Settings) -> None:
    """Send everything that the process logs, libraries included, to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(settings.log_format))
    root = logging.getLogger()
    for old in [h for h in root.handlers if type(h) is logging.StreamHandler]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(settings.log_level)


def _formatter(log_format: str) -> structlog.stdlib.ProcessorFormatter:
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_request_id,
    ]
    last: list[Any] = (
        [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=True),
        ]
        if log_format == "json"
        else [
            _escape_unprintable,
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(),
                # The richer one prints the values of variables, passwords among them.
                exception_formatter=structlog.dev.plain_traceback,
            ),
        ]
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )


def _escape_unprintable(_logger: object, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Show line breaks and terminal controls as escapes: no text makes a line of its own."""
    return {
        name: "".join(c if c.isprintable() else ascii(c)[1:-1] for c in value)
        if isinstance(value, str)
        else value
        for name, value in event.items()
    }


def _add_request_id(_logger: object, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    request_id = request_id_or_none()
    if request_id is not None:
        event.setdefault("request_id", request_id)
    return event
