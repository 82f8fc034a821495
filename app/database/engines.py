"""Opens the database and its replica, and offers the ways in which others read them."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import Any
from weakref import ReferenceType, WeakKeyDictionary, ref

from flask import Flask
from sqlalchemy import (
    URL,
    ColumnExpressionArgument,
    Connection,
    Engine,
    ExceptionContext,
    Executable,
    Result,
    create_engine,
    event,
    false,
    select,
    text,
    true,
    update,
)
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session as DatabaseSession
from sqlalchemy.orm import configure_mappers

from app.database import failures, postgresql, sqlite
from app.database.rows import Row
from app.extensions import db
from config import Settings

# How many rows `pages` reads at once.
PAGE = 500

# How long a replica that was away is not asked again, because asking can take the whole time-out.
REPLICA_REST_SECONDS = 15

log = logging.getLogger(__name__)

# The time, by the monotonic clock, until which the replica of an engine is not asked.
_rests_until: WeakKeyDictionary[Engine, float] = WeakKeyDictionary()


def configuration(settings: Settings) -> dict[str, Any]:
    """The settings of Flask-SQLAlchemy: the database, and its replica if there is one."""
    options = engine_options(settings)
    replica = settings.database_replica_url
    return {
        "SQLALCHEMY_DATABASE_URI": settings.database_url,
        "SQLALCHEMY_ENGINE_OPTIONS": options,
        "SQLALCHEMY_BINDS": {"replica": {"url": replica, **options}} if replica else {},
    }


def engine_options(settings: Settings) -> dict[str, Any]:
    """The options of an engine. The pool has one connection for each request thread."""
    options: dict[str, Any] = {
        "pool_size": settings.web_threads,
        "max_overflow": 2,
        # The connection used last is used next, because PostgreSQL's caches for it are still warm.
        "pool_use_lifo": True,
        "pool_timeout": postgresql.CONNECT_TIMEOUT_SECONDS,
        # Failed statements are logged. This keeps the addresses and hashes in them out of the log.
        "hide_parameters": True,
    }
    if settings.uses_sqlite:
        return options | {"connect_args": sqlite.CONNECT_ARGUMENTS}
    return options | {"pool_recycle": 1800, "connect_args": postgresql.CONNECT_ARGUMENTS}


def init_app(app: Flask) -> None:
    """Bind the database to the application; nothing connects before the first statement."""
    db.init_app(app)
    # It runs before Flask-SQLAlchemy's own, because Flask calls the last one first.
    app.teardown_appcontext(_give_back)
    # The ORM would do it at its first query, but ``prepared`` may read something before that.
    configure_mappers()
    prepares = app.config["SETTINGS"].database_prepared_statements
    with app.app_context():
        for name, engine in db.engines.items():
            _listen(engine, prepares, writes=name is None)
            os.register_at_fork(after_in_child=partial(_forget, ref(engine)))


def open_other(url: URL, settings: Settings) -> Engine:
    """Open another database than the application's own, in the same way."""
    engine = create_engine(url, **engine_options(replace(settings, database_url=url)))
    _listen(engine, settings.database_prepared_statements)
    return engine


def _listen(engine: Engine, prepares: str, *, writes: bool = True) -> None:
    event.listen(engine, "handle_error", _drop_spoiled)
    if engine.dialect.name == "sqlite":
        sqlite.listen(engine)
    else:
        postgresql.listen(engine, prepares=prepares, writes=writes)


def _drop_spoiled(context: ExceptionContext) -> None:
    """Take a useless connection out of the pool. SQLAlchemy itself only notices dead ones."""
    if context.connection and failures.spoils_connection(context.original_exception):
        context.is_disconnect = True


def _give_back(_error: BaseException | None) -> None:
    """End the session of a request. A failure here does not change the answer.

    Everything that must last is committed by now. An exception here would
    come after every error handler, and the web server would answer it in HTML.
    """
    try:
        db.session.remove()
    except (SQLAlchemyError, postgresql.Error, sqlite.Error) as error:
        log.warning("the database session could not be closed", exc_info=error)
        db.session.registry.clear()


def _forget(engine: ReferenceType[Engine]) -> None:
    """Leave the connections to the parent: two processes on one would mix their answers."""
    inherited = engine()
    if inherited is not None:
        inherited.dispose(close=False)


def reader() -> Engine:
    """The same database for one statement that only reads, without a transaction.

    That spares PostgreSQL two of three round trips. Python's sqlite3 begins
    no transaction for a SELECT anyway.
    """
    return _without_transaction(db.engine)


def pages(model: type[Row], *which: ColumnExpressionArgument[bool]) -> Iterator[Row]:
    """Rows in the order of their ids. Only a few are in memory, however slow the caller is.

    Each page is one statement. Between two statements the connection is back
    in the pool. The caller needs no application context to iterate.
    """
    engine = reader()
    key: Any = model.id  # type: ignore[attr-defined]

    def read() -> Iterator[Row]:
        page = select(model).where(*which).order_by(key).limit(PAGE)
        after: ColumnExpressionArgument[bool] = true()
        while True:
            with DatabaseSession(engine) as database:
                found = database.scalars(page.where(after)).all()
                database.expunge_all()
            yield from found
            if len(found) < PAGE:
                return
            after = key > found[-1].id  # type: ignore[attr-defined]

    return read()


class Reader:
    """Reads like a connection, but has one only while a statement runs.

    It is for an answer that takes as long as its client is slow. Two
    statements may see different states of the database.
    """

    def __init__(self) -> None:
        self._engine = reader()

    def execute(self, statement: Executable) -> Result[Any]:
        with self._engine.connect() as connection:
            return connection.execute(statement).freeze()()

    def scalar(self, statement: Executable) -> Any:
        return self.execute(statement).scalar()


def replica() -> Engine:
    """The replica, for one statement that only reads and may be some seconds behind.

    If no replica is set, or it is away, this is the database itself. Never
    read here what decides about permissions.
    """
    engine = db.engines.get("replica")
    if engine is None or monotonic() < _rests_until.get(engine, 0):
        return reader()
    try:
        engine.connect().close()
    except (OperationalError, PoolTimeout) as error:
        log.warning("the replica is away, its reads go to the database itself", exc_info=error)
        _rests_until[engine] = monotonic() + REPLICA_REST_SECONDS
        return reader()
    return _without_transaction(engine)


def _without_transaction(engine: Engine) -> Engine:
    if engine.dialect.name == "sqlite":
        return engine
    return engine.execution_options(isolation_level="AUTOCOMMIT")


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """Let many statements read the same state of a database while others write to it."""
    with engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            # Python's sqlite3 begins no transaction for a SELECT.
            connection.exec_driver_sql("BEGIN")
            yield connection
        else:
            options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
            yield connection.execution_options(**options)


def take_turn(name: str) -> None:
    """Let nobody else take the turn of this name until the caller commits.

    Use it for decisions that count rows: the next caller that counts sees
    what was written in this turn. Take it after all locks on rows, so that no
    two callers wait for each other.
    """
    if db.engine.dialect.name == "sqlite":
        # SQLite has one lock for all writers. The first write takes it.
        if not db.session.connection().connection.driver_connection.in_transaction:  # type: ignore[union-attr]
            table = db.metadata.tables["users"]
            db.session.execute(update(table).where(false()).values(id=table.c.id))
        return
    db.session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name}
    )
