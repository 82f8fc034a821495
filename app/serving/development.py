"""``flask run``: the development server also delivers mail and seals the audit log."""

import atexit
from typing import TYPE_CHECKING

import click
from flask import Flask
from flask.cli import run_command
from flask.helpers import get_debug_flag
from werkzeug.serving import is_running_from_reloader

if TYPE_CHECKING:
    from app.serving.background import Stop


# A reload and Ctrl-C wait at most this long until the background work has given back what it holds.
LAST_SECONDS = 5


def port() -> int | None:
    """The port of ``flask run``, if that is the running command."""
    context = _running()
    return context.params["port"] if context else None


def init_app(app: Flask) -> None:
    """Start the background work if ``flask run`` is about to serve this application."""
    context = _running()
    if context is None or _only_watches(context):
        return
    # Of all commands, only this one does the work of a server.
    from app.serving import background

    atexit.register(_stop, background.start_all(app))


def _running() -> click.Context | None:
    context = click.get_current_context(silent=True)
    return context if context and context.command is run_command else None


def _only_watches(context: click.Context) -> bool:
    """Whether this process starts the one that serves, and starts it again when a file changes."""
    reloads = context.params["reload"]
    return (get_debug_flag() if reloads is None else reloads) and not is_running_from_reloader()


def _stop(works: "list[Stop]") -> None:
    for stop in works:
        stop.set()
    for stop in works:
        stop.wait_for_end(LAST_SECONDS)
