"""How the two databases are opened: pools, time-outs, and SQLite's manners."""

import logging
import os
import sqlite3
import time
from functools import partial
from select import POLLIN, poll
from typing import Any, TypeVar
from weakref import ReferenceType, WeakKeyDictionary, ref

import psycopg
from flask import Flask
from psycopg.pq.abc import PGresult
from sqlalchemy import ColumnExpressionArgument, Engine, delete, event, select, update
from sqlalchemy.exc import InvalidatePoolError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.pool import ConnectionPoolEntry

from app.extensions import Base, db
from config import Settings

# Longer than a request should wait for a database that is away; the contract gives it 5 s.
CONNECT_TIMEOUT_SECONDS = 3
# Longer than a server that lives takes to answer an empty statement, whatever its load.
PING_TIMEOUT_MILLISECONDS = 1000
# Writers of SQLite queue up; this is how long one of them waits for its turn.
SQLITE_BUSY_TIMEOUT_SECONDS = 30
# How long a replica that was found away is left alone: to ask it again costs up to the time-out.
REPLICA_REST_SECONDS = 15

log = logging.getLogger(__name__)

# Until when, by the monotonic clock, the replica of an engine is left alone.
_rests_until: WeakKeyDictionary[Engine, float] = WeakKeyDictionary()

Row = TypeVar("Row", bound=Base)


def configuration(settings: Settings) -> dict[str, Any]:
    """What Flask-SQLAlchemy reads: the database, and its replica where there is one."""
    options = engine_options(settings)
    replica = settings.database_replica_url
    return {
        "SQLALCHEMY_DATABASE_URI": settings.database_url,
        "SQLALCHEMY_ENGINE_OPTIONS": options,
        "SQLALCHEMY_BINDS": {"replica": {"url": replica, **options}} if replica else {},
    }


def engine_options(settings: Settings) -> dict[str, Any]:
    """What the engine is made with: one connection for each request thread."""
    options: dict[str, Any] = {
        "pool_size": settings.web_threads,
        "max_overflow": 2,
        "pool_timeout": CONNECT_TIMEOUT_SECONDS,
        # Statements are logged when they fail; addresses and hashes in them are not.
        "hide_parameters": True,
    }
    if settings.uses_sqlite:
        # Python's sqlite3 then opens every write transaction with BEGIN IMMEDIATE. A deferred
        # one that reads first and writes later fails at once with "database is locked" when
        # another has written in between, whatever the busy timeout.
        return options | {
            "connect_args": {
                "isolation_level": "IMMEDIATE",
                "timeout": SQLITE_BUSY_TIMEOUT_SECONDS,
            }
        }
    return options | {
        "pool_recycle": 1800,
        "connect_args": {
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "keepalives_idle": 30,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 4000,
        },
    }


def init_app(app: Flask) -> None:
    """Bind the database to the application; nothing connects before the first statement."""
    db.init_app(app)
    with app.app_context():
        for engine in db.engines.values():
            if engine.dialect.name == "sqlite":
                event.listen(engine, "connect", _set_up_sqlite)
            else:
                prepares = app.config["SETTINGS"].database_prepared_statements
                # First of all: SQLAlchemy asks a new connection several things.
                event.listen(engine, "connect", _PREPARING[prepares], insert=True)
                event.listen(engine, "connect", _note_as_new)
                event.listen(engine, "checkout", _ping)
            os.register_at_fork(after_in_child=partial(_forget, ref(engine)))


def _forget(engine: ReferenceType[Engine]) -> None:
    """Leave connections to the parent process: two processes on one would mix their answers."""
    inherited = engine()
    if inherited is not None:
        inherited.dispose(close=False)


def reader() -> Engine:
    """The same database for one statement that only reads: no transaction is begun for it.

    On PostgreSQL that saves BEGIN and ROLLBACK, two of three round trips.
    Python's sqlite3 begins none for a SELECT anyway.
    """
    engine = db.engine
    if engine.dialect.name == "sqlite":
        return engine
    return engine.execution_options(isolation_level="AUTOCOMMIT")


