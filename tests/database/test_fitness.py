"""A database that could never be served is refused with a sentence, wherever it is looked at."""

import logging
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import flask_migrate
import pytest
import sqlalchemy
from flask import Flask
from sqlalchemy.engine import make_url

from app import create_app, read_settings
from app.database import fitness, migration_state
from app.doctor import findings
from app.extensions import db
from config import SettingsRefused
from tests.conftest import ENVIRONMENT, IS_LONG_RUN, new_postgres_database
from tests.database.test_engines import on_the_server
from tests.database.upgraded import needs_postgres
from tests.factories import API, problem
from tests.servers import BIN, ROOT, environment_for, free_port

FOREIGN = {
    "another application's revision": (
        [
            "CREATE TABLE alembic_version (version_num varchar(32) NOT NULL)",
            "INSERT INTO alembic_version VALUES ('ae1027a6acf')",
        ],
        "alembic_version has the revision ae1027a6acf",
    ),
    "another application's revision and users": (
        [
            "CREATE TABLE users (id integer PRIMARY KEY, login text)",
            "CREATE TABLE alembic_version (version_num varchar(32) NOT NULL)",
            "INSERT INTO alembic_version VALUES ('0007')",
        ],
        "the table users is missing or not ours",
    ),
    "a table of users": (
        ["CREATE TABLE users (id integer PRIMARY KEY, login text)"],
        "it holds the table users already",
    ),
    "other names that we need": (
        ["CREATE TABLE roles (id integer)", "CREATE TABLE sessions (id integer)"],
        "it holds the tables roles, sessions already",
    ),
}


@pytest.fixture(params=FOREIGN if IS_LONG_RUN else ["another application's revision and users"])
def foreign(request: pytest.FixtureRequest, new_database: str) -> tuple[str, str]:
    """A database of another application, and what is said of it."""
    statements, sentence = FOREIGN[request.param]
    url = make_url(new_database)
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()
    return new_database, sentence


