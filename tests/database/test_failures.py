"""What a request answers where the database refuses, and what becomes of the connection."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flask_migrate
import pytest
import sqlalchemy
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import bindparam, func, select, text
from sqlalchemy.engine import make_url
from werkzeug.test import TestResponse

from app import create_app, read_settings
from app.database import failures, postgresql
from app.database.prepared import Prepared
from app.extensions import db
from app.models import User
from tests.conftest import ENVIRONMENT, new_postgres_database
from tests.database.test_engines import on_the_server
from tests.factories import API, bearer, log_in, make_user, me, problem

MakeApp = Callable[..., Flask]

# State → whether its connection may go on being used.
REFUSALS = {
    "08006": False,
    "08P01": False,
    "25006": False,
    "25P03": False,
    "40001": True,
    "40P01": True,
    "53100": True,
    "53200": True,
    "53300": False,
    "55006": True,
    "55P03": True,
    "57014": True,
    "57P01": False,
    "57P02": False,
    "57P03": False,
    "57P05": False,
    "58030": True,
    "XX001": True,
}
RAISING = """
CREATE FUNCTION refuse_with(state text) RETURNS integer LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'a secret of the database' USING ERRCODE = state; END $$
"""
REFUSING = Prepared(select(func.refuse_with(bindparam("state", type_=db.Text)).label("never")))

WAYS: dict[str, Callable[[str], object]] = {
    "by the ORM": lambda state: db.session.scalar(
        text("SELECT refuse_with(:state)"), {"state": state}
    ),
    "prepared": lambda state: REFUSING.run_alone(state=state),
    "prepared in a transaction": lambda state: REFUSING.run(state=state),
}


@pytest.fixture
def refusing(new_app: MakeApp) -> Iterator[FlaskClient]:
    """A client of an application whose statements are refused as the path says."""
    app = new_app(WEB_THREADS="1")

    @app.get("/refused/<way>/<state>")
    def refused(way: str, state: str) -> str:
        return str(WAYS[way](state))

    @app.get("/pid")
    def pid() -> str:
        return str(db.session.scalar(text("SELECT pg_backend_pid()")))

    with app.app_context(), db.engine.begin() as connection:
        connection.exec_driver_sql(RAISING)
    yield app.test_client()
    with app.app_context(), db.engine.begin() as connection:
        connection.exec_driver_sql("DROP FUNCTION refuse_with")


def assert_unavailable(response: TestResponse) -> None:
    assert problem(response) == (503, "unavailable")
    assert response.headers["Retry-After"].isdecimal()


@pytest.mark.postgresql
@pytest.mark.parametrize("way", WAYS)
def test_what_passes_by_itself_is_a_503_and_a_connection_of_no_use_leaves_the_pool(
    refusing: FlaskClient, way: str
) -> None:
    stayed = {}
    for state in REFUSALS:
        before = refusing.get("/pid").text

        response = refusing.get(f"/refused/{way}/{state}")

        assert_unavailable(response)
        assert "secret" not in response.text
        stayed[state] = refusing.get("/pid").text == before

    assert stayed == REFUSALS


@pytest.mark.postgresql
@pytest.mark.parametrize("way", WAYS)
def test_what_is_our_fault_stays_a_500(refusing: FlaskClient, way: str) -> None:
    for state in ("22012", "0A000", "42601", "42501", "23514"):
        assert problem(refusing.get(f"/refused/{way}/{state}")) == (500, "internal_error")


# A database that only reads


class ReadOnly:
    """A database of one's own that can stop taking writes, as a standby does."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.name = make_url(url).database
        self.app = create_app(read_settings(ENVIRONMENT | {"DATABASE_URL": url}))
        with self.app.app_context():
            flask_migrate.upgrade()
        self.client = self.app.test_client()
        self.pair = log_in(self.client, make_user(self.app, username="ada", email="a@example.com"))

    def refuse_writes(self, refused: bool) -> None:
        """Other connections are ended, as where a server goes down."""
        state = "on" if refused else "off"
        on_the_server(f"ALTER DATABASE {self.name} SET default_transaction_read_only = {state}")

    def end_connections(self) -> None:
        on_the_server(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self.name}'"
        )
        time.sleep(0.2)

    def change(self) -> TestResponse:
        bio = {"bio": str(time.monotonic())}
        return self.client.patch(
            f"{API}/users/me", json=bio, headers=bearer(self.pair["access_token"])
        )

    def refresh(self) -> TestResponse:
        return self.client.post(f"{API}/auth/refresh", headers=bearer(self.pair["refresh_token"]))