def replica() -> Engine:
    """For one statement that only reads, and may read what was true some seconds ago.

    Where no replica is set, or it is away, that is the database itself. What
    decides who may do what never comes from here.
    """
    engine = db.engines.get("replica")
    if engine is None or time.monotonic() < _rests_until.get(engine, 0):
        return reader()
    try:
        engine.connect().close()
    except (OperationalError, PoolTimeout) as error:
        log.warning("the replica is away, its reads go to the database itself", exc_info=error)
        _rests_until[engine] = time.monotonic() + REPLICA_REST_SECONDS
        return reader()
    return engine.execution_options(isolation_level="AUTOCOMMIT")


def is_behind_a_pooler(connection: psycopg.Connection[Any]) -> bool:
    """Whether a pooler like PgBouncer stands between this connection and PostgreSQL.

    It greets each client with a number of its own in place of the server
    process's.
    """
    [answer] = _ask(connection, b"SELECT pg_backend_pid()")
    return answer.get_value(0, 0) != b"%d" % connection.info.backend_pid


def hold(model: type[Row], *which: ColumnExpressionArgument[bool]) -> Row | None:
    """Read one row anew, and let nobody else change it until the caller commits.

    It is an UPDATE that changes nothing: SQLite takes no lock for a SELECT.
    """
    lock: Any = update(model).where(*which).values(id=model.id)  # type: ignore[attr-defined]
    row: Row | None = db.session.scalar(
        lock.returning(model).execution_options(synchronize_session=False, populate_existing=True)
    )
    return row


def delete_batch(
    key: InstrumentedAttribute[Any],
    *which: ColumnExpressionArgument[bool],
    oldest: InstrumentedAttribute[Any],
    limit: int,
) -> int:
    """Delete up to ``limit`` rows, those first that are ``oldest``, and say how many. Commits.

    ``key`` is the primary key of their table. Rows that another transaction
    holds are left for the next time.
    """
    # Two statements: PostgreSQL may run a subquery with a limit more than once.
    batch = select(key).where(*which).order_by(oldest).limit(limit)
    found = db.session.scalars(batch.with_for_update(skip_locked=True)).all()
    db.session.execute(
        delete(key.class_).where(key.in_(found)).execution_options(synchronize_session=False)
    )
    db.session.commit()
    return len(found)


def _note_as_new(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info["is_new"] = True


def _ping(connection: psycopg.Connection[Any], record: ConnectionPoolEntry, _proxy: object) -> None:
    """Whether a pooled connection still answers; the pool opens another where it does not.

    SQLAlchemy's own ping would wait for ever on a server that is frozen and
    whose network still acknowledges.
    """
    if record.info.pop("is_new", False):
        # It has just answered the login.
        return
    try:
        _ask(connection, b"")
    except psycopg.OperationalError:
        raise InvalidatePoolError from None


def _ask(connection: psycopg.Connection[Any], statement: bytes) -> list[PGresult]:
    """What the server answers, in one round trip; it gets ``PING_TIMEOUT_MILLISECONDS``.

    Raises ``psycopg.OperationalError`` if it is too slow, or gone.
    """
    server = connection.pgconn
    server.send_query(statement)
    server.flush()
    ready = poll()
    ready.register(server.socket, POLLIN)
    if not ready.poll(PING_TIMEOUT_MILLISECONDS):
        raise psycopg.OperationalError("the server does not answer")
    server.consume_input()
    answers = []
    while answer := server.get_result():
        answers.append(answer)
    if server.status != psycopg.pq.ConnStatus.OK:
        # A server that hung up has left its last words, which arrive like a result.
        raise psycopg.OperationalError(server.get_error_message())
    return answers


def _prepare_unless_pooled(connection: psycopg.Connection[Any], _record: object) -> None:
    """Prepare nothing behind a pooler.

    A statement is prepared in one server process, and the next transaction
    may meet another, which does not know it, or knows another by its name.
    """
    try:
        if is_behind_a_pooler(connection):
            connection.prepare_threshold = None
    except psycopg.OperationalError:
        connection.close()
        raise


def _prepare_always(_connection: object, _record: object) -> None:
    """As psycopg does by itself."""


def _prepare_never(connection: psycopg.Connection[Any], _record: object) -> None:
    connection.prepare_threshold = None


_PREPARING = {
    "auto": _prepare_unless_pooled,
    "always": _prepare_always,
    "never": _prepare_never,
}


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # WAL: readers and the writer do not wait for each other. NORMAL: a commit survives the
    # death of the process; only a power cut may take the last ones, and never corrupts.
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
