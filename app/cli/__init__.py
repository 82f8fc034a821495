"""The commands for operators: ``flask users …``, ``flask keys …`` and the others."""

import click
from flask import Flask

from app.cli import audit, doctor, importing, keys, moving, outbox, prune, roles, users
from app.cli.refusals import in_one_sentence

# Accounts move by commands that have files of their own.
users.users.add_command(importing.import_users)
users.users.add_command(moving.export_users)


def init_app(app: Flask) -> None:
    context = click.get_current_context(silent=True)
    if context is not None:
        # `flask db` and Flask's own commands belong to others, and end in one sentence as well.
        context.find_root().with_resource(in_one_sentence())
    app.cli.add_command(users.users)
    app.cli.add_command(roles.roles)
    app.cli.add_command(keys.keys)
    app.cli.add_command(outbox.outbox)
    app.cli.add_command(audit.audit)
    app.cli.add_command(prune.prune)
    app.cli.add_command(moving.db_copy)
    app.cli.add_command(doctor.doctor)
