"""Runs migrations on a database in use: one upgrade at a time, with short locks only.

``migrations/env.py`` calls it. If something stops an upgrade, the command
ends with a sentence and exit status 1.
"""

import logging
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import sleep
from typing import Any

import click
from sqlalchemy import Connection, event, inspect, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from app.database import branches, failures, migration_state, sqlite
from app.database.postgresql import ONLY_IN_POSTGRESQL, is_behind_a_pooler
from app.extensions import Base

# The number of the lock under which migrations run. Any number is good that nobody else uses.
MIGRATION_LOCK = 5_117_329_406

# ALTER TABLE waits until no transaction uses the table, and all later ones wait behind it. So it
# waits only this long, lets the others go first, and tries again.
LOCK_TIMEOUT_SECONDS = 2
PAUSE_SECONDS = 1
ATTEMPTS = 20

INVALID = text(
    "SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid"
    " WHERE NOT indisvalid AND pg_table_is_visible(pg_class.oid)"
)
OLDEST = text(
    "SELECT pid, usename, application_name, xact_start FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL"
    " ORDER BY xact_start LIMIT 1"
)

log = logging.getLogger("alembic.runtime.migration")


def cannot() -> str:
    """The beginning of a refusal. It names the command, which need not be an upgrade."""
    command = click.get_current_context(silent=True)
    group = command.parent if command else None
    # Code that upgrades by itself may run inside some other command.
    if (
        command is None
        or group is None
        or group.info_name != "db"
        or command.info_name == "upgrade"
    ):
        return "Cannot upgrade"
    return f"Cannot run flask db {command.info_name}"


def refuse_a_pooler(connection: Connection) -> None:
    """Behind PgBouncer one session may take the lock below and another may give it back."""
    driver: Any = connection.connection.driver_connection
    if is_behind_a_pooler(driver):
        sys.exit(
            f"{cannot()} through a connection pooler: DATABASE_URL leads to one, and only one "
            "migration at a time may run, which a pooler cannot keep. Name PostgreSQL itself for "
            "this command: DATABASE_URL=postgresql://user:password@host:5432/name flask db …"
        )


def refuse_a_database_that_is_not_ours(connection: Connection) -> None:
    """Call this before anything in the database is changed."""
    flaws = migration_state.read(connection).flaws
    if flaws:
        sys.exit("\n".join(f"{cannot()}: {flaw}" for flaw in flaws))
    refuse_unknown_revisions(connection)
    connection.rollback()


def refuse_unknown_revisions(connection: Connection) -> None:
    """Say what to do. Alembic would only say that it cannot find the revision."""
    if unknown := migration_state.unknown_revisions(connection):
        sys.exit(
            f"{cannot()}: the database has the revision {', '.join(unknown)}, which this "
            f"checkout does not know. {_ways_out(unknown)}"
        )


def _ways_out(unknown: Iterable[str]) -> str:
    newest = "un the command from the newest checkout"
    alone = "where another application shares alembic_version, give each a database of its own."
    features = sorted({name for revision in unknown if (name := _feature_of(revision))})
    if not features:
        return f"R{newest}, and name in FEATURES each feature that has tables here; {alone}"
    names = ",".join([*branches.folders(), *features])
    return (
        f"It looks like one of the feature {' and '.join(features)}. Name the feature again: "
        f"FEATURES={names}, with its package on PYTHONPATH or installed. Or take its tables and "
        f"their rows away for good: FEATURES={names} flask db downgrade {features[0]}@base. "
        f"If you know no such feature: r{newest}, or, {alone}"
    )


def _feature_of(revision: str) -> str | None:
    """The feature that is not loaded here, by the name that ``flask db revision`` gives."""
    found = re.fullmatch(r"([a-z]\w*)_[0-9]{4}", revision)
    return found[1] if found and found[1] not in branches.folders() else None


@contextmanager
def our_turn(connection: Connection) -> Iterator[None]:
    """Let hosts that start together upgrade one after the other. The later ones have no work.

    The lock ends with the connection to the server. The connection is always
    closed here, because the pool must not keep it with the lock and our
    ``lock_timeout``. This asks for the lock again and again: a single
    statement that waits would keep a snapshot, and CREATE INDEX CONCURRENTLY
    in the other host's migration would wait for that snapshot.
    """
    try:
        while not connection.scalar(text(f"SELECT pg_try_advisory_lock({MIGRATION_LOCK})")):
            connection.rollback()
            sleep(0.5)
        connection.commit()
        yield
    finally:
        connection.invalidate()


def clear_up_after_an_interruption(connection: Connection) -> None:
    """Bring an interrupted upgrade to a state from which migrations can go on."""
    if connection.dialect.name == "postgresql":
        _drop_unfinished_indexes(connection)
    # Both are of the core, and older than any feature, so only one row is in Alembic's table.
    while rest := INTERRUPTED.get("".join(migration_state.applied(connection))):
        if not rest.has_begun(connection):
            break
        _finish(connection, rest)
    connection.rollback()


