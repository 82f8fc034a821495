"""flask db …"""

import ast
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import flask_migrate
import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask

from app import create_app
from app.extensions import db, migrate
from app.models.user import ONLY_IN_POSTGRESQL
from config import Settings
from tests.conftest import ENVIRONMENT, HAS_POSTGRES, new_postgres_database
from tests.serving import BIN, ROOT, environment_for, flask

REVISIONS = sorted((ROOT / "migrations" / "versions").glob("*.py"))

needs_postgres = pytest.mark.skipif(not HAS_POSTGRES, reason="no PostgreSQL")


@contextmanager
def application(url: str) -> Iterator[Flask]:
    """The application on that database, whatever state it is in."""
    app = create_app(Settings.from_environment(ENVIRONMENT | {"DATABASE_URL": url}))
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=needs_postgres)])
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database in which nothing is, as ``DATABASE_URL`` would name it."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'new.db'}"
        return
    with new_postgres_database() as url:
        yield url


@pytest.fixture
def new_postgres() -> Iterator[str]:
    with new_postgres_database() as url:
        yield url


def tables() -> set[str]:
    return set(sqlalchemy.inspect(db.engine).get_table_names())


def differences() -> list[Any]:
    """What the next migration would change, as Alembic sees it."""
    with db.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "compare_server_default": True,
                "include_object": lambda _, name, *__: name not in ONLY_IN_POSTGRESQL,
            },
        )
        return list(compare_metadata(context, db.metadata))


def schema() -> dict[str, Any]:
    """Tables, columns, keys and indexes as the database has them."""
    inspector = sqlalchemy.inspect(db.engine)
    return {
        name: (
            [str(column) for column in inspector.get_columns(name)],
            sorted(str(key) for key in inspector.get_foreign_keys(name)),
            sorted(str(constraint) for constraint in inspector.get_unique_constraints(name)),
            sorted(as_text(index) for index in inspector.get_indexes(name)),
        )
        for name in inspector.get_table_names()
    }


def as_text(index: Any) -> str:
    """An index, its condition included: SQLite's are objects, each with an address of its own."""
    options = {name: str(value) for name, value in index.get("dialect_options", {}).items()}
    return str({**index, "dialect_options": options})


def test_models_and_migrations_agree(new_database: str) -> None:
    with application(new_database):
        flask_migrate.upgrade()

        assert differences() == []


def test_up_down_and_up_again_ends_where_up_did(new_database: str) -> None:
    with application(new_database):
        flask_migrate.upgrade()
        first = schema()

        flask_migrate.downgrade(revision="base")
        nothing = tables()
        flask_migrate.upgrade()

        assert nothing <= {"alembic_version"}
        assert schema() == first


def test_each_step_can_be_taken_down_and_up_again(new_database: str) -> None:
    with application(new_database):
        flask_migrate.upgrade()
        complete = schema()
        for _ in REVISIONS:
            flask_migrate.downgrade()

        for _ in REVISIONS:
            flask_migrate.upgrade(revision="+1")

        assert schema() == complete


def test_upgrading_what_is_at_head_changes_nothing(new_database: str) -> None:
    with application(new_database):
        flask_migrate.upgrade()
        first = schema()

        flask_migrate.upgrade()

        assert schema() == first


def test_a_user_who_is_deleted_takes_their_sessions_along(new_database: str) -> None:
    with application(new_database):
        flask_migrate.upgrade()

        keys = sqlalchemy.inspect(db.engine).get_foreign_keys("sessions")

        assert [(key["referred_table"], key["options"]) for key in keys] == [
            ("users", {"ondelete": "CASCADE"})
        ]


def test_constraints_have_the_names_of_the_convention(new_database: str) -> None:
    with application(new_database):
        flask_migrate.upgrade()

        unique = sqlalchemy.inspect(db.engine).get_unique_constraints("users")

        assert {constraint["name"] for constraint in unique} == {
            "uq_users_email",
            "uq_users_username_key",
        }


def test_what_is_stored_survives_an_upgrade_that_has_nothing_to_do(new_database: str) -> None:
    with application(new_database):
        flask_migrate.upgrade()
        db.session.execute(
            sqlalchemy.text(
                "INSERT INTO users (email, username, username_key) "
                "VALUES ('ada@example.com', 'ada', 'ada')"
            )
        )
        db.session.commit()

        flask_migrate.upgrade()

        row = db.session.execute(sqlalchemy.text("SELECT * FROM users")).mappings().one()
        assert (row["email"], row["locale"]) == ("ada@example.com", "en")
        assert (bool(row["is_active"]), bool(row["is_superuser"])) == (True, False)
        assert row["created_at"] is not None


def test_there_is_one_head(new_database: str) -> None:
    with application(new_database):
        scripts = ScriptDirectory.from_config(migrate.get_config())

        assert len(scripts.get_heads()) == 1


@pytest.mark.parametrize("file", REVISIONS, ids=lambda file: file.stem)
def test_every_migration_says_what_it_is_and_how_to_take_it_back(file: Path) -> None:
    module = ast.parse(file.read_text(encoding="utf-8"))

    functions = {node.name: node for node in module.body if isinstance(node, ast.FunctionDef)}
    assert ast.get_docstring(module)
    assert functions.keys() >= {"upgrade", "downgrade"}
    steps = [node for node in functions["downgrade"].body if not isinstance(node, ast.Pass)]
    assert [step for step in steps if not isinstance(step, ast.Raise)]


# As an operator types it


def test_the_command_upgrades_a_new_database(new_database: str) -> None:
    environment = environment_for(**ENVIRONMENT, DATABASE_URL=new_database)

    flask("db", "upgrade", environment=environment)

    with application(new_database):
        assert tables() == {"alembic_version", *db.metadata.tables}


@needs_postgres
def test_hosts_that_upgrade_at_once_all_succeed(new_postgres: str) -> None:
    environment = environment_for(**ENVIRONMENT, DATABASE_URL=new_postgres)
    hosts = [
        subprocess.Popen(
            [BIN / "flask", "--app", ROOT / "wsgi.py", "db", "upgrade"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]

    outcomes = [(host.communicate(timeout=60)[1], host.returncode) for host in hosts]

    assert [status for _, status in outcomes] == [0, 0], outcomes
    with application(new_postgres):
        assert differences() == []


@needs_postgres
def test_the_upgrade_can_be_printed_as_sql_without_asking_a_database(new_postgres: str) -> None:
    nowhere = environment_for(**ENVIRONMENT, DATABASE_URL="postgresql://ada@127.0.0.1:1/nowhere")

    printed = flask("db", "upgrade", "--sql", environment=nowhere)

    with application(new_postgres):
        _run_script(printed)
        assert differences() == []
        flask_migrate.upgrade()


@needs_postgres
def test_the_downgrade_can_be_printed_as_sql_too(new_postgres: str) -> None:
    environment = environment_for(**ENVIRONMENT, DATABASE_URL=new_postgres)
    steps = f"{REVISIONS[-1].stem.split('_')[0]}:base"

    printed = flask("db", "downgrade", "--sql", steps, environment=environment)

    with application(new_postgres):
        flask_migrate.upgrade()
        _run_script(printed)
        assert tables() <= {"alembic_version"}


def _run_script(script: str) -> None:
    """Run a script as psql does: one statement after the other, its own BEGIN and COMMIT too."""
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in script.split(";\n"):
            if any(line and not line.startswith("--") for line in statement.splitlines()):
                connection.exec_driver_sql(statement)
