"""Connections to PostgreSQL: how long they wait, whether they still live, who stands between."""

from select import POLLIN, poll
from time import monotonic
from typing import Any

import psycopg
from flask import has_request_context
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGresult
from sqlalchemy import Engine, event
from sqlalchemy.exc import DisconnectionError, InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry

from app.database import failures

# Longer than a request should wait for a database that is away; the contract gives it 5 s.
CONNECT_TIMEOUT_SECONDS = 3
# Longer than a server that lives takes to answer an empty statement, whatever its load.
PING_TIMEOUT_MILLISECONDS = 1000
PING_AFTER_SECONDS = 1.0
# How old a connection that only reads may become before another is opened in its place: after a
# failover the new one may lead to a server that writes.
READ_ONLY_REST_SECONDS = 1.0
# How long a request waits for the answer to one statement.
ANSWER_TIMEOUT_SECONDS = 4.0
# What PostgreSQL gives up by itself, so that nothing goes on there for which nobody waits any
# more: a statement, waiting for a lock, and a transaction in which the application fell silent.
LIMITS = (
    "SELECT set_config('statement_timeout', '3s', false), set_config('lock_timeout', '2s', false),"
    " set_config('idle_in_transaction_session_timeout', '30s', false)"
)

CONNECT_ARGUMENTS: dict[str, Any] = {
    "connect_timeout": CONNECT_TIMEOUT_SECONDS,
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 4000,
    # Whatever the environment and the database say: in SQL_ASCII, text would arrive as bytes.
    "client_encoding": "utf8",
}


Error = psycopg.Error


class Cursor(psycopg.Cursor[Any]):
    """A cursor whose statements survive a change of the tables that they were prepared for.

    After a column was widened, or the server was told DISCARD ALL, each
    pooled connection would refuse each of its prepared statements once.
    """

    _conn: "Connection"

    def execute(self, query: Any, params: Any = None, **options: Any) -> "Cursor":
        begins = self._conn.pgconn.transaction_status == TransactionStatus.IDLE
        try:
            return super().execute(query, params, **options)
        except psycopg.Error as error:
            # Further into a transaction, what went before would be lost with it.
            if not begins or not failures.is_stale_plan(error):
                raise
        self._conn.plan_anew()
        return super().execute(query, params, **options)

    def executemany(self, query: Any, params_seq: Any, **options: Any) -> None:
        begins = self._conn.pgconn.transaction_status == TransactionStatus.IDLE
        rows = list(params_seq)
        try:
            return super().executemany(query, rows, **options)
        except psycopg.Error as error:
            if not begins or self._conn.autocommit or not failures.is_stale_plan(error):
                raise
        self._conn.plan_anew()
        return super().executemany(query, rows, **options)


class Connection(psycopg.Connection[Any]):
    """A connection on which requests wait for each answer for a limited time.

    The server's own limits do not help against a server that is frozen, or
    gone behind a network that still acknowledges. Commands and migrations
    wait as long as it takes.
    """

    answer_timeout: float | None = None

    # Set where the connection works, but not as it was set up: the pool opens another next time.
    is_outdated = False

    def plan_anew(self) -> None:
        """Forget all prepared statements, and what of a transaction has begun."""
        self.is_outdated = True
        self.rollback()
        autocommit, self.autocommit = self.autocommit, True
        # psycopg sees it, and forgets them as well.
        psycopg.Cursor(self).execute("DEALLOCATE ALL", prepare=False)
        self.autocommit = autocommit

    def commit(self) -> None:
        if self.pgconn.transaction_status != TransactionStatus.IDLE:
            super().commit()

    def rollback(self) -> None:
        """The pool rolls back what it takes back; most often there is nothing."""
        if self.pgconn.transaction_status != TransactionStatus.IDLE:
            super().rollback()

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        try:
            return super().wait(gen, interval, timeout or self.answer_timeout)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                # The answer might still come, and be taken for that to another statement.
                self.close()
            raise


def listen(engine: Engine, *, prepares: str, writes: bool = True) -> None:
    """Open the engine's connections as ours, and ask pooled ones whether they live.

    One that ``writes`` does not keep connections that only read.
    """
    event.listen(engine, "do_connect", _connect)
    # First of all: SQLAlchemy asks a new connection several things.
    event.listen(engine, "connect", _PREPARING[prepares], insert=True)
    event.listen(engine, "connect", _note_use)
    event.listen(engine, "checkin", _note_use)
    event.listen(engine, "checkout", _ping)
    if writes:
        event.listen(engine, "connect", _note_opening)
        event.listen(engine, "checkout", _replace_if_read_only)
    event.listen(engine, "checkout", _limit)


