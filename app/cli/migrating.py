"""``flask db …``: the commands of Flask-Migrate, which end as our own commands do."""

from typing import Any

import click
import flask_migrate
from flask_migrate.cli import db as theirs

from app.cli.refusals import OperatorCommand, OperatorGroup


class AlembicConfig(flask_migrate.Config):  # type: ignore[misc]  # Flask-Migrate has no types
    """Alembic's configuration, whose output goes where standard output is now.

    Alembic itself keeps the stream that it found when it was imported, which
    is ``None`` where a shell has closed it. It also ignores errors of that
    stream, so that output is lost with exit status 0 on a full disk.
    """

    def print_stdout(self, text: str, *arguments: Any) -> None:
        click.echo(str(text) % arguments if arguments else str(text))


# Flask-Migrate makes each configuration of the class that it finds under this name.
flask_migrate.Config = AlembicConfig

migrations = OperatorGroup("db", help=theirs.help, params=theirs.params, callback=theirs.callback)
for _name, _command in theirs.commands.items():
    migrations.add_command(
        OperatorCommand(
            _name, help=_command.help, params=_command.params, callback=_command.callback
        )
    )
