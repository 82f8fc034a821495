"""The commands for operators: ``flask users …``, ``flask keys …`` and the others."""

from typing import cast

import click
from flask import Flask

from app.cli import (
    api_keys,
    audit,
    db_copy,
    doctor,
    editing,
    exporting,
    factors,
    identities,
    importing,
    keys,
    listing,
    mail_testing,
    migrating,
    outbox,
    passwords,
    prune,
    roles,
    sessions,
    settings,
    unlocking,
    users,
    version,
)
from app.cli.refusals import in_one_sentence

# These have added their commands to the group of users.
_ADDED = (editing, listing, unlocking)

# The commands that move accounts have their own files.
users.users.add_command(importing.import_users)
users.users.add_command(exporting.export_users)
# So have those that know the second factors.
users.users.add_command(factors.show)
users.users.add_command(factors.reset_factors)
users.users.add_command(api_keys.keys)
# And the one that knows linked identities.
users.users.add_command(identities.show_identities)


def end_in_one_sentence() -> None:
    """Let the running command, if there is one, end in one sentence when it fails.

    Call it before anything can fail. It also covers `flask db` and Flask's own
    commands, which are not ours.
    """
    context = click.get_current_context(silent=True)
    if context is not None:
        context.find_root().with_resource(in_one_sentence())


def init_app(app: Flask) -> None:
    _write_openapi_in_utf_8(app)
    _hide_commands_of_libraries(app)
    app.cli.add_command(users.users)
    app.cli.add_command(roles.roles)
    app.cli.add_command(sessions.sessions)
    app.cli.add_command(mail_testing.mail)
    app.cli.add_command(settings.settings)
    app.cli.add_command(keys.keys)
    app.cli.add_command(passwords.passwords)
    app.cli.add_command(outbox.outbox)
    app.cli.add_command(audit.audit)
    app.cli.add_command(prune.prune)
    app.cli.add_command(db_copy.db_copy)
    app.cli.add_command(doctor.doctor)
    app.cli.add_command(version.version)
    # This replaces the group that Flask-Migrate has added.
    app.cli.add_command(migrating.migrations)


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
