"""flask db …"""

import ast
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import flask_migrate
import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask

from app import create_app, read_settings
from app.administration import directory
from app.database import upgrading as app_upgrading
from app.database.postgresql import ONLY_IN_POSTGRESQL
from app.database.upgrading import LOCK_TIMEOUT_SECONDS
from app.extensions import db, migrate
from app.models.user import User
from tests.conftest import ENVIRONMENT, HAS_POSTGRES, new_postgres_database
from tests.servers import BIN, ROOT, environment_for, flask

REVISIONS = sorted((ROOT / "migrations" / "versions").glob("*.py"))

needs_postgres = pytest.mark.skipif(not HAS_POSTGRES, reason="no PostgreSQL")


@contextmanager
def application(url: str) -> Iterator[Flask]:
    """The application on that database, whatever state it is in."""
    app = create_app(read_settings(ENVIRONMENT | {"DATABASE_URL": url}))
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


# Where an extension may not be made


@pytest.fixture
def without_rights(new_postgres: str) -> Iterator[str]:
    """The new database as a role sees it that may make tables and no extensions."""
    role = f"user_system_test_{uuid4().hex}"
    owner = sqlalchemy.create_engine(
        sqlalchemy.make_url(new_postgres).set(drivername="postgresql+psycopg"),
        isolation_level="AUTOCOMMIT",
    )
    with owner.connect() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN")
        connection.exec_driver_sql(f"GRANT CREATE, USAGE ON SCHEMA public TO {role}")
        yield sqlalchemy.make_url(new_postgres).set(username=role).render_as_string()
        connection.exec_driver_sql(f"DROP OWNED BY {role}")
        connection.exec_driver_sql(f"DROP ROLE {role}")
    owner.dispose()


def indexes_of_users() -> set[str]:
    return {str(index["name"]) for index in sqlalchemy.inspect(db.engine).get_indexes("users")}


@needs_postgres
def test_without_the_right_to_make_extensions_only_the_search_is_without_its_index(
    without_rights: str,
) -> None:
    with application(without_rights) as app:
        flask_migrate.upgrade()
        db.session.execute(
            sqlalchemy.text(
                "INSERT INTO users (email, username, username_key, full_name) "
                "VALUES ('ada@example.com', 'ada', 'ada', 'Ada Lovelace')"
            )
        )
        db.session.commit()

        with app.test_request_context():
            found = directory.find(q="LOVELACE", limit=20)

        assert [user.username for user in found.items] == ["ada"]
        assert set(ONLY_IN_POSTGRESQL) - indexes_of_users() == {"ix_users_search"}
        assert differences() == []
        flask_migrate.downgrade(revision="base")


@needs_postgres
def test_the_index_can_be_made_later_as_the_page_says(
    without_rights: str, new_postgres: str
) -> None:
    with application(without_rights):
        flask_migrate.upgrade()
    page = (ROOT / "docs" / "administration.md").read_text(encoding="utf-8")
    script = page.split("```sql\n", 1)[1].split("```", 1)[0]

    with application(new_postgres):
        _run_script(script)
        made = _search_index()

    with application(new_postgres):
        flask_migrate.downgrade(revision="base")
        flask_migrate.upgrade()
        assert _search_index() == made


def _search_index() -> str:
    return str(
        db.session.scalar(
            sqlalchemy.text("SELECT indexdef FROM pg_indexes WHERE indexname = 'ix_users_search'")
        )
    )


@needs_postgres
def test_a_search_asks_for_the_expression_that_is_indexed(new_postgres: str) -> None:
    with application(new_postgres):
        flask_migrate.upgrade()
        db.session.execute(sqlalchemy.text("SET enable_seqscan = off"))
        for q in ("lovelace", "lo"):
            statement = directory._matching(q, {}).compile(
                db.engine, compile_kwargs={"literal_binds": True}
            )
            plan = db.session.execute(sqlalchemy.text(f"EXPLAIN {statement}".replace(":", "\\:")))

            assert "ix_users_search" in "".join(line for (line,) in plan)


