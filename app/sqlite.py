"""SQLite's manners: who writes when, and what survives."""

import sqlite3
import threading
from typing import Any, ClassVar

from sqlalchemy import Engine, event

# How long a writer waits for its turn; the contract gives the whole request 5 s.
BUSY_TIMEOUT_SECONDS = 4


# Before the first three the driver begins a transaction with the fourth.
WRITING = ("INSERT", "UPDATE", "DELETE", "BEGIN IMMEDIATE")


class Connection(sqlite3.Connection):
    """A connection whose writes wait for those of the same process in a queue.

    SQLite would have them sleep, a tenth of a second in the end, and try
    again: whoever comes by then goes first. So it is left to settle matters
    between processes, of which there are few.
    """

    _turns: ClassVar[dict[str, threading.Lock]] = {}

    def __init__(self, database: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(database, *args, **kwargs)
        self._turn = self._turns.setdefault(database, threading.Lock())
        self._has_turn = False

    def cursor(self, factory: Any = None) -> Any:
        return super().cursor(factory or _Cursor)

    def wait_for_turn(self) -> None:
        if not self._has_turn:
            self._has_turn = self._turn.acquire(timeout=BUSY_TIMEOUT_SECONDS)
            if not self._has_turn:
                raise sqlite3.OperationalError("database is locked")

    def commit(self) -> None:
        super().commit()
        self._end_turn()

    def rollback(self) -> None:
        super().rollback()
        self._end_turn()

    def close(self) -> None:
        super().close()
        self._end_turn()

    def _end_turn(self) -> None:
        if self._has_turn:
            self._has_turn = False
            self._turn.release()


class _Cursor(sqlite3.Cursor):
    connection: Connection

    def execute(self, sql: str, *args: Any) -> Any:
        if sql.lstrip()[:15].upper().startswith(WRITING):
            self.connection.wait_for_turn()
        return super().execute(sql, *args)

    def executemany(self, sql: str, *args: Any) -> Any:
        self.connection.wait_for_turn()
        return super().executemany(sql, *args)


# Python's sqlite3 opens every write transaction with BEGIN IMMEDIATE. A deferred one that reads
# first and writes later fails at once with "database is locked" when another has written in
# between, whatever the busy timeout.
CONNECT_ARGUMENTS: dict[str, Any] = {
    "isolation_level": "IMMEDIATE",
    "timeout": BUSY_TIMEOUT_SECONDS,
    "factory": Connection,
}


def listen(engine: Engine) -> None:
    """Set up each connection that the engine opens."""
    event.listen(engine, "connect", _set_up)


def _set_up(connection: sqlite3.Connection, _record: object) -> None:
    # WAL: readers and the writer do not wait for each other. NORMAL: a commit survives the
    # death of the process; only a power cut may take the last ones, and never corrupts.
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
    # SQLite's own knows ASCII alone, and people look for émile as well.
    connection.create_function("lower", 1, _lower, deterministic=True)


def _lower(text: str | None) -> str | None:
    return None if text is None else text.lower()
