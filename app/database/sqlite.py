"""Connections to SQLite: writers take turns, and each connection gets its settings."""

import os
import sqlite3
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any, ClassVar

from sqlalchemy import Engine, event

from config import INSTANCE

# How long a writer waits for its turn. The contract gives the whole request 5 s.
BUSY_TIMEOUT_SECONDS = 4
# How long a writer waits before it asks again whether another process has finished. Most writes
# take less.
ASK_AGAIN_SECONDS = 0.001

BEGIN = "BEGIN IMMEDIATE"
# The driver itself would send BEGIN before the others.
WRITING = ("INSERT", "UPDATE", "DELETE", BEGIN)


Error = sqlite3.Error


class Turns:
    """A lock that threads get in the order in which they came.

    Python's own lock goes to the thread that asks at the right moment. If
    many threads write without a pause, some would wait for seconds.
    """

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._is_taken = False
        self._waiting: deque[threading.Event] = deque()

    def take(self, seconds: float) -> bool:
        """Wait up to ``seconds`` for the turn, and return whether it came."""
        with self._changing:
            if not self._is_taken:
                self._is_taken = True
                return True
            called = threading.Event()
            self._waiting.append(called)
        if called.wait(seconds):
            return True
        with self._changing:
            if called.is_set():
                return True
            self._waiting.remove(called)
            return False

    def end(self) -> None:
        """Give the turn to the next thread."""
        with self._changing:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._is_taken = False


class Connection(sqlite3.Connection):
    """A connection whose writes queue up behind other writes of the same process.

    SQLite would let a writer sleep, up to a tenth of a second, and try again.
    Another writer that comes in between would go first. So SQLite decides
    only between processes, of which there are few.
    """

    _turns: ClassVar[dict[str, Turns]] = {}

    def __init__(self, database: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(database, *args, **kwargs)
        self._turn = self._turns.setdefault(database, Turns())
        self._has_turn = False

    def cursor(self, factory: Any = None) -> Any:
        return super().cursor(factory or _Cursor)

    def execute(self, sql: str, *args: Any) -> Any:
        # Python's own method does not call ``cursor``.
        return self.cursor().execute(sql, *args)

    def begin_writing(self) -> None:
        """Take the turn in this process, and then the file, both within the time-out.

        SQLite itself would ask for the file less and less often. It would
        hardly ever find the file free while another process writes without a
        pause. In a transaction that began in another way, only SQLite decides.
        """
        if self.in_transaction:
            return
        deadline = monotonic() + BUSY_TIMEOUT_SECONDS
        # SQLite may have ended the transaction by itself. Then this connection still has its turn.
        if not self._has_turn and not self._turn.take(BUSY_TIMEOUT_SECONDS):
            raise sqlite3.OperationalError("database is locked")
        self._has_turn = True
        try:
            self._ask_for_file(deadline)
        except BaseException:
            self._end_turn()
            raise

    def _ask_for_file(self, deadline: float) -> None:
        asking = sqlite3.Cursor(self)
        asking.execute("PRAGMA busy_timeout = 0")
        try:
            while True:
                try:
                    asking.execute(BEGIN)
                except sqlite3.OperationalError as error:
                    # The other bytes of the code say why it is busy.
                    is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                    if not is_busy or monotonic() > deadline:
                        raise
                    sleep(ASK_AGAIN_SECONDS)
                else:
                    return
        finally:
            asking.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_SECONDS * 1000}")

    def commit(self) -> None:
        super().commit()
        self._end_turn()

    def rollback(self) -> None:
        try:
            super().rollback()
        finally:
            self._end_turn()

    def close(self) -> None:
        try:
            super().close()
        finally:
            # The pool may close a useless connection in the middle of a transaction.
            self._end_turn()

    def _end_turn(self) -> None:
        if self._has_turn:
            self._has_turn = False
            self._turn.end()


class _Cursor(sqlite3.Cursor):
    connection: Connection

    def execute(self, sql: str, *args: Any) -> Any:
        beginning = sql.lstrip()[:15].upper()
        if beginning.startswith(WRITING):
            self.connection.begin_writing()
        if beginning == BEGIN:
            return self
        return super().execute(sql, *args)

    def executemany(self, sql: str, *args: Any) -> Any:
        self.connection.begin_writing()
        return super().executemany(sql, *args)


# Python's sqlite3 opens every write transaction with BEGIN IMMEDIATE. A deferred transaction that
# reads first and writes later fails at once with "database is locked" if another connection has
# written in between, whatever the busy timeout is.
CONNECT_ARGUMENTS: dict[str, Any] = {
    "isolation_level": "IMMEDIATE",
    "timeout": BUSY_TIMEOUT_SECONDS,
    "factory": Connection,
}


def listen(engine: Engine) -> None:
    """Set up each connection that the engine opens."""
    event.listen(engine, "do_connect", _make_file)
    event.listen(engine, "connect", _set_up)


def _make_file(_dialect: object, _record: object, arguments: Any, _options: object) -> None:
    """Make a new file that only this account can read, because it holds addresses and hashes.

    SQLite would let the umask decide. It gives the files beside the database
    (-wal, -shm) the same mode. A symbolic link may lead to a file that is not
    there yet.
    """
    path = Path(os.path.realpath(arguments[0]))
    if path.parent == INSTANCE.resolve():
        path.parent.mkdir(mode=0o700, exist_ok=True)
    # If the folder is missing or read-only, SQLite says so later.
    with suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))


def _set_up(connection: sqlite3.Connection, _record: object) -> None:
    # WAL: readers and the writer do not wait for each other. NORMAL: a commit survives the
    # death of the process. Only a power cut may lose the last commits, and it never corrupts.
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
    # SQLite's own function only knows ASCII, and people also search for émile.
    connection.create_function("lower", 1, _lower, deterministic=True)


def _lower(text: str | None) -> str | None:
    return None if text is None else text.lower()
