"""How the two databases are opened: pools, time-outs, and SQLite's manners."""

import os
import sqlite3
from collections.abc import Mapping
from functools import partial
from select import POLLIN, poll
from time import monotonic
from typing import Any, TypeVar
from weakref import ReferenceType, ref

import psycopg
from flask import Flask, has_request_context
from sqlalchemy import ColumnExpressionArgument, Engine, delete, event, select, update
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.orm import InstrumentedAttribute, configure_mappers, make_transient_to_detached
from sqlalchemy.orm.attributes import instance_dict, manager_of_class
from sqlalchemy.pool import ConnectionPoolEntry

from app.extensions import Base, db
from config import Settings

# Longer than a request should wait for a database that is away; the contract gives it 5 s.
CONNECT_TIMEOUT_SECONDS = 3
# Longer than a server that lives takes to answer an empty statement, whatever its load.
PING_TIMEOUT_MILLISECONDS = 1000
PING_AFTER_SECONDS = 1.0
# How long a request waits for the answer to one statement; the contract gives it 5 s in all.
ANSWER_TIMEOUT_SECONDS = 4.0
# What PostgreSQL gives up by itself, so that nothing goes on there for which nobody waits any
# more: a statement, waiting for a lock, and a transaction in which the application fell silent.
LIMITS = (
    "SELECT set_config('statement_timeout', '3s', false), set_config('lock_timeout', '2s', false),"
    " set_config('idle_in_transaction_session_timeout', '30s', false)"
)
# Writers of SQLite queue up; this is how long one of them waits for its turn.
SQLITE_BUSY_TIMEOUT_SECONDS = 4

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
    # The ORM would do it at its first statement, and `detached` may come before that.
    configure_mappers()
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            event.listen(db.engine, "connect", _set_up_sqlite)
        else:
            event.listen(db.engine, "do_connect", _connect)
            event.listen(db.engine, "connect", _note_use)
            event.listen(db.engine, "checkin", _note_use)
            event.listen(db.engine, "checkout", _ping)
            event.listen(db.engine, "checkout", _limit)
        os.register_at_fork(after_in_child=partial(_forget, ref(db.engine)))


def _forget(engine: ReferenceType[Engine]) -> None:
    """Leave connections to the parent process: two processes on one would mix their answers."""
    inherited = engine()
    if inherited is not None:
        inherited.dispose(close=False)


def detached(model: type[Row], values: Mapping[str, Any]) -> Row:
    """A row that was selected column by column, as the object that the ORM would have loaded.

    The ORM takes twice as long, which counts where every request does it.
    Attributes that are not given raise ``DetachedInstanceError``.
    """
    row: Row = manager_of_class(model).new_instance()
    instance_dict(row).update(values)
    make_transient_to_detached(row)
    return row


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


class Connection(psycopg.Connection[Any]):
    """A connection on which a request waits for each answer for a limited time.

    The server's own limits do not help against a server that is frozen, or
    gone behind a network that still acknowledges. Commands and migrations
    wait as long as it takes.
    """

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        if timeout is None and has_request_context():
            timeout = ANSWER_TIMEOUT_SECONDS
        try:
            return super().wait(gen, interval, timeout)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == psycopg.pq.TransactionStatus.ACTIVE:
                # The answer might still come, and be taken for that to another statement.
                self.close()
            raise


def _connect(_dialect: object, _record: object, arguments: Any, options: Any) -> Connection:
    return Connection.connect(*arguments, **options)


def _note_use(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info["used_at"] = monotonic()


def _ping(connection: Connection, record: ConnectionPoolEntry, _proxy: object) -> None:
    """Whether a pooled connection still answers; the pool opens another where it does not.

    One that answered a moment ago is not asked, which would be one more round
    trip for each request under load: it only must not have anything to say
    by itself, as a server does that hangs up.
    """
    server = connection.pgconn
    heard = poll()
    heard.register(server.socket, POLLIN)
    if monotonic() - record.info["used_at"] < PING_AFTER_SECONDS:
        if heard.poll(0):
            raise InvalidatePoolError
        return
    try:
        server.send_query(b"")
        server.flush()
        if not heard.poll(PING_TIMEOUT_MILLISECONDS):
            raise InvalidatePoolError
        server.consume_input()
        while server.get_result():
            pass
        if server.status != psycopg.pq.ConnStatus.OK:
            # A server that hung up has left its last words, which arrive like a result.
            raise InvalidatePoolError
    except psycopg.OperationalError:
        raise InvalidatePoolError from None


def _limit(connection: Connection, record: ConnectionPoolEntry, _proxy: object) -> None:
    """Set the limits when a request first uses the connection. Commands and migrations have none.

    They are set by a statement and not with the connection: PgBouncer
    refuses a client that brings options it does not know.
    """
    if record.info.get("is_limited") or not has_request_context():
        return
    connection.autocommit = True
    connection.execute(LIMITS)
    connection.autocommit = False
    record.info["is_limited"] = True


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # WAL: readers and the writer do not wait for each other. NORMAL: a commit survives the
    # death of the process; only a power cut may take the last ones, and never corrupts.
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
