"""The commands for operators: ``flask users …``, ``flask keys …`` and the others."""

from flask import Flask

from app.cli import audit, doctor, keys, moving, outbox, prune, roles, users


def init_app(app: Flask) -> None:
    app.cli.add_command(users.users)
    app.cli.add_command(roles.roles)
    app.cli.add_command(keys.keys)
    app.cli.add_command(outbox.outbox)
    app.cli.add_command(audit.audit)
    app.cli.add_command(prune.prune)
    app.cli.add_command(moving.db_copy)
    app.cli.add_command(doctor.doctor)