@pytest.fixture
def standby() -> Iterator[ReadOnly]:
    with new_postgres_database() as url:
        made = ReadOnly(url)
        yield made
        with made.app.app_context():
            db.engine.dispose()


@pytest.mark.postgresql
def test_a_database_that_only_reads_is_read_and_writes_are_a_503(
    app: Flask, standby: ReadOnly
) -> None:
    standby.refuse_writes(True)
    standby.end_connections()

    read = me(standby.client, standby.pair["access_token"])
    ready = standby.client.get("/readyz")

    assert read.status_code == 200
    assert_unavailable(standby.change())
    assert_unavailable(standby.refresh())
    assert_unavailable(ready)
    assert ready.json["checks"]["database"] == "away"


@pytest.mark.postgresql
def test_once_the_database_takes_writes_again_so_do_we(app: Flask, standby: ReadOnly) -> None:
    standby.refuse_writes(True)
    standby.end_connections()
    assert_unavailable(standby.change())
    standby.refuse_writes(False)

    time.sleep(postgresql.READ_ONLY_REST_SECONDS)

    assert standby.client.get("/readyz").status_code == 200
    assert standby.change().status_code == 200
    assert standby.refresh().status_code == 200


@pytest.mark.postgresql
def test_a_connection_that_only_reads_is_not_kept(app: Flask, standby: ReadOnly) -> None:
    standby.refuse_writes(True)
    standby.end_connections()
    for _ in range(3):
        assert me(standby.client, standby.pair["access_token"]).status_code == 200
    standby.refuse_writes(False)

    time.sleep(postgresql.READ_ONLY_REST_SECONDS)

    # No write was refused before, and none is now.
    assert standby.change().status_code == 200


@pytest.mark.postgresql
def test_a_refresh_that_meets_a_standby_tries_another_connection_at_once(
    app: Flask, standby: ReadOnly
) -> None:
    """As where the name of the server has come to mean another one."""
    standby.refuse_writes(True)
    standby.end_connections()
    assert me(standby.client, standby.pair["access_token"]).status_code == 200
    standby.refuse_writes(False)

    assert standby.refresh().status_code == 200


# Plans that are good no more


WIDENED = "ALTER TABLE users ALTER bio TYPE varchar({})"


@pytest.fixture
def prepared(new_app: MakeApp, ada: User) -> Iterator[tuple[Flask, FlaskClient, dict[str, str]]]:
    """A client whose application has one connection, with the usual statements prepared on it."""
    app = new_app(WEB_THREADS="1")
    client = app.test_client()
    pair = log_in(client, ada)
    for _ in range(7):
        assert me(client, pair["access_token"]).status_code == 200
        pair = log_in(client, ada)
    yield app, client, pair
    with app.app_context(), db.engine.begin() as connection:
        connection.exec_driver_sql(WIDENED.format(5000))


def run_elsewhere(app: Flask, statement: str) -> None:
    """On another connection than those of the pool."""
    engine = sqlalchemy.create_engine(app.config["SETTINGS"].database_url)
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


def run_on_pooled(app: Flask, statement: str) -> None:
    """As a tool does that shares our connections, or a pooler between two clients."""
    with app.app_context(), db.engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        driver.rollback()
        driver.pgconn.exec_(statement.encode())


