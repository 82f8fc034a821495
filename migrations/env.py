"""How ``flask db …`` reaches the database: through the application's own engine."""

import sys
from typing import Any

import click
from alembic import context
from flask import current_app
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from app.database import branches, upgrading
from app.database.postgresql import ONLY_IN_POSTGRESQL
from app.database.types import UTCDateTime

migrate = current_app.extensions["migrate"]
db = migrate.db


def render_item(kind: str, item: object, _context: object) -> str | bool:
    """Write our own column type as what it is in the database: migrations outlive the code."""
    if kind == "type" and isinstance(item, UTCDateTime):
        return "sa.DateTime(timezone=True)"
    return False


def include_object(
    _item: object, name: str | None, kind: str, reflected: bool, model: object
) -> bool:
    """Compare the tables of one branch, or of all, with their models.

    It leaves alone what the models do not describe, as SQLite has nothing like it.
    """
    if kind == "table" and name is not None:
        has_model = not reflected or model is not None
        feature = context.config.attributes.get("branch")
        return branches.is_compared(name, has_model=has_model, branch=feature)
    return not (kind == "index" and name in ONLY_IN_POSTGRESQL)


def leave_out_empty_migration(_context: object, _revision: object, directives: list[Any]) -> None:
    """Write no migration where the tables already are as the models say."""
    asked = getattr(context.config.cmd_opts, "autogenerate", False)
    if asked and directives[0].upgrade_ops.is_empty():
        directives.clear()
        click.echo("The tables are as the models say, so no migration was written.")


def run_offline() -> None:
    """Print the SQL instead of running it (``flask db upgrade --sql``)."""
    context.configure(
        url=db.engine.url.render_as_string(hide_password=False),
        target_metadata=db.metadata,
        literal_binds=True,
        render_item=render_item,
        include_object=include_object,
        **migrate.configure_args,
    )
    with context.begin_transaction():
        context.run_migrations()


def run_online() -> None:
    try:
        with db.engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                upgrading.refuse_a_pooler(connection)
                with upgrading.our_turn(connection):
                    upgrading.run_patiently(connection, lambda: _run_on(connection))
            else:
                upgrading.run_whole_or_not_at_all(connection)
                _run_on(connection)
    except SQLAlchemyError as error:
        sys.exit(upgrading.sentence_about(error))


def _run_on(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=db.metadata,
        render_item=render_item,
        include_object=include_object,
        # What a migration locks is let go before the next begins.
        transaction_per_migration=True,
        transactional_ddl=True,
        process_revision_directives=leave_out_empty_migration,
        **migrate.configure_args,
    )
    verb = _verb()
    if verb == "upgrade":
        upgrading.refuse_a_database_that_is_not_ours(connection)
        upgrading.clear_up_after_an_interruption(connection)
    elif verb != "do_stamp":
        # `flask db stamp` is the cure for wrong revisions.
        upgrading.refuse_unknown_revisions(connection)
        connection.rollback()
    with context.begin_transaction():
        context.run_migrations()


def _verb() -> str:
    """What Alembic is about to do: the name of its function."""
    verb = context.get_context().opts.get("fn")
    return getattr(verb, "__name__", "")


if context.is_offline_mode():
    run_offline()
else:
    run_online()
