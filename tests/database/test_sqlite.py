"""How writers to SQLite wait for each other."""

import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import flask_migrate
import pytest
import sqlalchemy
from flask import Flask

from app import clock, create_app, read_settings
from app.database import rows, sqlite
from app.database.sqlite import CONNECT_ARGUMENTS, Connection, Turns
from app.extensions import db
from app.models import LoginThrottle, User
from app.users import closing
from tests.conftest import ENVIRONMENT
from tests.factories import make_user

Open = Callable[[], Connection]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "turns.db"
    with sqlite3.connect(path) as engines:
        engines.execute("PRAGMA journal_mode=WAL")
        engines.execute("CREATE TABLE notes (writer INTEGER)")
    engines.close()
    return path


@pytest.fixture
def opened(file: Path) -> Iterator[Open]:
    """Another connection to the same file, as the application opens them."""
    connections = []

    def open_one() -> Connection:
        one = sqlite3.connect(str(file), check_same_thread=False, **CONNECT_ARGUMENTS)
        connections.append(one)
        return one

    yield open_one
    for one in connections:
        one.close()


def written(connection: Connection) -> list[int]:
    return [writer for (writer,) in connection.execute("SELECT writer FROM notes ORDER BY rowid")]


def by_cursor(connection: Connection, writer: int) -> None:
    connection.cursor().execute("INSERT INTO notes VALUES (?)", (writer,))


def by_connection(connection: Connection, writer: int) -> None:
    connection.execute("INSERT INTO notes VALUES (?)", (writer,))


