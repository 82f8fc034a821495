"""The audit log as an attacker sees it who may do everything in the database."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy
from sqlalchemy import Connection

from app.extensions import db


@contextmanager
def unguarded() -> Iterator[Connection]:
    """A transaction in which nothing refuses to edit the log."""
    with db.engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            # What a superuser may: triggers do not fire in this transaction. It has no time limit,
            # as to delete many rows takes long on a busy machine.
            connection.exec_driver_sql(
                "SET LOCAL session_replication_role = replica; SET LOCAL statement_timeout = 0"
            )
            yield connection
            return
        # Python's sqlite3 begins no transaction for DDL.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        triggers = connection.exec_driver_sql(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        ).all()
        for name, _ in triggers:
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
        yield connection
        for _, sql in triggers:
            connection.exec_driver_sql(sql)


LOG = ("audit_events", "audit_seals", "audit_prunings")


def empty_the_log() -> None:
    tables = [db.metadata.tables[name] for name in LOG]
    with db.engine.connect() as connection:
        filled = [t for t in tables if connection.scalar(sqlalchemy.exists(t.select()).select())]
    if not filled:
        return
    with unguarded() as connection:
        for table in filled:
            connection.execute(sqlalchemy.delete(table))


def empty_everything() -> None:
    """Let no row be left in any table. Half of the suite is this, so it is one message.

    Where the guards do not fire, nothing cascades either, so that each table
    is emptied by itself.
    """
    if db.engine.dialect.name == "postgresql":
        with unguarded() as connection:
            connection.exec_driver_sql(";".join(f"DELETE FROM {name}" for name in _tables()))
        return
    empty_the_log()
    with db.engine.begin() as connection:
        for name in _tables():
            if name not in LOG:
                connection.exec_driver_sql(f"DELETE FROM {name}")


def _tables() -> list[str]:
    """The tables of the application, children before their parents."""
    return [table.name for table in reversed(db.metadata.sorted_tables)]
