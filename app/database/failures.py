"""Says what an error of the database means for the request and for the connection.

PostgreSQL tells errors apart by SQLSTATE (its manual, appendix A), SQLite by
result code. The driver's class says too little: PostgreSQL that is read-only
raises the same class as a bug of ours.
"""

# A prepared statement is no longer valid: a column has changed its type, or the server has
# forgotten the statement (DISCARD ALL), or a pooler has swapped the server process. Nothing was
# executed.
STALE_PLANS = ("26000", "42P05")
# PostgreSQL uses this state for much else, and has no better one for it.
CHANGED_RESULT = ("0A000", "cached plan must not change result type")

# These errors pass by themselves, or the operator can repair them: connection exceptions,
# serialization and deadlock, resources that are short, locks that are held, cancelled statements
# and shutdowns, and errors of the operating system.
PASSING_CLASSES = ("08", "40", "53", "57", "58")
PASSING = ("25006", "25P03", "25P04", "55006", "55P03", "XX001", "XX002")

# A table or a column is missing.
MISSING = ("42P01", "42703")
MISSING_IN_SQLITE = ("no such table", "no such column")

# After these errors the connection is useless. Read-only (25006) is among them: after a failover
# the connection leads to a server that has become a standby, and that may stay so after the
# database is back. A statement that was cancelled or met a lock does not harm its connection.
SPOILING = ("25006", "25P03", "25P04", "53300", *STALE_PLANS)
SPOILING_CLASSES = ("08", "57P")

# https://www.sqlite.org/rescode.html. A file that was read-only when it was opened stays so for
# that connection.
ERROR, READONLY, IOERR, CORRUPT, CANTOPEN, NOTADB = 1, 8, 10, 11, 14, 26
BUSY, LOCKED, NOMEM, INTERRUPT, FULL, PROTOCOL = 5, 6, 7, 9, 13, 15
SQLITE_SPOILING = (READONLY, IOERR, CORRUPT, CANTOPEN, NOTADB)
SQLITE_PASSING = (*SQLITE_SPOILING, BUSY, LOCKED, NOMEM, INTERRUPT, FULL, PROTOCOL)


def is_passing(error: BaseException | None) -> bool:
    """Whether the same request may succeed later, so that the answer is 503 and not 500."""
    state = _state(error)
    return (
        state in PASSING
        or state.startswith(PASSING_CLASSES)
        or is_stale_plan(error)
        or _sqlite_code(error) in SQLITE_PASSING
    )


def spoils_connection(error: BaseException | None) -> bool:
    """Whether the connection must leave the pool, together with those of the same age."""
    state = _state(error)
    return (
        state in SPOILING
        or state.startswith(SPOILING_CLASSES)
        or is_stale_plan(error)
        or _sqlite_code(error) in SQLITE_SPOILING
    )


def is_stale_plan(error: BaseException | None) -> bool:
    """Whether a statement was not executed because its plan was out of date."""
    state, message = CHANGED_RESULT
    found = _state(error)
    return found in STALE_PLANS or (found == state and message in str(error))


def is_read_only(error: BaseException | None) -> bool:
    """Whether a write was refused because the database is read-only. Nothing was changed."""
    return _state(error) == "25006" or _sqlite_code(error) == READONLY


def lacks_schema(error: BaseException | None) -> bool:
    """Whether a table or a column is missing. SQLite says so only in the message."""
    if _sqlite_code(error) == ERROR:
        return str(error).startswith(MISSING_IN_SQLITE) or " has no column named " in str(error)
    return _state(error) in MISSING


def lacks_rights(error: BaseException | None) -> bool:
    """Whether the role of the connection may not do this."""
    return _state(error) == "42501"


def is_locked(error: BaseException | None) -> bool:
    """Whether another transaction held a lock for longer than ``lock_timeout``."""
    return _state(error) == "55P03"


def _state(error: BaseException | None) -> str:
    return getattr(error, "sqlstate", None) or ""


def _sqlite_code(error: BaseException | None) -> int | None:
    """The last byte of SQLite's result code. The other bytes only give details."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