def by_explicit_transaction(connection: Connection, writer: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO notes VALUES (?)", (writer,))


@pytest.mark.parametrize("write", [by_cursor, by_connection, by_explicit_transaction])
def test_writers_get_their_turn_in_the_order_in_which_they_came(
    opened: Open, write: Callable[[Connection, int], None]
) -> None:
    first = opened()
    write(first, 0)

    def wait_and_write(writer: int) -> None:
        connection = opened()
        write(connection, writer)
        connection.commit()

    waiting = []
    for writer in range(1, 9):
        waiting.append(threading.Thread(target=wait_and_write, args=(writer,)))
        waiting[-1].start()
        while len(first._turn._waiting) < writer:
            time.sleep(0.001)
    first.commit()
    for thread in waiting:
        thread.join()

    assert written(first) == list(range(9))


def test_nobody_who_writes_without_a_pause_keeps_others_out(opened: Open) -> None:
    over = time.monotonic() + 1

    def write_on(writer: int) -> int:
        connection, times = opened(), 0
        while time.monotonic() < over:
            by_connection(connection, writer)
            connection.commit()
            times += 1
        return times

    with ThreadPoolExecutor(4) as threads:
        times = list(threads.map(write_on, range(4)))

    assert min(times) > max(times) / 2
    order = written(opened())
    alone = sum(one == other for one, other in pairwise(order))
    assert alone < len(order) / 2


def test_who_waits_too_long_is_told_that_the_database_is_locked(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", 0.2)
    first, second = opened(), opened()
    by_cursor(first, 1)

    with pytest.raises(sqlite3.OperationalError, match="database is locked"):
        by_cursor(second, 2)

    first.commit()
    by_cursor(second, 2)
    second.commit()
    assert written(first) == [1, 2]


def test_another_process_is_waited_for_and_not_for_longer_than_the_time_out(
    opened: Open, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    holding = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('BEGIN IMMEDIATE');"
        " print(flush=True); sys.stdin.read(); c.commit()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holding, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdin
        assert other.stdout
        other.stdout.readline()
        connection = opened()
        with monkeypatch.context() as impatient:
            impatient.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", 0.2)
            with pytest.raises(sqlite3.OperationalError, match="database is locked"):
                by_cursor(connection, 1)
        # The turn was given back, or nobody could ever write again.
        threading.Timer(0.2, other.stdin.close).start()
        by_cursor(connection, 2)
        connection.commit()

    assert written(connection) == [2]


def test_the_turn_that_comes_as_one_gives_up_is_taken() -> None:
    turns = Turns()
    assert turns.take(1)

    assert not turns.take(0.01)
    turns.end()

    assert turns.take(0)
    assert not turns._waiting


def test_a_transaction_that_sqlite_ended_by_itself_keeps_nobody_waiting(opened: Open) -> None:
    connection, other = opened(), opened()
    connection.execute("CREATE TABLE once (a INTEGER PRIMARY KEY)")
    connection.execute("INSERT INTO once VALUES (1)")
    connection.commit()
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute("INSERT OR ROLLBACK INTO once VALUES (1)")
    assert not connection.in_transaction

    connection.execute("INSERT INTO once VALUES (2)")
    connection.commit()
    other.execute("INSERT INTO once VALUES (3)")
    other.commit()

    assert connection.execute("SELECT count(*) FROM once").fetchone() == (3,)


def test_a_connection_that_is_closed_in_the_middle_of_a_write_ends_its_turn(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the pool does with one that is of no more use."""
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", 0.2)
    first, second = opened(), opened()
    by_cursor(first, 1)

    first.close()
    by_cursor(second, 2)
    second.commit()

    assert written(second) == [2]


def test_a_write_that_could_not_begin_ends_its_turn(
    opened: Open, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", 0.2)
    first, second = opened(), opened()
    # It knows nothing of turns, like another process.
    stranger = sqlite3.connect(file, isolation_level=None)
    stranger.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError, match="database is locked"):
        by_cursor(first, 1)
    stranger.execute("ROLLBACK")
    stranger.close()

    by_cursor(second, 2)
    second.commit()

    assert written(second) == [2]


# The application on a file


@contextmanager
def application(path: Path) -> Iterator[Flask]:
    url = f"sqlite:///{path}"
    app = create_app(read_settings(ENVIRONMENT | {"DATABASE_URL": url}))
    with app.app_context():
        flask_migrate.upgrade()
        yield app
        db.session.remove()
        db.engine.dispose()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("link", [None, "link.db"])
def test_a_new_database_is_readable_by_this_account_alone_wherever_it_is(
    tmp_path: Path, link: str | None
) -> None:
    if link:
        (tmp_path / link).symlink_to(tmp_path / "app.db")
    before = os.umask(0)
    try:
        with application(tmp_path / (link or "app.db")):
            db.session.add(LoginThrottle(subject="a", network="b", **A_FAILURE))
            db.session.commit()

            modes = {path.name: mode(path) for path in tmp_path.glob("app.db*")}
    finally:
        os.umask(before)

    assert modes == {"app.db": 0o600, "app.db-wal": 0o600, "app.db-shm": 0o600}


def test_the_mode_of_a_database_that_is_there_is_its_owners(tmp_path: Path) -> None:
    (tmp_path / "app.db").touch(0o660)
    (tmp_path / "app.db").chmod(0o660)

    with application(tmp_path / "app.db"):
        assert mode(tmp_path / "app.db") == 0o660


def test_the_folder_of_the_default_database_is_made_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a fresh clone with APP_ENV=production, nothing else makes it."""
    instance = tmp_path / "instance"
    monkeypatch.setattr(sqlite, "INSTANCE", instance)

    with application(instance / "app.db"):
        assert mode(instance) == 0o700
        assert mode(instance / "app.db") == 0o600


def test_another_folder_that_is_missing_is_not_made(tmp_path: Path) -> None:
    refused = pytest.raises(SystemExit, match="unable to open database file")
    with refused, application(tmp_path / "mistyped" / "app.db"):
        pass

    assert not (tmp_path / "mistyped").exists()


# SQLite's SELECT takes no lock: what was found may be something else by the time it is deleted


A_FAILURE = {"failures": 1, "last_failure_at": datetime(2020, 1, 1, tzinfo=UTC)}


@contextmanager
def just_before(statement: str, path: Path, change: str) -> Iterator[None]:
    """Somebody else changes something before the statement begins."""

    def strike(_connection: object, _cursor: object, text: str, *_: object) -> None:
        if text.startswith(statement):
            with sqlite3.connect(path) as other:
                assert other.execute(change).rowcount == 1
            other.close()

    sqlalchemy.event.listen(db.engine, "before_cursor_execute", strike)
    try:
        yield
    finally:
        sqlalchemy.event.remove(db.engine, "before_cursor_execute", strike)


def test_a_row_that_is_no_longer_old_is_not_deleted_with_its_batch(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    with application(path):
        for subject in ("renewed", "old"):
            db.session.add(LoginThrottle(subject=subject, network="b", **A_FAILURE))
        db.session.commit()

        renewal = (
            "UPDATE login_throttles SET last_failure_at = '2030-01-01 00:00:00.000000'"
            " WHERE subject = 'renewed'"
        )
        with just_before("DELETE FROM login_throttles", path, renewal):
            rows.delete_batch(
                LoginThrottle,
                LoginThrottle.last_failure_at < clock.now(),
                oldest=LoginThrottle.last_failure_at,
                limit=10,
            )

        assert db.session.scalars(db.select(LoginThrottle.subject)).all() == ["renewed"]


def test_an_account_that_its_owner_keeps_at_the_last_moment_is_not_erased(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    with application(path) as app:
        for name in ("ada", "bob"):
            person = make_user(app, username=name, email=f"{name}@example.com")
            db.session.merge(person).deletion_due_at = clock.now()
        db.session.commit()

        kept = "UPDATE users SET deletion_due_at = NULL WHERE username = 'ada'"
        with just_before("DELETE FROM users", path, kept):
            erased = closing.erase_due(10)

        assert erased == 1
        assert db.session.scalars(db.select(User.username)).all() == ["ada"]
