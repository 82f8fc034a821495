"""How the database is opened: the replica, and prepared statements."""

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy
from flask import Flask
from sqlalchemy import text

from app.database import engines, postgresql
from app.extensions import db
from tests.conftest import POSTGRES_URL, new_postgres_database
from tests.servers import free_port

MakeApp = Callable[..., Flask]


@pytest.fixture
def replica_url() -> Iterator[str]:
    """A database that plays the replica; one can tell it by its name."""
    with new_postgres_database() as url:
        yield url


def name_of(engine: sqlalchemy.Engine) -> str:
    """The database that the engine leads to."""
    with engine.connect() as connection:
        name: str = connection.execute(text("SELECT current_database()")).scalar_one()
        return name


def dispose_of(app: Flask) -> None:
    with app.app_context():
        for engine in db.engines.values():
            engine.dispose()


def test_without_a_replica_the_database_itself_is_read(app: Flask) -> None:
    with app.app_context():
        engine = engines.replica()

        assert engine.url == db.engine.url
        with engine.connect() as connection:
            assert connection.execute(text("SELECT 1")).scalar_one() == 1


@pytest.mark.postgresql
def test_where_a_replica_is_set_it_is_read(make_app: MakeApp, replica_url: str) -> None:
    app = make_app(DATABASE_REPLICA_URL=replica_url)

    with app.app_context():
        assert replica_url.endswith(name_of(engines.replica()))
        assert db.engine.url.database == name_of(db.engine)
    dispose_of(app)


@pytest.mark.postgresql
def test_a_read_of_the_replica_begins_no_transaction(make_app: MakeApp, replica_url: str) -> None:
    app = make_app(DATABASE_REPLICA_URL=replica_url)

    with app.app_context(), engines.replica().connect() as connection:
        connection.execute(text("SELECT 1"))

        driver: Any = connection.connection.driver_connection
        assert driver.info.transaction_status.name == "IDLE"
    dispose_of(app)


@pytest.mark.postgresql
def test_while_the_replica_is_away_the_database_itself_is_read(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(DATABASE_REPLICA_URL=f"postgresql://postgres@127.0.0.1:{free_port()}/away")

    with app.app_context(), caplog.at_level(logging.WARNING, logger="app.database.engines"):
        names = [name_of(engines.replica()) for _ in range(3)]

        assert names == [db.engine.url.database] * 3
    # It is left alone for a while: the second and third did not ask it.
    assert [record.message for record in caplog.records] == [
        "the replica is away, its reads go to the database itself"
    ]


@pytest.mark.postgresql
def test_a_replica_that_is_back_is_read_again(
    make_app: MakeApp, replica_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "REPLICA_REST_SECONDS", 0)
    app = make_app(DATABASE_REPLICA_URL=replica_url)
    with app.app_context():
        name_of(engines.replica())
        terminate_connections(replica_url)
        refuse_connections(replica_url, True)
        while_away = name_of(engines.replica())

        refuse_connections(replica_url, False)
        afterwards = name_of(engines.replica())

        assert while_away == db.engine.url.database
        assert replica_url.endswith(afterwards)
    dispose_of(app)


def refuse_connections(url: str, refused: bool) -> None:
    name = sqlalchemy.make_url(url).database
    on_the_server(f"ALTER DATABASE {name} ALLOW_CONNECTIONS {str(not refused).lower()}")


def terminate_connections(url: str) -> None:
    name = sqlalchemy.make_url(url).database
    on_the_server(
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    )


def on_the_server(statement: str) -> None:
    server = sqlalchemy.create_engine(
        sqlalchemy.make_url(POSTGRES_URL).set(drivername="postgresql+psycopg"),
        isolation_level="AUTOCOMMIT",
    )
    with server.connect() as connection:
        connection.execute(text(statement))
    server.dispose()


@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("setting", "prepares"), [("auto", True), ("always", True), ("never", False)]
)
def test_a_statement_is_prepared_on_postgresql_itself_unless_never_is_said(
    make_app: MakeApp, setting: str, prepares: bool
) -> None:
    app = make_app(DATABASE_PREPARED_STATEMENTS=setting)

    with app.app_context(), db.engine.connect() as connection:
        for _ in range(10):
            connection.execute(text("SELECT 1"))

        prepared = connection.execute(text("SELECT count(*) FROM pg_prepared_statements"))
        assert bool(prepared.scalar_one()) == prepares


@pytest.mark.postgresql
def test_postgresql_itself_is_not_taken_for_a_pooler(app: Flask) -> None:
    with app.app_context(), db.engine.connect() as connection:
        driver: Any = connection.connection.driver_connection

        assert not postgresql.is_behind_a_pooler(driver)


@pytest.mark.postgresql
def test_times_are_read_in_whatever_style_the_database_would_write_them(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    for style in ("German", "SQL, DMY", "ISO, DMY"):
        monkeypatch.setenv("PGDATESTYLE", style)
        with app.app_context():
            db.engine.dispose()
            with db.engine.connect() as connection:
                read = connection.scalar(text("SELECT timestamptz '2026-02-01 00:00+00'"))
            db.engine.dispose()

        assert read == datetime(2026, 2, 1, tzinfo=UTC)
