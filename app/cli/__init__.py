"""The commands for operators: ``flask users …``, ``flask keys …`` and the others."""

from typing import cast

import click
from flask import Flask
from flask.cli import FlaskGroup

from app.cli.by_name import Commands
from app.cli.refusals import in_one_sentence

COMMANDS = {
    "audit": "app.cli.audit:audit",
    # It takes the place of the group that Flask-Migrate adds.
    "db": "app.cli.migrating:migrations",
    "db-copy": "app.cli.db_copy:db_copy",
    "doctor": "app.cli.doctor:doctor",
    "keys": "app.cli.keys:keys",
    "mail": "app.cli.mail_testing:mail",
    "outbox": "app.cli.outbox:outbox",
    "passwords": "app.cli.passwords:passwords",
    "prune": "app.cli.prune:prune",
    "roles": "app.cli.roles:roles",
    "sessions": "app.cli.sessions:sessions",
    "settings": "app.cli.settings:settings",
    "users": "app.cli.groups:users",
    "version": "app.cli.version:version",
}
# These look at everything: the checks and the mails of all parts.
NEED_ALL = frozenset({"doctor", "mail", "outbox", "prune"})


def commands() -> Commands:
    return Commands(COMMANDS, need_all=NEED_ALL)


def is_looked_for() -> bool:
    """Whether ``flask`` makes the application to look for a command in it.

    Flask's own commands run already when they make it: ``flask run``,
    ``flask shell`` and ``flask routes``.
    """
    context = click.get_current_context(silent=True)
    return context is not None and isinstance(context.command, FlaskGroup)


def end_in_one_sentence() -> None:
    """Let the running command, if there is one, end in one sentence when it fails.

    Call it before anything can fail. It also covers `flask db` and Flask's own
    commands, which are not ours.
    """
    context = click.get_current_context(silent=True)
    if context is not None:
        context.find_root().with_resource(in_one_sentence())


def init_app(app: Flask) -> None:
    """Correct the commands that libraries have added."""
    _write_openapi_in_utf_8(app)
    _hide_commands_of_libraries(app)


def _hide_commands_of_libraries(app: Flask) -> None:
    """They still run, but `flask --help` lists what an operator of this application needs."""
    for name in ("limiter", "openapi"):
        if name in app.cli.commands:
            app.cli.commands[name].hidden = True


def _write_openapi_in_utf_8(app: Flask) -> None:
    """JSON is UTF-8, and flask-smorest's `flask openapi write` takes the locale's encoding."""
    group = cast(click.Group, app.cli.commands["openapi"])
    for parameter in group.commands["write"].params:
        if isinstance(parameter.type, click.File):
            parameter.type.encoding = "utf-8"
