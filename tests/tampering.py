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
            # What a superuser may: triggers do not fire in this transaction.
            connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
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


def empty_the_log() -> None:
    with unguarded() as connection:
        for name in ("audit_events", "audit_seals", "audit_prunings"):
            connection.execute(sqlalchemy.delete(db.metadata.tables[name]))