def _drop_unfinished_indexes(connection: Connection) -> None:
    """An unfinished index exists but is useless, and IF NOT EXISTS would keep it."""
    ours = {str(index.name) for table in Base.metadata.tables.values() for index in table.indexes}
    unfinished = set(connection.scalars(INVALID)) & (ours | set(ONLY_IN_POSTGRESQL))
    connection.rollback()
    for name in sorted(unfinished):
        log.info("Removing the index %s, which an interrupted upgrade left unfinished", name)
        _run_outside_a_transaction(connection, f'DROP INDEX CONCURRENTLY IF EXISTS "{name}"')


@dataclass(frozen=True)
class Rest:
    """The rest of a migration that made its tables but did not record its number."""

    revision: str
    tables: dict[str, set[str]]
    index: str

    def has_begun(self, connection: Connection) -> bool:
        inspector = inspect(connection)
        return all(
            inspector.has_table(name)
            and columns <= {column["name"] for column in inspector.get_columns(name)}
            for name, columns in self.tables.items()
        )


# The key is the revision before. These two migrations commit their tables, then build an index
# while requests go on, and only then record that they are done. If they were interrupted in
# between, they would fail at their own tables. Released migrations are not changed.
INTERRUPTED = {
    "0001": Rest(
        "0002",
        {"audit_events": {"subject_id", "request_id", "details"}},
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_sessions_max_expires_at"
        " ON sessions (max_expires_at)",
    ),
    "0002": Rest(
        "0003",
        {
            "users": {"deletion_due_at"},
            "one_time_tokens": {"token_hash", "replaced_email"},
            "outbox_messages": {"sealed", "set_aside_at"},
        },
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_users_deletion_due_at"
        " ON users (deletion_due_at) WHERE deletion_due_at IS NOT NULL",
    ),
}


def _finish(connection: Connection, rest: Rest) -> None:
    log.info("Finishing the migration %s, which was interrupted", rest.revision)
    connection.rollback()
    if connection.dialect.name == "postgresql":
        _run_outside_a_transaction(connection, rest.index)
    else:
        connection.exec_driver_sql(rest.index.replace("CONCURRENTLY ", ""))
    done = {"revision": rest.revision}
    connection.execute(text("UPDATE alembic_version SET version_num = :revision"), done)
    connection.commit()


def _run_outside_a_transaction(connection: Connection, statement: str) -> None:
    other = connection.engine.execution_options(isolation_level="AUTOCOMMIT")
    with other.connect() as alone:
        alone.exec_driver_sql(statement)


def run_patiently(connection: Connection, run: Callable[[], None]) -> None:
    """Run migrations. Try again as long as others hold the locks that they need.

    Each migration is its own transaction, so a finished one stays finished.
    """
    connection.exec_driver_sql(f"SET lock_timeout = '{LOCK_TIMEOUT_SECONDS}s'")
    connection.commit()
    event.listen(connection, "before_cursor_execute", _limit_waiting)
    for attempt in range(ATTEMPTS):
        try:
            return run()
        except DBAPIError as error:
            if not failures.is_locked(error.orig):
                raise
            connection.rollback()
        if attempt == 0:
            log.info("A transaction holds a table; waiting in short steps, so others can go on")
        sleep(PAUSE_SECONDS)
    sys.exit(_gave_up(connection))


def _limit_waiting(_connection: Connection, cursor: Any, statement: str, *_: object) -> None:
    """Set no limit for CREATE INDEX CONCURRENTLY.

    It waits for every open transaction, and stops none.
    """
    is_long = "CONCURRENTLY" in statement
    cursor.execute(f"SET lock_timeout = '{0 if is_long else LOCK_TIMEOUT_SECONDS}s'")


def _gave_up(connection: Connection) -> str:
    seconds = ATTEMPTS * (LOCK_TIMEOUT_SECONDS + PAUSE_SECONDS)
    oldest = connection.execute(OLDEST).one_or_none()
    named = (
        f" The oldest is process {oldest.pid} of {oldest.usename}"
        f" ({oldest.application_name or 'no name'}), since {oldest.xact_start:%H:%M:%S}."
        if oldest
        else ""
    )
    return (
        f"{cannot()}: other transactions held a table for {seconds} seconds.{named} Nothing "
        "is half done. Let it end, or end it with pg_terminate_backend, and run the command again."
    )


def run_whole_or_not_at_all(connection: Connection) -> None:
    """Let SQLite make tables inside transactions too. Python's driver begins none for that."""
    event.listen(connection, "begin", lambda begun: begun.exec_driver_sql(sqlite.BEGIN))


def sentence_about(error: BaseException) -> str:
    """A sentence about the first error, and not about the errors that followed from it."""
    first: BaseException | None = error
    while isinstance(first, SQLAlchemyError) and not isinstance(first, DBAPIError):
        first = first.__context__
    reason = str(getattr(first or error, "orig", first or error)).strip().partition("\n")[0]
    return f"{cannot()}: the database does not answer, or refused: {reason}"
