"""Runs background work. A failure is logged and counted, and stops nothing else."""

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from flask import Flask

from app.observability import metrics

log = logging.getLogger(__name__)

Result = TypeVar("Result")


def attempt(
    app: Flask, name: str, function: Callable[..., Result], *arguments: object
) -> Result | None:
    """Call a function in an application context of its own. Returns ``None`` if it fails.

    The end of the context can fail as well, because it gives a connection
    back. A failure is logged and counted, and stops nothing else.
    """
    try:
        with app.app_context():
            return function(*arguments)
    except BaseException:
        note_failure(name)
        return None


def note_failure(name: str) -> None:
    with suppress(Exception):
        log.exception("background work failed; the process goes on", extra={"work": name})
    with suppress(Exception):
        metrics.BACKGROUND_WORK_FAILURES.labels(name).inc()
