"""SQLite's manners: who writes when, and what survives."""

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

# How long a writer waits for its turn; the contract gives the whole request 5 s.
BUSY_TIMEOUT_SECONDS = 4
# How often a writer asks whether another process has finished: most writes take less.
ASK_AGAIN_SECONDS = 0.001

BEGIN = "BEGIN IMMEDIATE"
# Before the others the driver would begin a transaction with it.
WRITING = ("INSERT", "UPDATE", "DELETE", BEGIN)


Error = sqlite3.Error


class Turns:
    """One after the other, in the order in which they came.

    A lock of Python's goes to whoever asks at the right moment: of many who
    write without a pause, some would wait for seconds.
    """

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._is_taken = False
        self._waiting: deque[threading.Event] = deque()

    def take(self, seconds: float) -> bool:
        """Wait so long for the turn, and say whether it came."""
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
        """Call the next one in, whose turn it is from now on."""
        with self._changing:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._is_taken = False


class Connection(sqlite3.Connection):
    """A connection whose writes wait for those of the same process in a queue.

    SQLite would have them sleep, a tenth of a second in the end, and try
    again: whoever comes by then goes first. So it is left to settle matters
    between processes, of which there are few.
    """

    _turns: ClassVar[dict[str, Turns]] = {}

    def __init__(self, database: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(database, *args, **kwargs)
        self._turn = self._turns.setdefault(database, Turns())
        self._has_turn = False

    def cursor(self, factory: Any = None) -> Any:
        return super().cursor(factory or _Cursor)

    def execute(self, sql: str, *args: Any) -> Any:
        # Python's own goes round ``cursor``.
        return self.cursor().execute(sql, *args)

    def begin_writing(self) -> None:
        """Take the turn in this process, and then the file, both within the time-out.

        SQLite itself would ask for the file more and more seldom, and hardly
        ever find it free while another process writes one thing after the
        other. In a transaction that began otherwise, only SQLite decides.
        """
        if self.in_transaction:
            return
        deadline = monotonic() + BUSY_TIMEOUT_SECONDS
        # SQLite may have ended the transaction by itself; the turn goes on then.
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
                    # The rest of the code says why it is busy.
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
            # The pool closes a connection that is of no more use in the middle of a transaction.
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
    event.listen(engine, "do_connect", _make_file)
    event.listen(engine, "connect", _set_up)


def _make_file(_dialect: object, _record: object, arguments: Any, _options: object) -> None:
    """Make a new database readable by this account alone, as it holds addresses and hashes.

    SQLite would let the umask decide. It gives the files beside it (-wal,
    -shm) the same mode.
    """
    path = Path(arguments[0])
    if path.parent == INSTANCE:
        path.parent.mkdir(mode=0o700, exist_ok=True)
    # Where the folder is missing or read-only, SQLite says so.
    with suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))


def _set_up(connection: sqlite3.Connection, _record: object) -> None:
    # WAL: readers and the writer do not wait for each other. NORMAL: a commit survives the
    # death of the process; only a power cut may take the last ones, and never corrupts.
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
    # SQLite's own knows ASCII alone, and people look for émile as well.
    connection.create_function("lower", 1, _lower, deterministic=True)


def _lower(text: str | None) -> str | None:
    return None if text is None else text.lower()
