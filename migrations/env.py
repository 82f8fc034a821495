"""How ``flask db …`` reaches the database: through the application's own engine."""

import sys
from time import sleep

from alembic import context
from flask import current_app
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from app.models.types import UTCDateTime
from app.models.user import ONLY_IN_POSTGRESQL
from app.postgresql import is_behind_a_pooler

# Any number, as long as nobody else takes it: it names the lock under which migrations run.
MIGRATION_LOCK = 5_117_329_406

migrate = current_app.extensions["migrate"]
db = migrate.db


def render_item(kind: str, item: object, _context: object) -> str | bool:
    """Write our own column type as what it is in the database: migrations outlive the code."""
    if kind == "type" and isinstance(item, UTCDateTime):
        return "sa.DateTime(timezone=True)"
    return False


def include_object(_item: object, name: str | None, kind: str, *_: object) -> bool:
    """Leave alone what the models do not describe, as SQLite has nothing like it."""
    return not (kind == "index" and name in ONLY_IN_POSTGRESQL)


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


def _refuse_a_pooler(connection: Connection) -> None:
    """Behind PgBouncer the lock below may be taken in one session and given back in another."""
    if is_behind_a_pooler(connection.connection.driver_connection):
        sys.exit(
            "Cannot upgrade through a connection pooler: DATABASE_URL leads to one, and only one "
            "migration at a time may run, which a pooler cannot keep. Name PostgreSQL itself for "
            "this command: DATABASE_URL=postgresql://user:password@host:5432/name flask db …"
        )


def _wait_for_our_turn(connection: Connection) -> None:
    """Let hosts that start at once upgrade one after the other; the last find nothing to do.

    The lock goes with the connection. It is asked for again and again: one
    statement that waits would keep a snapshot, which CREATE INDEX
    CONCURRENTLY in the other's migration waits for in turn.
    """
    while not connection.scalar(text(f"SELECT pg_try_advisory_lock({MIGRATION_LOCK})")):
        connection.rollback()
        sleep(0.5)
    connection.commit()


def run_online() -> None:
    try:
        connecting = db.engine.connect()
    except OperationalError as error:
        sys.exit(f"Cannot upgrade, the database does not answer: {error.orig}")
    with connecting as connection:
        if connection.dialect.name == "postgresql":
            _refuse_a_pooler(connection)
            _wait_for_our_turn(connection)
        context.configure(
            connection=connection,
            target_metadata=db.metadata,
            render_item=render_item,
            include_object=include_object,
            **migrate.configure_args,
        )
        with context.begin_transaction():
            context.run_migrations()
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_unlock({MIGRATION_LOCK})"))


if context.is_offline_mode():
    run_offline()
else:
    run_online()
