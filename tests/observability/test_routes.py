"""GET /healthz and /readyz, and what happens while the database is away."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import flask_migrate
import pytest
import sqlalchemy
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.engine import make_url
from werkzeug.test import TestResponse

from app.extensions import db
from app.models import User
from app.version import VERSION
from tests.conftest import POSTGRES_URL, new_postgres_database
from tests.factories import API, bearer, log_in, me, problem


@pytest.fixture
def empty_database_url(database_url: str, tmp_path: Path) -> Iterator[str]:
    """A database of the same kind, without a table."""
    if database_url.startswith("sqlite"):
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    with new_postgres_database() as url:
        yield url


@pytest.fixture
def unmigrated(make_app: Callable[..., Flask], empty_database_url: str) -> Iterator[Flask]:
    app = make_app(DATABASE_URL=empty_database_url)
    yield app
    with app.app_context():
        db.engine.dispose()


def set_revision(app: Flask, *revisions: str) -> None:
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(sqlalchemy.text("DELETE FROM alembic_version"))
        for revision in revisions:
            connection.execute(
                sqlalchemy.text("INSERT INTO alembic_version VALUES (:revision)"),
                {"revision": revision},
            )


def migrate(app: Flask) -> None:
    with app.app_context():
        flask_migrate.upgrade()


@pytest.fixture
def executed(unmigrated: Flask) -> Iterator[list[str]]:
    """The statements that go to the database of ``unmigrated``."""
    found: list[str] = []

    def note(
        _connection: object, _cursor: object, statement: str, values: object, *_: object
    ) -> None:
        found.append(f"{statement} {values}")

    with unmigrated.app_context():
        engine = db.engine
    sqlalchemy.event.listen(engine, "before_cursor_execute", note)
    yield found
    sqlalchemy.event.remove(engine, "before_cursor_execute", note)


def asked(client: FlaskClient, statements: list[str]) -> list[str]:
    """The statements of one call of readyz, without those that open a connection."""
    statements.clear()
    assert client.get("/readyz").status_code == 200
    return [statement for statement in statements if "set_config" not in statement]


def assert_not_ready(response: TestResponse, checks: dict[str, str]) -> None:
    assert problem(response) == (503, "unavailable")
    assert response.json["checks"] == checks
    assert response.headers["Retry-After"].isdecimal()


def test_a_living_process_is_healthy(client: FlaskClient) -> None:
    response = client.get("/healthz")

    assert (response.status_code, response.json) == (200, {"status": "ok", "version": VERSION})


def test_health_asks_the_database_nothing(client: FlaskClient, statements: list[str]) -> None:
    client.get("/healthz")

    assert statements == []


def test_a_migrated_database_is_ready(client: FlaskClient) -> None:
    response = client.get("/readyz")

    assert response.status_code == 200
    assert response.json == {"checks": {"database": "ok", "migrations": "ok"}}


def test_an_unmigrated_database_is_not_ready(unmigrated: Flask) -> None:
    response = unmigrated.test_client().get("/readyz")

    assert_not_ready(response, {"database": "ok", "migrations": "away"})


def test_it_is_ready_once_it_is_migrated(unmigrated: Flask) -> None:
    migrate(unmigrated)

    response = unmigrated.test_client().get("/readyz")

    assert response.status_code == 200


def test_a_database_whose_first_migration_never_ended_is_not_ready(unmigrated: Flask) -> None:
    migrate(unmigrated)
    set_revision(unmigrated)

    response = unmigrated.test_client().get("/readyz")

    assert_not_ready(response, {"database": "ok", "migrations": "away"})


def test_a_database_ahead_of_the_code_is_ready(unmigrated: Flask) -> None:
    migrate(unmigrated)
    set_revision(unmigrated, "f" * 12)

    response = unmigrated.test_client().get("/readyz")

    assert response.status_code == 200


def test_readiness_asks_again_only_for_what_can_change(
    unmigrated: Flask, executed: list[str]
) -> None:
    migrate(unmigrated)
    client = unmigrated.test_client()
    first, counted = asked(client, executed), asked(client, executed)

    set_revision(unmigrated, "f" * 12)
    ahead = asked(client, executed)

    assert len(first) > len(counted)
    assert not any("server_encoding" in each or "sessions" in each for each in counted)
    assert sum("FROM alembic_version" in each for each in counted) == 1
    assert [each for each in counted if "users" in each] == [counted[-1]]
    assert counted[-1].startswith("UPDATE users")
    assert len(counted) <= 3
    assert len(ahead) == len(first)


def test_no_statement_of_readiness_is_made_twice(unmigrated: Flask, executed: list[str]) -> None:
    migrate(unmigrated)

    first = asked(unmigrated.test_client(), executed)

    assert sorted(set(first)) == sorted(first)


def test_a_database_that_was_replaced_by_another_is_not_ready(unmigrated: Flask) -> None:
    migrate(unmigrated)
    client = unmigrated.test_client()
    before = client.get("/readyz").status_code
    with unmigrated.app_context(), db.engine.begin() as connection:
        connection.execute(sqlalchemy.text("DROP TABLE alembic_version"))

    response = client.get("/readyz")

    assert before == 200
    assert_not_ready(response, {"database": "ok", "migrations": "away"})


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_nothing_but_reading_is_allowed(client: FlaskClient, path: str, method: str) -> None:
    response = client.open(path, method=method)

    assert problem(response) == (405, "method_not_allowed")


# The database goes away and comes back


class Gate:
    """A way to PostgreSQL that can be shut: closed, or open without a word coming through."""

    def __init__(self) -> None:
        url = make_url(POSTGRES_URL)
        self.server = (url.host or "127.0.0.1", url.port or 5432)
        self.is_silent = False
        self.connections: list[socket.socket] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.open()

    def open(self) -> None:
        self.is_silent = False
        if self.listener.fileno() == -1:
            self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def close(self) -> None:
        """Refuse connections and end those there are."""
        # Only a shutdown wakes the thread that waits in accept().
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        while self.connections:
            end(self.connections.pop())

    def fall_silent(self) -> None:
        """Take everything in and let nothing through."""
        self.is_silent = True

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.create_connection(self.server)
            self.connections += [client, server]
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(source, target), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if not self.is_silent:
                    target.sendall(data)
        end(source)
        end(target)


def end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.close()


@pytest.fixture
def behind_gate(gate: Gate, make_app: Callable[..., Flask], database_url: str) -> FlaskClient:
    """The application, whose way to the database is the gate."""
    url = make_url(database_url).set(host="127.0.0.1", port=gate.port)
    app = make_app(DATABASE_URL=url.render_as_string(hide_password=False))
    return app.test_client()


def within_5_seconds(call: Callable[[], TestResponse]) -> TestResponse:
    """What the call answers; fails where it takes longer, and leaves it behind where it hangs."""
    started = time.monotonic()
    pool = ThreadPoolExecutor(1)
    try:
        response = pool.submit(call).result(timeout=10)
    finally:
        pool.shutdown(wait=False)
    assert time.monotonic() - started < 5
    return response


CALLS: dict[str, Callable[[FlaskClient, str], TestResponse]] = {
    "me": lambda client, token: me(client, token),
    "login": lambda client, _: client.post(
        f"{API}/auth/login", json={"username": "ada", "password": "wrong"}
    ),
    "refresh": lambda client, token: client.post(f"{API}/auth/refresh", headers=bearer(token)),
    "register": lambda client, _: client.post(
        f"{API}/auth/register",
        json={"email": "bob@example.com", "username": "bob", "password": "correct horse"},
    ),
    "logout": lambda client, token: client.post(f"{API}/auth/logout", headers=bearer(token)),
    "readyz": lambda client, _: client.get("/readyz"),
}
every_call = pytest.mark.parametrize("call", CALLS)


def tokens_for(client: FlaskClient, ada: User) -> dict[str, str]:
    pair = log_in(client, ada)
    return dict.fromkeys(CALLS, pair["access_token"]) | {"refresh": pair["refresh_token"]}


@pytest.mark.postgresql
@every_call
def test_a_database_that_refuses_connections_is_a_503_and_is_found_again(
    gate: Gate, behind_gate: FlaskClient, ada: User, call: str
) -> None:
    tokens = tokens_for(behind_gate, ada)

    gate.close()
    away = within_5_seconds(lambda: CALLS[call](behind_gate, tokens[call]))
    gate.open()
    back = within_5_seconds(lambda: CALLS["me"](behind_gate, tokens["me"]))

    assert problem(away) == (503, "unavailable")
    assert away.headers["Retry-After"].isdecimal()
    assert back.status_code == 200


@pytest.mark.postgresql
def test_a_database_that_is_away_is_not_ready_but_the_process_healthy(
    gate: Gate, behind_gate: FlaskClient
) -> None:
    gate.close()

    assert_not_ready(behind_gate.get("/readyz"), {"database": "away", "migrations": "away"})
    assert behind_gate.get("/healthz").status_code == 200
    gate.open()
    assert behind_gate.get("/readyz").status_code == 200


@pytest.mark.postgresql
def test_connections_that_were_cut_meanwhile_go_unnoticed(
    gate: Gate, behind_gate: FlaskClient, ada: User
) -> None:
    token = log_in(behind_gate, ada)["access_token"]

    gate.close()
    gate.open()
    response = me(behind_gate, token)

    assert response.status_code == 200


@pytest.mark.postgresql
def test_a_database_that_never_answers_a_new_connection_is_a_503(
    gate: Gate, behind_gate: FlaskClient
) -> None:
    gate.fall_silent()

    response = within_5_seconds(lambda: CALLS["login"](behind_gate, ""))

    assert problem(response) == (503, "unavailable")


@pytest.mark.postgresql
def test_a_database_that_falls_silent_on_an_open_connection_is_a_503(
    gate: Gate, behind_gate: FlaskClient, ada: User
) -> None:
    token = log_in(behind_gate, ada)["access_token"]

    gate.fall_silent()
    response = within_5_seconds(lambda: me(behind_gate, token))

    assert problem(response) == (503, "unavailable")


@pytest.mark.postgresql
def test_connections_that_the_server_ended_cost_no_request(
    app: Flask, client: FlaskClient, database_url: str
) -> None:
    client.get("/readyz")
    name = make_url(database_url).database
    with new_postgres_database() as elsewhere:
        engine = sqlalchemy.create_engine(make_url(elsewhere).set(drivername="postgresql+psycopg"))
        with engine.connect() as connection:
            connection.execute(
                sqlalchemy.text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
                ),
                {"name": name},
            )
        engine.dispose()
    time.sleep(0.2)

    response = client.get("/readyz")

    assert response.status_code == 200
