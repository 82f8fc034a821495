"""How the two databases are opened: pools, time-outs, and SQLite's manners."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from select import POLLIN, poll
from typing import Any, TypeVar
from weakref import ReferenceType, ref

import psycopg
from flask import Flask
from sqlalchemy import ColumnExpressionArgument, Connection, Engine, delete, event, select, update
from sqlalchemy.exc import InvalidatePoolError
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

Row = TypeVar("Row", bound=Base)


def engine_options(settings: Settings) -> dict[str, Any]:
    """What Flask-SQLAlchemy makes the engine with: one connection for each request thread."""
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
        if db.engine.dialect.name == "sqlite":
            event.listen(db.engine, "connect", _set_up_sqlite)
        else:
            event.listen(db.engine, "connect", _note_as_new)
            event.listen(db.engine, "checkout", _ping)
        os.register_at_fork(after_in_child=partial(_forget, ref(db.engine)))


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


@contextmanager
def snapshot() -> Iterator[Connection]:
    """One state of the database for many statements that only read, whoever writes meanwhile."""
    with db.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            # Python's sqlite3 begins no transaction for a SELECT.
            connection.exec_driver_sql("BEGIN")
            yield connection
        else:
            options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
            yield connection.execution_options(**options)


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
        server = connection.pgconn
        server.send_query(b"")
        server.flush()
        ready = poll()
        ready.register(server.socket, POLLIN)
        if not ready.poll(PING_TIMEOUT_MILLISECONDS):
            raise InvalidatePoolError
        server.consume_input()
        while server.get_result():
            pass
        if server.status != psycopg.pq.ConnStatus.OK:
            # A server that hung up has left its last words, which arrive like a result.
            raise InvalidatePoolError
    except psycopg.OperationalError:
        raise InvalidatePoolError from None


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # WAL: readers and the writer do not wait for each other. NORMAL: a commit survives the
    # death of the process; only a power cut may take the last ones, and never corrupts.
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