@needs_postgres
def test_every_order_is_read_from_its_index(new_postgres: str) -> None:
    indexes = {
        "id": "pk_users",
        "-id": "pk_users",
        "created_at": "ix_users_created_at_id",
        "-created_at": "ix_users_created_at_id",
        "email": "ix_users_email_bytes",
        "username": "ix_users_username_key_bytes",
    }
    assert set(indexes) == set(directory.SORTS)
    with application(new_postgres):
        flask_migrate.upgrade()
        db.session.execute(sqlalchemy.text("SET enable_seqscan = off"))
        for sort, index in indexes.items():
            rows = db.select(User).order_by(*directory._order(sort).columns).limit(21)
            statement = rows.compile(db.engine, compile_kwargs={"literal_binds": True})

            plan = db.session.execute(sqlalchemy.text(f"EXPLAIN {statement}"))

            text = "".join(line for (line,) in plan)
            assert index in text
            assert "Sort" not in text


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


# Interrupted, and run again


class Interrupted(Exception):
    """As by a signal, before the next statement."""


@contextmanager
def interrupting(seen: set[str]) -> Iterator[None]:
    """Interrupt at the first statement that changes the schema and was not seen before."""

    def interrupt(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        changes = statement.lstrip().startswith(
            ("CREATE", "ALTER", "UPDATE alembic", "INSERT INTO")
        )
        if changes and statement not in seen:
            seen.add(statement)
            raise Interrupted

    sqlalchemy.event.listen(db.engine, "before_cursor_execute", interrupt)
    try:
        yield
    finally:
        sqlalchemy.event.remove(db.engine, "before_cursor_execute", interrupt)


def test_an_upgrade_interrupted_at_any_statement_can_be_run_again(new_database: str) -> None:
    seen: set[str] = set()
    with application(new_database):
        with interrupting(seen):
            while True:
                try:
                    flask_migrate.upgrade()
                except Interrupted:
                    continue
                break
        times = len(seen)
        resumed = schema()
        flask_migrate.downgrade(revision="base")
        flask_migrate.upgrade()

        assert times > 40
        assert differences() == []
        assert schema() == resumed


@contextmanager
def reading(url: str, table: str | None = None) -> Iterator[sqlalchemy.Connection]:
    """A transaction that stays open, as of a report that takes long."""
    engine = sqlalchemy.create_engine(sqlalchemy.make_url(url).set(drivername="postgresql+psycopg"))
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        connection.exec_driver_sql(f"SELECT count(*) FROM {table}" if table else "SELECT 1")
        yield connection
    engine.dispose()


def upgrading(url: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [BIN / "flask", "--app", ROOT / "wsgi.py", "db", "upgrade"],
        cwd=ROOT,
        env=environment_for(**ENVIRONMENT, DATABASE_URL=url),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def end_what_runs(url: str, statement: str) -> None:
    """Wait until it waits for others, and end its connection."""
    ended = sqlalchemy.text(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE :query"
        " AND state = 'active' AND wait_event_type = 'Lock'"
    )
    engine = sqlalchemy.create_engine(
        sqlalchemy.make_url(url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
    )
    deadline = time.monotonic() + 20
    with engine.connect() as connection:
        while not connection.scalar(ended, {"query": f"%{statement}%"}):
            assert time.monotonic() < deadline, f"{statement} did not run"
            time.sleep(0.05)
    engine.dispose()


@needs_postgres
@pytest.mark.parametrize(
    ("revision", "index"),
    [
        ("0001", "ix_sessions_max_expires_at"),
        ("0002", "ix_users_deletion_due_at"),
        ("0006", "ix_audit_events_actor_id_id"),
        ("0010", "ix_one_time_tokens_undo_email"),
    ],
)
def test_an_upgrade_killed_while_it_builds_an_index_can_be_run_again(
    new_postgres: str, revision: str, index: str
) -> None:
    with application(new_postgres):
        flask_migrate.upgrade()
        complete = schema()
        flask_migrate.downgrade(revision=revision)
    with reading(new_postgres):
        killed = upgrading(new_postgres)
        end_what_runs(new_postgres, index)
        _, told = killed.communicate(timeout=30)

    with application(new_postgres):
        invalid = db.session.scalars(
            sqlalchemy.text("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid")
        ).all()
        db.session.rollback()
        flask_migrate.upgrade()

        assert killed.returncode == 1
        assert "Traceback" not in told, told
        assert index in invalid
        assert schema() == complete
        assert not db.session.scalar(
            sqlalchemy.text("SELECT count(*) FROM pg_index WHERE NOT indisvalid")
        )


@needs_postgres
def test_an_upgrade_waits_for_a_long_reader_and_stops_nobody_behind_it(
    new_postgres: str,
) -> None:
    with application(new_postgres):
        flask_migrate.upgrade(revision="0002")
    with reading(new_postgres, "users") as reader:
        waiting = upgrading(new_postgres)
        wait_for_lock(reader)

        began = time.monotonic()
        with reading(new_postgres, "users"):
            behind = time.monotonic() - began

        assert waiting.poll() is None
        assert behind < LOCK_TIMEOUT_SECONDS + 1
        reader.rollback()
        _, told = waiting.communicate(timeout=60)
        assert waiting.returncode == 0, told

    with application(new_postgres):
        assert differences() == []


def wait_for_lock(connection: sqlalchemy.Connection) -> None:
    waiting = sqlalchemy.text(
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'relation'"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    deadline = time.monotonic() + 20
    while not connection.scalar(waiting):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@needs_postgres
def test_an_upgrade_that_is_kept_waiting_gives_up_and_says_by_whom(
    new_postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_upgrading, "LOCK_TIMEOUT_SECONDS", 0.1)
    monkeypatch.setattr(app_upgrading, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(app_upgrading, "ATTEMPTS", 2)
    with application(new_postgres):
        flask_migrate.upgrade(revision="0002")
        with reading(new_postgres, "users") as reader:
            pid = reader.exec_driver_sql("SELECT pg_backend_pid()").scalar()

            with pytest.raises(SystemExit) as given_up:
                flask_migrate.upgrade()

        assert str(given_up.value).startswith("Cannot upgrade: other transactions held a table")
        assert f"process {pid} of postgres" in str(given_up.value)
        flask_migrate.upgrade()
        assert differences() == []


@needs_postgres
@pytest.mark.parametrize("interruption", [KeyboardInterrupt, OSError, None])
def test_no_connection_keeps_the_lock_or_the_limits_of_an_upgrade(
    new_postgres: str, interruption: type[BaseException] | None
) -> None:
    held = sqlalchemy.text(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database ="
        " (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    with application(new_postgres):
        with (
            suppress(KeyboardInterrupt, OSError),
            db.engine.connect() as connection,
            app_upgrading.our_turn(connection),
        ):
            app_upgrading.run_patiently(connection, lambda: None)
            # An error of the database leaves the transaction spoilt, too.
            with suppress(sqlalchemy.exc.DBAPIError):
                connection.exec_driver_sql("SELECT 1 / 0")
            if interruption is not None:
                raise interruption

        with db.engine.connect() as next_one:
            locks = next_one.scalar(held)
            limit = next_one.exec_driver_sql("SHOW lock_timeout").scalar()

    assert (locks, limit) == (0, "0")


@needs_postgres
def test_an_index_is_built_however_long_others_keep_their_transactions_open(
    new_postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_upgrading, "LOCK_TIMEOUT_SECONDS", 0.1)
    monkeypatch.setattr(app_upgrading, "ATTEMPTS", 1)
    with application(new_postgres):
        flask_migrate.upgrade(revision="0001")
        with reading(new_postgres) as reader:
            threading.Timer(1, reader.rollback).start()

            flask_migrate.upgrade(revision="0002")

        assert "audit_events" in tables()
