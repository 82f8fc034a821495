"""``flask version``: the version of this application."""

import click

from app.cli.refusals import OperatorCommand
from app.version import VERSION


@click.command(cls=OperatorCommand)
def version() -> None:
    """Print the version of this application, like 0.2.0.

    It is the version of the code in this folder. A server that was started
    before an upgrade may still run the old code: ask it with GET /healthz, or
    read user_system_build_info in GET /metrics. For the versions of Python and
    Flask use `flask --version`.

    \b
        flask version
    """
    click.echo(VERSION)