@pytest.mark.postgresql
def test_a_widened_column_costs_no_request(
    prepared: tuple[Flask, FlaskClient, dict[str, str]], ada: User
) -> None:
    app, client, pair = prepared
    run_elsewhere(app, WIDENED.format(6000))

    seen = me(client, pair["access_token"])
    run_elsewhere(app, WIDENED.format(6001))
    refreshed = client.post(f"{API}/auth/refresh", headers=bearer(pair["refresh_token"]))
    run_elsewhere(app, WIDENED.format(6002))

    assert (seen.status_code, refreshed.status_code) == (200, 200)
    assert log_in(client, ada)["access_token"]


@pytest.mark.postgresql
@pytest.mark.parametrize("forgetting", ["DISCARD ALL", "DEALLOCATE ALL"])
def test_a_server_that_forgets_what_was_prepared_costs_no_request(
    prepared: tuple[Flask, FlaskClient, dict[str, str]], forgetting: str
) -> None:
    app, client, pair = prepared
    run_on_pooled(app, forgetting)

    first = me(client, pair["access_token"])
    run_on_pooled(app, forgetting)
    second = client.post(f"{API}/auth/refresh", headers=bearer(pair["refresh_token"]))

    assert (first.status_code, second.status_code) == (200, 200)


@pytest.mark.postgresql
def test_a_connection_on_which_a_plan_was_stale_leaves_the_pool(
    prepared: tuple[Flask, FlaskClient, dict[str, str]],
) -> None:
    """DISCARD ALL has taken our time-outs along."""
    app, client, pair = prepared
    run_on_pooled(app, "DISCARD ALL")
    me(client, pair["access_token"])

    with app.test_request_context(), db.engine.connect() as connection:
        assert connection.scalar(text("SHOW statement_timeout")) == "3s"


@pytest.mark.postgresql
def test_a_stale_plan_in_the_middle_of_a_transaction_is_a_503_once(
    new_app: MakeApp, ada: User
) -> None:
    app = new_app(WEB_THREADS="1")

    @app.get("/twice")
    def twice() -> str:
        db.session.execute(text("UPDATE users SET locale = 'zh' WHERE id = :id"), {"id": ada.id})
        return str(db.session.execute(select(User.bio).where(User.id == ada.id)).scalar())

    client = app.test_client()
    for _ in range(7):
        # Rolled back, everything would be forgotten.
        with app.app_context():
            db.session.execute(select(User.bio).where(User.id == ada.id))
            db.session.commit()
    run_elsewhere(app, WIDENED.format(6000))

    try:
        assert_unavailable(client.get("/twice"))
        assert client.get("/twice").status_code == 200
    finally:
        run_elsewhere(app, WIDENED.format(5000))


def test_another_feature_that_is_not_supported_is_no_stale_plan() -> None:
    error = postgresql.Error("cannot do that")
    error.sqlstate = "0A000"  # type: ignore[misc]

    assert not failures.is_stale_plan(error)
    assert not failures.is_passing(error)


# The end of a request


@pytest.mark.postgresql
@pytest.mark.parametrize("ending", ["terminated", "hung up"])
def test_a_server_that_dies_after_the_last_read_does_not_spoil_the_answer(
    new_app: MakeApp, ada: User, ending: str
) -> None:
    app = new_app(WEB_THREADS="1")

    @app.get("/read-and-die")
    def read_and_die() -> dict[str, object]:
        name = db.session.scalar(select(User.username).where(User.id == ada.id))
        driver: Any = db.session.connection().connection.driver_connection
        if ending == "hung up":
            driver.pgconn.finish()
        else:
            on_the_server(f"SELECT pg_terminate_backend({driver.info.backend_pid})")
            time.sleep(0.1)
        return {"name": name}

    client = app.test_client()
    response = client.get("/read-and-die")

    assert (response.status_code, response.json) == (200, {"name": "ada"})
    assert client.get("/readyz").status_code == 200
    with app.app_context():
        assert db.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


@pytest.mark.postgresql
def test_a_server_that_dies_between_two_statements_is_a_503(new_app: MakeApp, ada: User) -> None:
    app = new_app(WEB_THREADS="1")

    @app.get("/die-and-read")
    def die_and_read() -> str:
        db.session.scalar(select(User.username).where(User.id == ada.id))
        driver: Any = db.session.connection().connection.driver_connection
        on_the_server(f"SELECT pg_terminate_backend({driver.info.backend_pid})")
        time.sleep(0.1)
        return str(db.session.scalar(select(User.email).where(User.id == ada.id)))

    client = app.test_client()

    assert_unavailable(client.get("/die-and-read"))
    assert client.get("/readyz").status_code == 200


