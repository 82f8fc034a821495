"""How writers to SQLite wait for each other."""

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from app import sqlite
from app.sqlite import CONNECT_ARGUMENTS, Connection, Turns

Open = Callable[[], Connection]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "turns.db"
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE notes (writer INTEGER)")
    database.close()
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