@pytest.fixture(params=["LATIN1", "SQL_ASCII"] if IS_LONG_RUN else ["SQL_ASCII"])
def other_encoding(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    name = f"user_system_test_{request.param.lower()}_{free_port()}"
    on_the_server(
        f"CREATE DATABASE {name} ENCODING '{request.param}' LOCALE 'C' TEMPLATE template0"
    )
    with new_postgres_database() as url:
        yield make_url(url).set(database=name).render_as_string(False), f"is in {request.param}"
    on_the_server(f"DROP DATABASE {name} WITH (FORCE)")


def application(url: str, **environment: str) -> Flask:
    variables = ENVIRONMENT | {"DATABASE_URL": url} | environment
    return create_app(read_settings(variables))


def assert_refused_everywhere(
    url: str, sentence: str, caplog: pytest.LogCaptureFixture, **environment: str
) -> None:
    assert_refused_at_the_start(sentence, DATABASE_URL=url, **environment)
    app = application(url, **environment)
    with caplog.at_level(logging.ERROR, logger="app.observability.routes"):
        ready = app.test_client().get("/readyz")
    with app.app_context():
        found = {each.check: each for each in findings.findings(app.config["SETTINGS"])}
        for engine in db.engines.values():
            engine.dispose()

    assert problem(ready) == (503, "unavailable")
    assert any(sentence in getattr(record, "reason", "") for record in caplog.records)
    assert sentence in found["database_is_fit"].reason
    assert list(found)[-1] == "database_is_fit"


def assert_refused_at_the_start(sentence: str, **environment: str) -> None:
    started = subprocess.run(
        [BIN / "gunicorn", "wsgi:app"],
        cwd=ROOT,
        env=environment_for(**ENVIRONMENT, **environment, PORT=str(free_port())),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert started.returncode == 1, started.stderr
    assert "Cannot start: " in started.stderr
    assert sentence in started.stderr
    assert "Traceback" not in started.stderr


def assert_upgrade_refused(url: str, sentence: str) -> None:
    app = application(url)
    with app.app_context():
        with pytest.raises(SystemExit, match="Cannot upgrade: ") as refused:
            flask_migrate.upgrade()
        tables = set(sqlalchemy.inspect(db.engine).get_table_names())
        db.engine.dispose()

    assert sentence in str(refused.value)
    assert "audit_seals" not in tables


def test_a_database_of_another_application_is_refused_everywhere(
    foreign: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    url, sentence = foreign

    assert_upgrade_refused(url, sentence)
    assert_refused_everywhere(url, sentence, caplog)


# What stands in the way of our tables, and whether SQLite knows such a thing.
IN_THE_WAY = {
    "a view": ("CREATE VIEW users AS SELECT 1 AS id", True),
    "an index": ("CREATE TABLE a (b integer); CREATE INDEX roles ON a (b)", True),
    "a sequence": ("CREATE SEQUENCE sessions", False),
    "a type": ("CREATE TYPE roles AS ENUM ('admin')", False),
    "a record without revisions": ("CREATE TABLE alembic_version (version text)", True),
    "a number for a revision": (
        "CREATE TABLE alembic_version (version_num integer); INSERT INTO alembic_version SELECT 5",
        True,
    ),
    "NULL for a revision": (
        "CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version SELECT NULL",
        True,
    ),
}


def test_whatever_has_a_name_that_we_need_is_of_another_application(new_database: str) -> None:
    is_sqlite = new_database.startswith("sqlite")
    seen = {}
    with application(new_database).app_context():
        with db.engine.connect() as connection:
            for case, (statements, is_in_sqlite) in IN_THE_WAY.items():
                if is_sqlite and not is_in_sqlite:
                    continue
                for statement in ("BEGIN; " * is_sqlite + statements).split("; "):
                    connection.exec_driver_sql(statement)
                state = migration_state.read(connection)
                connection.rollback()
                seen[case] = [flaw.partition(":")[0] for flaw in state.flaws], state.is_current
        db.engine.dispose()

    foreign = ["The database belongs to another application"], False
    assert seen == dict.fromkeys(seen, foreign)
    assert len(seen) == 5 if is_sqlite else len(IN_THE_WAY)


RIGHTS = {
    "a table": ("REVOKE INSERT ON sessions FROM {}", "sessions"),
    "many tables": (
        "REVOKE SELECT ON users, roles, sessions, outbox_messages FROM {}",
        "outbox_messages, roles, sessions and 1 more",
    ),
    "a sequence": ("REVOKE USAGE ON SEQUENCE users_id_seq FROM {}", "users_id_seq"),
    "the audit log": ("REVOKE INSERT ON audit_events FROM {}", "audit_events"),
    "the record": ("REVOKE SELECT ON alembic_version FROM {}", "alembic_version"),
}


@pytest.fixture
def role(app: Flask) -> Iterator[str]:
    """A role that has the rights of one that serves, and no more."""
    name = f"served_{free_port()}"
    run(
        app,
        f"CREATE ROLE {name} LOGIN",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {name}",
        f"REVOKE UPDATE, DELETE ON audit_events, audit_seals, audit_prunings FROM {name}",
        f"REVOKE INSERT ON audit_prunings FROM {name}",
    )
    yield name
    run(app, f"DROP OWNED BY {name}", f"DROP ROLE {name}")


def run(app: Flask, *statements: str) -> None:
    with app.app_context(), db.engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


@pytest.mark.postgresql
def test_a_role_that_may_not_use_our_tables_is_refused_and_readyz_says_so(
    app: Flask, new_app: Callable[..., Flask], database_url: str, role: str
) -> None:
    url = make_url(database_url).set(username=role).render_as_string(hide_password=False)
    served = new_app(DATABASE_URL=url)
    for statement, named in RIGHTS.values():
        run(app, statement.format(role))

        with pytest.raises(SettingsRefused) as refused:
            fitness.refuse_unfit(served)
        ready = served.test_client().get("/readyz")

        assert f"The role {role} of DATABASE_URL lacks rights on {named}. " in str(refused.value)
        assert problem(ready) == (503, "unavailable")
        assert ready.json["checks"]["database"] == "away"
        run(app, statement.format(role).replace("REVOKE", "GRANT").replace("FROM", "TO"))
    fitness.refuse_unfit(served)
    assert served.test_client().get("/readyz").status_code == 200


@pytest.mark.postgresql
def test_a_role_that_may_only_read_is_enough_for_a_replica(
    app: Flask, new_app: Callable[..., Flask], database_url: str, role: str
) -> None:
    run(app, f"REVOKE INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public FROM {role}")
    replica = make_url(database_url).set(username=role).render_as_string(hide_password=False)

    fitness.refuse_unfit(new_app(DATABASE_REPLICA_URL=replica))


@needs_postgres
def test_a_database_in_another_encoding_is_refused_everywhere(
    other_encoding: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    url, sentence = other_encoding

    assert_upgrade_refused(url, sentence)
    assert_refused_everywhere(url, sentence, caplog)


@needs_postgres
def test_so_is_a_replica(
    other_encoding: tuple[str, str], new_postgres: str, caplog: pytest.LogCaptureFixture
) -> None:
    url, sentence = other_encoding

    assert_refused_everywhere(new_postgres, sentence, caplog, DATABASE_REPLICA_URL=url)


def test_tables_of_ours_without_their_record_are_told_from_another_applications(
    new_database: str,
) -> None:
    app = application(new_database)
    with app.app_context():
        flask_migrate.upgrade()
        with db.engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM alembic_version")

        with pytest.raises(SystemExit, match="flask db stamp"):
            flask_migrate.upgrade()

        flask_migrate.stamp()
        flask_migrate.upgrade()
        db.engine.dispose()


@pytest.mark.parametrize(
    "command", [flask_migrate.upgrade, flask_migrate.downgrade, flask_migrate.current]
)
def test_an_old_checkout_says_that_a_newer_one_was_here(
    new_database: str, command: Callable[[], None]
) -> None:
    app = application(new_database)
    with app.app_context():
        flask_migrate.upgrade()
        with db.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")

        with pytest.raises(SystemExit, match="revision 9999, which this checkout does not know"):
            command()
        with db.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'notes_0001'")
        with pytest.raises(
            SystemExit,
            match=r"FEATURES=notes, .*FEATURES=notes flask db downgrade notes@base",
        ):
            command()
        db.engine.dispose()


@pytest.mark.parametrize("missing", ["a table", "a column"])
def test_a_call_that_misses_a_table_of_the_migrations_is_unavailable(
    new_database: str, caplog: pytest.LogCaptureFixture, missing: str
) -> None:
    app = application(new_database)
    with app.app_context():
        flask_migrate.upgrade()
        is_behind, is_at_head = _with_something_missing(app, missing, caplog)

    assert is_behind == (503, "unavailable", False)
    # At the head the same is a bug of ours, and its traceback is needed.
    assert is_at_head[2]


def _with_something_missing(
    app: Flask, missing: str, caplog: pytest.LogCaptureFixture
) -> list[tuple[int, str, bool]]:
    answers = []
    with db.engine.begin() as connection:
        head = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one()
        if missing == "a table":
            connection.exec_driver_sql("ALTER TABLE audit_events RENAME TO gone")
        else:
            connection.exec_driver_sql("ALTER TABLE users RENAME COLUMN locale TO gone")
    for revision in ("0001", head):
        with db.engine.begin() as connection:
            connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{revision}'")
        caplog.clear()
        login = {"email": "ada@example.com", "password": "correct horse 1"}
        answer = app.test_client().post(f"{API}/auth/login", json=login)
        db.session.remove()
        told = [record for record in caplog.records if record.name == "app.http.problems"]
        answers.append((*problem(answer), any(record.exc_info for record in told)))
    db.engine.dispose()
    return answers


def test_a_folder_that_is_missing_is_refused_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "mistyped" / "app.db"

    assert_refused_at_the_start(str(path), DATABASE_URL=f"sqlite:///{path}")
