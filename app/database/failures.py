"""What an error of the database means for the request that met it, and for its connection.

PostgreSQL tells errors apart by SQLSTATE (its manual, appendix A), SQLite by
result code. The driver's class says too little: PostgreSQL that is read-only
raises the same class as a bug of ours.
"""

# The plan of a prepared statement that is good no more: a column has changed its type since, or
# the server has forgotten the statement (DISCARD ALL), or a pooler has swapped the server
# process. Nothing was executed.
STALE_PLANS = ("26000", "42P05")
# PostgreSQL uses this state for much else, and has no better one for it.
CHANGED_RESULT = ("0A000", "cached plan must not change result type")

# What passes by itself, or is the operator's to mend: connection exceptions, serialization and
# deadlock, resources that are short, locks that are held, cancelled statements and shutdowns,
# and errors of the system below.
PASSING_CLASSES = ("08", "40", "53", "57", "58")
PASSING = ("25006", "25P03", "25P04", "55006", "55P03", "XX001", "XX002")

# A table or a column that is not there.
MISSING = ("42P01", "42703")
MISSING_IN_SQLITE = ("no such table", "no such column")

# After which the connection is of no more use. Read-only (25006) is among them: after a failover
# it leads to a server that has become a standby, and may stay so after the database is back.
# Statements that were cancelled or met a lock leave their connection as good as it was.
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
    """Whether the connection must leave the pool, and with it those that are as old."""
    state = _state(error)
    return (
        state in SPOILING
        or state.startswith(SPOILING_CLASSES)
        or is_stale_plan(error)
        or _sqlite_code(error) in SQLITE_SPOILING
    )


def is_stale_plan(error: BaseException | None) -> bool:
    """Whether a statement was not executed as its plan was made before something changed."""
    state, message = CHANGED_RESULT
    found = _state(error)
    return found in STALE_PLANS or (found == state and message in str(error))


def is_read_only(error: BaseException | None) -> bool:
    """Whether a write was refused, and nothing of it done, because the database only reads."""
    return _state(error) == "25006" or _sqlite_code(error) == READONLY


def lacks_schema(error: BaseException | None) -> bool:
    """Whether a table or a column is missing. SQLite tells it in words alone."""
    if _sqlite_code(error) == ERROR:
        return str(error).startswith(MISSING_IN_SQLITE) or " has no column named " in str(error)
    return _state(error) in MISSING


def is_locked(error: BaseException | None) -> bool:
    """Whether somebody else held what the statement needed, for longer than ``lock_timeout``."""
    return _state(error) == "55P03"


def _state(error: BaseException | None) -> str:
    return getattr(error, "sqlstate", None) or ""


def _sqlite_code(error: BaseException | None) -> int | None:
    """The first byte; the others say more exactly why."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
