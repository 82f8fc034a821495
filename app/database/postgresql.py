"""Connections to PostgreSQL: time limits, checks of pooled connections, and poolers."""

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

# A request waits no longer for a database that is away. The contract gives the request 5 s.
CONNECT_TIMEOUT_SECONDS = 3
# A server that lives answers an empty statement faster than this under any load.
PING_TIMEOUT_MILLISECONDS = 1000
PING_AFTER_SECONDS = 1.0
# How old a read-only connection may become before another one replaces it. After a failover the
# new one may lead to a server that takes writes.
READ_ONLY_REST_SECONDS = 1.0
# How long a request waits for the answer to one statement.
ANSWER_TIMEOUT_SECONDS = 4.0
# PostgreSQL itself stops a long statement, a long wait for a lock, and a transaction in which the
# application sends nothing more. So it does no work for which nobody waits.
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
    # This overrides the environment and the database: in SQL_ASCII, text would arrive as bytes.
    "client_encoding": "utf8",
}


Error = psycopg.Error


class Cursor(psycopg.Cursor[Any]):
    """A cursor that prepares its statements again after a change of their tables.

    After a column was widened, or after DISCARD ALL, each prepared statement
    of each pooled connection would fail once.
    """

    _conn: "Connection"

    def execute(self, query: Any, params: Any = None, **options: Any) -> "Cursor":
        begins = self._conn.pgconn.transaction_status == TransactionStatus.IDLE
        try:
            return super().execute(query, params, **options)
        except psycopg.Error as error:
            # Later in a transaction, the statements before this one would be lost.
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

    The server's own limits do not help if the server is frozen, or if it is
    gone and the network still acknowledges. Commands and migrations have no
    limit.
    """

    answer_timeout: float | None = None

    # True if the connection works, but no longer as it was set up. The pool then replaces it.
    is_outdated = False

    def plan_anew(self) -> None:
        """Forget all prepared statements, and roll back the transaction that has begun."""
        self.is_outdated = True
        self.rollback()
        autocommit, self.autocommit = self.autocommit, True
        # psycopg notices this statement, and forgets them as well.
        psycopg.Cursor(self).execute("DEALLOCATE ALL", prepare=False)
        self.autocommit = autocommit

    def commit(self) -> None:
        if self.pgconn.transaction_status != TransactionStatus.IDLE:
            super().commit()

    def rollback(self) -> None:
        """The pool rolls back each connection that returns. Most have nothing to roll back."""
        if self.pgconn.transaction_status != TransactionStatus.IDLE:
            super().rollback()

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        try:
            return super().wait(gen, interval, timeout or self.answer_timeout)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                # The answer might still come, and the next statement would take it for its own.
                self.close()
            raise


def listen(engine: Engine, *, prepares: str, writes: bool = True) -> None:
    """Open the engine's connections as ours, and check pooled ones before use.

    An engine that ``writes`` does not keep read-only connections.
    """
    event.listen(engine, "do_connect", _connect)
    # This comes first, because SQLAlchemy itself runs statements on a new connection.
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

    A pooler gives each client a made-up process id at the start, and not the
    id of the server process.
    """
    [answer] = _ask(connection, b"SELECT pg_backend_pid()")
    return answer.get_value(0, 0) != b"%d" % connection.info.backend_pid


def _connect(_dialect: object, _record: object, arguments: Any, options: Any) -> Connection:
    connection = Connection.connect(*arguments, **options, cursor_factory=Cursor)
    # psycopg reads dates in ISO style only. A database, a role or PGDATESTYLE may set another one.
    if not (connection.pgconn.parameter_status(b"DateStyle") or b"ISO").startswith(b"ISO"):
        try:
            _ask(connection, b"SET DateStyle TO ISO")
        except psycopg.OperationalError:
            connection.close()
            raise
    return connection


def _note_opening(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info["opened_at"] = monotonic()


def _note_use(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info["used_at"] = monotonic()


def _ping(connection: Connection, record: ConnectionPoolEntry, _proxy: object) -> None:
    """Check that a pooled connection still answers. Otherwise the pool opens another one.

    A connection that was used a moment ago is not asked, because that would
    be one more round trip for each request under load. Then it is enough that
    the server has not hung up.
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
    """Open another connection in place of a read-only one, once a second at most.

    The server has told its state at the start, so this check costs no round
    trip. Without it, connections that were opened during a failover would
    refuse each write for as long as the pool keeps them.
    """
    if not is_read_only(connection):
        return
    if monotonic() - record.info["opened_at"] > READ_ONLY_REST_SECONDS:
        raise DisconnectionError


def is_read_only(connection: psycopg.Connection[Any]) -> bool:
    """Whether the server reports that it takes no writes. PostgreSQL 14 and later report it."""
    said = connection.pgconn.parameter_status
    return b"on" in (said(b"in_hot_standby"), said(b"default_transaction_read_only"))


def _limit(connection: Connection, record: ConnectionPoolEntry, _proxy: object) -> None:
    """Set the limits when a request first uses the connection. Commands and migrations have none.

    A statement sets them, and not the options of the connection: PgBouncer
    refuses a client with options that it does not know.
    """
    if record.info.get("is_limited") or not has_request_context():
        return
    connection.answer_timeout = ANSWER_TIMEOUT_SECONDS
    connection.autocommit = True
    connection.execute(LIMITS)
    connection.autocommit = False
    record.info["is_limited"] = True


def _hear(connection: psycopg.Connection[Any]) -> None:
    """Read unasked messages of the server. Raises ``psycopg.OperationalError`` if it hung up.

    Unlike ``poll``, this does not let all other threads run first.
    """
    # A server that hangs up sends a last message, and then the end. If only the message has
    # arrived, the next statement fails.
    for _ in range(2):
        connection.pgconn.consume_input()


def _ask(connection: psycopg.Connection[Any], statement: bytes) -> list[PGresult]:
    """Run a statement in one round trip, within ``PING_TIMEOUT_MILLISECONDS``.

    Raises ``psycopg.OperationalError`` if the server is too slow, or gone.
    SQLAlchemy's own ping would wait for ever for a frozen server.
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
        # The last message of a server that hung up arrives like a result.
        raise psycopg.OperationalError(server.get_error_message())
    return answers


def _prepare_unless_pooled(connection: psycopg.Connection[Any], _record: object) -> None:
    """Prepare nothing behind a pooler.

    A statement is prepared in one server process. The next transaction may
    use another process, which does not know the statement, or which has
    another statement with the same name.
    """
    try:
        if is_behind_a_pooler(connection):
            connection.prepare_threshold = None
    except psycopg.OperationalError:
        connection.close()
        raise


def _prepare_always(_connection: object, _record: object) -> None:
    """Do nothing, because psycopg prepares statements by default."""


def _prepare_never(connection: psycopg.Connection[Any], _record: object) -> None:
    connection.prepare_threshold = None


_PREPARING = {
    "auto": _prepare_unless_pooled,
    "always": _prepare_always,
    "never": _prepare_never,
}


# Only PostgreSQL has these indexes, for the lists of administrators. They sort by bytes, whatever
# order the database has, and search inside texts. SQLite scans the table.
ONLY_IN_POSTGRESQL = (
    "ix_users_created_at_id",
    "ix_users_email_bytes",
    "ix_users_username_key_bytes",
    "ix_users_search",
)