def is_behind_a_pooler(connection: psycopg.Connection[Any]) -> bool:
    """Whether a pooler like PgBouncer stands between this connection and PostgreSQL.

    It greets each client with a number of its own in place of the server
    process's.
    """
    [answer] = _ask(connection, b"SELECT pg_backend_pid()")
    return answer.get_value(0, 0) != b"%d" % connection.info.backend_pid


def _connect(_dialect: object, _record: object, arguments: Any, options: Any) -> Connection:
    return Connection.connect(*arguments, **options, cursor_factory=Cursor)


def _note_opening(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info["opened_at"] = monotonic()


def _note_use(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info["used_at"] = monotonic()


def _ping(connection: Connection, record: ConnectionPoolEntry, _proxy: object) -> None:
    """Whether a pooled connection still answers; the pool opens another where it does not.

    One that answered a moment ago is not asked, which would be one more round
    trip for each request under load: it only must not have hung up.
    """
    if connection.is_outdated:
        raise DisconnectionError
    try:
        if monotonic() - record.info["used_at"] < PING_AFTER_SECONDS:
            _hear(connection)
        else:
            _ask(connection, b"")
    except psycopg.OperationalError:
        raise InvalidatePoolError from None


def _replace_if_read_only(
    connection: Connection, record: ConnectionPoolEntry, _proxy: object
) -> None:
    """Open another connection in place of one that only reads, once a second at most.

    The server said so when it let us in, and asking costs nothing. Without
    this, connections that were opened during a failover would refuse each
    write for as long as the pool keeps them.
    """
    if not is_read_only(connection):
        return
    if monotonic() - record.info["opened_at"] > READ_ONLY_REST_SECONDS:
        raise DisconnectionError


def is_read_only(connection: psycopg.Connection[Any]) -> bool:
    """Whether the server says by itself that it takes no writes; PostgreSQL 14 and later do."""
    said = connection.pgconn.parameter_status
    return b"on" in (said(b"in_hot_standby"), said(b"default_transaction_read_only"))


def _limit(connection: Connection, record: ConnectionPoolEntry, _proxy: object) -> None:
    """Set the limits when a request first uses the connection. Commands and migrations have none.

    They are set by a statement and not with the connection: PgBouncer
    refuses a client that brings options it does not know.
    """
    if record.info.get("is_limited") or not has_request_context():
        return
    connection.answer_timeout = ANSWER_TIMEOUT_SECONDS
    connection.autocommit = True
    connection.execute(LIMITS)
    connection.autocommit = False
    record.info["is_limited"] = True


def _hear(connection: psycopg.Connection[Any]) -> None:
    """Read what the server has said by itself. Raises ``psycopg.OperationalError`` if it hung up.

    Other than ``poll``, this does not let all other threads run first.
    """
    # First come its last words, then the end. Where only the words have arrived, the next
    # statement fails.
    for _ in range(2):
        connection.pgconn.consume_input()


def _ask(connection: psycopg.Connection[Any], statement: bytes) -> list[PGresult]:
    """What the server answers, in one round trip; it gets ``PING_TIMEOUT_MILLISECONDS``.

    Raises ``psycopg.OperationalError`` if it is too slow, or gone. SQLAlchemy's
    own ping would wait for ever on a server that is frozen.
    """
    server = connection.pgconn
    server.send_query(statement)
    server.flush()
    heard = poll()
    heard.register(server.socket, POLLIN)
    if not heard.poll(PING_TIMEOUT_MILLISECONDS):
        raise psycopg.OperationalError("the server does not answer")
    server.consume_input()
    answers = []
    while answer := server.get_result():
        answers.append(answer)
    if server.status != psycopg.pq.ConnStatus.OK:
        # A server that hung up has left its last words, which arrive like a result.
        raise psycopg.OperationalError(server.get_error_message())
    return answers


def _prepare_unless_pooled(connection: psycopg.Connection[Any], _record: object) -> None:
    """Prepare nothing behind a pooler.

    A statement is prepared in one server process, and the next transaction
    may meet another, which does not know it, or knows another by its name.
    """
    try:
        if is_behind_a_pooler(connection):
            connection.prepare_threshold = None
    except psycopg.OperationalError:
        connection.close()
        raise


def _prepare_always(_connection: object, _record: object) -> None:
    """As psycopg does by itself."""


def _prepare_never(connection: psycopg.Connection[Any], _record: object) -> None:
    connection.prepare_threshold = None


_PREPARING = {
    "auto": _prepare_unless_pooled,
    "always": _prepare_always,
    "never": _prepare_never,
}


# Indexes for the lists of administrators that only PostgreSQL has: by bytes whatever the
# database's own order, and for searching inside texts. SQLite scans.
ONLY_IN_POSTGRESQL = (
    "ix_users_created_at_id",
    "ix_users_email_bytes",
    "ix_users_username_key_bytes",
    "ix_users_search",
)
