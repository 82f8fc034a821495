"""``flask db-copy``: copies one database into another."""

import sys
from collections import Counter

import click
from flask import current_app
from flask.cli import with_appcontext
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

import config
from app.cli.quiet import log_held_back
from app.cli.refusals import OperatorCommand, database_refusal
from app.database import copying
from app.database.engines import open_other
from app.extensions import db
from configuration.database_url import database_url


@click.command("db-copy", cls=OperatorCommand)
@click.option(
    "--to",
    "target",
    metavar="URL",
    help="The database to copy into. Leave the password out: others can see it in the process "
    "list. PGPASSWORD or ~/.pgpass can hold it.",
)
@click.option(
    "--to-env",
    metavar="NAME",
    help="The environment variable that holds the URL of the database to copy into.",
)
@with_appcontext
def db_copy(target: str | None, to_env: str | None) -> None:
    """Copy the whole database into another one, which is empty.

    It copies from SQLite to PostgreSQL or the other way round. It copies
    everything as of one instant, and compares both databases in the end. If
    anything fails, it copies nothing. The target must have its tables. Keep
    the target's URL in a variable, so that the password is not in the process
    list:

    \b
        export TARGET_URL=postgresql://…
        DATABASE_URL="$TARGET_URL" flask db upgrade
        flask db-copy --to-env TARGET_URL
    """
    engine = open_other(_target(target, to_env), current_app.config["SETTINGS"])
    try:
        for name in copying.tables_without_model(db.engine, db.metadata):
            click.echo(f"Not copied, as no model describes it: {name}", err=True)
        copied: Counter[str] = Counter()
        number = copying.count(db.engine, db.metadata)
        with (
            log_held_back(),
            click.progressbar(length=number, label="Copying", file=sys.stderr) as bar,
        ):
            for step in copying.copy(db.engine, engine, db.metadata):
                copied[step.table] += step.rows
                bar.update(step.rows)
    except copying.NotCopied as reason:
        raise click.ClickException(str(reason)) from None
    except DBAPIError as error:
        raise database_refusal(error) from None
    finally:
        engine.dispose()
    for name, rows in copied.items():
        click.echo(f"{name}: {rows} rows")
    click.echo(f"Copied and compared {copied.total()} rows.")


def _target(given: str | None, variable: str | None) -> URL:
    if (given is None) == (variable is None):
        raise click.UsageError("Name the target: --to-env NAME, or --to URL.")
    if variable is not None:
        text = config.value_of(variable)
        if not text:
            raise click.UsageError(f"--to-env names {variable}, which is not set.")
        return _parsed(text, variable)
    url = _parsed(given or "", "--to")
    if url.password:
        click.echo(
            "Warning: every account of this machine can see the password of --to in the process "
            "list. Use --to-env, PGPASSWORD or ~/.pgpass.",
            err=True,
        )
    return url


def _parsed(text: str, source: str) -> URL:
    try:
        return database_url(text)
    except ValueError as wrong:
        raise click.UsageError(f"{source} {wrong}") from None