# SQLite


@pytest.fixture
def on_sqlite(tmp_path: Path) -> Iterator[tuple[Flask, FlaskClient, dict[str, str]]]:
    url = f"sqlite:///{tmp_path / 'app.db'}"
    app = create_app(read_settings(ENVIRONMENT | {"DATABASE_URL": url}))
    with app.app_context():
        flask_migrate.upgrade()
    client = app.test_client()
    ada = make_user(app, username="ada", email="ada@example.com")
    yield app, client, log_in(client, ada)
    with app.app_context():
        db.engine.dispose()


def change(client: FlaskClient, pair: dict[str, str]) -> TestResponse:
    return client.patch(
        f"{API}/users/me",
        json={"bio": str(time.monotonic())},
        headers=bearer(pair["access_token"]),
    )


def test_a_connection_to_a_file_that_was_read_only_is_not_kept(
    on_sqlite: tuple[Flask, FlaskClient, dict[str, str]],
) -> None:
    app, client, pair = on_sqlite
    with app.app_context(), db.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only = ON")

    refused = change(client, pair)
    after = change(client, pair)

    assert_unavailable(refused)
    assert after.status_code == 200


def test_a_refresh_on_a_file_that_was_read_only_succeeds_on_another_connection(
    on_sqlite: tuple[Flask, FlaskClient, dict[str, str]],
) -> None:
    app, client, pair = on_sqlite
    with app.app_context(), db.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only = ON")

    answer = client.post(f"{API}/auth/refresh", headers=bearer(pair["refresh_token"]))

    assert answer.status_code == 200


@pytest.mark.parametrize("garbage", [b"\xff" * 4096, b"no database at all, but a long text " * 300])
def test_a_file_that_is_spoilt_is_a_503_and_readyz_says_so(
    on_sqlite: tuple[Flask, FlaskClient, dict[str, str]], tmp_path: Path, garbage: bytes
) -> None:
    app, client, pair = on_sqlite
    with app.app_context():
        db.engine.dispose()
    whole = (tmp_path / "app.db").read_bytes()
    for left in tmp_path.glob("app.db*"):
        left.write_bytes(b"")
    (tmp_path / "app.db").write_bytes(garbage)

    read, written, ready = me(client, pair["access_token"]), change(client, pair), None
    ready = client.get("/readyz")

    for answer in (read, written, ready):
        assert_unavailable(answer)
    assert ready.json["checks"]["database"] == "away"
    (tmp_path / "app.db").write_bytes(whole)
    assert change(client, pair).status_code == 200


def test_a_page_that_is_spoilt_is_a_503(
    on_sqlite: tuple[Flask, FlaskClient, dict[str, str]], tmp_path: Path
) -> None:
    app, client, pair = on_sqlite
    with app.app_context():
        with db.engine.connect() as connection:
            size = connection.exec_driver_sql("PRAGMA page_size").scalar_one()
            page = connection.exec_driver_sql(
                "SELECT rootpage FROM sqlite_master WHERE name = 'users'"
            ).scalar_one()
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        db.engine.dispose()
    with (tmp_path / "app.db").open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)

    assert_unavailable(me(client, pair["access_token"]))
    assert_unavailable(change(client, pair))


def test_a_lock_that_another_process_holds_is_not_ready(
    on_sqlite: tuple[Flask, FlaskClient, dict[str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, client, pair = on_sqlite
    monkeypatch.setattr("app.database.sqlite.BUSY_TIMEOUT_SECONDS", 0.2)
    holder = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'app.db'}")
    with holder.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        assert_unavailable(change(client, pair))
        assert_unavailable(client.get("/readyz"))
    holder.dispose()

    assert client.get("/readyz").status_code == 200
    assert change(client, pair).status_code == 200
