"""Upgrades that are interrupted, kept waiting, or run beside others, and can be run again."""

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import flask_migrate
import pytest
import sqlalchemy

from app.database import upgrading as app_upgrading
from app.database.upgrading import LOCK_TIMEOUT_SECONDS
from app.extensions import db
from tests.conftest import ENVIRONMENT
from tests.database.upgraded import application, differences, needs_postgres, schema, tables
from tests.servers import BIN, ROOT, environment_for

REVISIONS = sorted((ROOT / "migrations" / "versions").glob("*.py"))


class Interrupted(Exception):
    """As by a signal, before the next statement."""


@contextmanager
def interrupting(seen: set[str]) -> Iterator[None]:
    """Interrupt at the first statement that changes the schema and was not seen before."""

    def interrupt(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        changes = statement.lstrip().startswith(
            ("CREATE", "ALTER", "UPDATE alembic", "INSERT INTO")
        )
        if changes and statement not in seen:
            seen.add(statement)
            raise Interrupted

    sqlalchemy.event.listen(db.engine, "before_cursor_execute", interrupt)
    try:
        yield
    finally:
        sqlalchemy.event.remove(db.engine, "before_cursor_execute", interrupt)


def test_an_upgrade_interrupted_at_any_statement_can_be_run_again(new_database: str) -> None:
    seen: set[str] = set()
    with application(new_database):
        with interrupting(seen):
            while True:
                try:
                    flask_migrate.upgrade()
                except Interrupted:
                    continue
                break
        times = len(seen)
        resumed = schema()
        flask_migrate.downgrade(revision="base")
        flask_migrate.upgrade()

        assert times > 40
        assert differences() == []
        assert schema() == resumed


@contextmanager
def reading(url: str, table: str | None = None) -> Iterator[sqlalchemy.Connection]:
    """A transaction that stays open, as of a report that takes long."""
    engine = sqlalchemy.create_engine(sqlalchemy.make_url(url).set(drivername="postgresql+psycopg"))
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        connection.exec_driver_sql(f"SELECT count(*) FROM {table}" if table else "SELECT 1")
        yield connection
    engine.dispose()


def upgrading(url: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [BIN / "flask", "--app", ROOT / "wsgi.py", "db", "upgrade"],
        cwd=ROOT,
        env=environment_for(**ENVIRONMENT, DATABASE_URL=url),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def end_what_runs(url: str, statement: str) -> None:
    """Wait until it waits for others, and end its connection."""
    ended = sqlalchemy.text(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE :query"
        " AND state = 'active' AND wait_event_type = 'Lock'"
    )
    engine = sqlalchemy.create_engine(
        sqlalchemy.make_url(url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
    )
    deadline = time.monotonic() + 20
    with engine.connect() as connection:
        while not connection.scalar(ended, {"query": f"%{statement}%"}):
            assert time.monotonic() < deadline, f"{statement} did not run"
            time.sleep(0.05)
    engine.dispose()


@needs_postgres
@pytest.mark.parametrize(
    ("revision", "index"),
    [
        ("0001", "ix_sessions_max_expires_at"),
        ("0002", "ix_users_deletion_due_at"),
        ("0006", "ix_audit_events_actor_id_id"),
        ("0010", "ix_one_time_tokens_undo_email"),
    ],
)
def test_an_upgrade_killed_while_it_builds_an_index_can_be_run_again(
    new_postgres: str, revision: str, index: str
) -> None:
    with application(new_postgres):
        flask_migrate.upgrade()
        complete = schema()
        flask_migrate.downgrade(revision=revision)
    with reading(new_postgres):
        killed = upgrading(new_postgres)
        end_what_runs(new_postgres, index)
        _, told = killed.communicate(timeout=30)

    with application(new_postgres):
        invalid = db.session.scalars(
            sqlalchemy.text("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid")
        ).all()
        db.session.rollback()
        flask_migrate.upgrade()

        assert killed.returncode == 1
        assert "Traceback" not in told, told
        assert index in invalid
        assert schema() == complete
        assert not db.session.scalar(
            sqlalchemy.text("SELECT count(*) FROM pg_index WHERE NOT indisvalid")
        )


@needs_postgres
def test_an_upgrade_waits_for_a_long_reader_and_stops_nobody_behind_it(
    new_postgres: str,
) -> None:
    with application(new_postgres):
        flask_migrate.upgrade(revision="0002")
    with reading(new_postgres, "users") as reader:
        waiting = upgrading(new_postgres)
        wait_for_lock(reader)

        began = time.monotonic()
        with reading(new_postgres, "users"):
            behind = time.monotonic() - began

        assert waiting.poll() is None
        assert behind < LOCK_TIMEOUT_SECONDS + 1
        reader.rollback()
        _, told = waiting.communicate(timeout=60)
        assert waiting.returncode == 0, told

    with application(new_postgres):
        assert differences() == []


def wait_for_lock(connection: sqlalchemy.Connection) -> None:
    waiting = sqlalchemy.text(
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'relation'"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    deadline = time.monotonic() + 20
    while not connection.scalar(waiting):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@needs_postgres
def test_an_upgrade_that_is_kept_waiting_gives_up_and_says_by_whom(
    new_postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_upgrading, "LOCK_TIMEOUT_SECONDS", 0.1)
    monkeypatch.setattr(app_upgrading, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(app_upgrading, "ATTEMPTS", 2)
    with application(new_postgres):
        flask_migrate.upgrade(revision="0002")
        with reading(new_postgres, "users") as reader:
            pid = reader.exec_driver_sql("SELECT pg_backend_pid()").scalar()

            with pytest.raises(SystemExit) as given_up:
                flask_migrate.upgrade()

        assert str(given_up.value).startswith("Cannot upgrade: other transactions held a table")
        assert f"process {pid} of postgres" in str(given_up.value)
        flask_migrate.upgrade()
        assert differences() == []


@needs_postgres
@pytest.mark.parametrize("interruption", [KeyboardInterrupt, OSError, None])
def test_no_connection_keeps_the_lock_or_the_limits_of_an_upgrade(
    new_postgres: str, interruption: type[BaseException] | None
) -> None:
    held = sqlalchemy.text(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database ="
        " (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    with application(new_postgres):
        with (
            suppress(KeyboardInterrupt, OSError),
            db.engine.connect() as connection,
            app_upgrading.our_turn(connection),
        ):
            app_upgrading.run_patiently(connection, lambda: None)
            # An error of the database leaves the transaction spoilt, too.
            with suppress(sqlalchemy.exc.DBAPIError):
                connection.exec_driver_sql("SELECT 1 / 0")
            if interruption is not None:
                raise interruption

        with db.engine.connect() as next_one:
            locks = next_one.scalar(held)
            limit = next_one.exec_driver_sql("SHOW lock_timeout").scalar()

    assert (locks, limit) == (0, "0")


@needs_postgres
def test_an_index_is_built_however_long_others_keep_their_transactions_open(
    new_postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_upgrading, "LOCK_TIMEOUT_SECONDS", 0.1)
    monkeypatch.setattr(app_upgrading, "ATTEMPTS", 1)
    with application(new_postgres):
        flask_migrate.upgrade(revision="0001")
        with reading(new_postgres) as reader:
            threading.Timer(1, reader.rollback).start()

            flask_migrate.upgrade(revision="0002")

        assert "audit_events" in tables()
