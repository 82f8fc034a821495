"""flask db …"""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import flask_migrate
import pytest
import sqlalchemy
from alembic.script import ScriptDirectory

from app.administration import directory
from app.database.migrating import migrate
from app.database.postgresql import ONLY_IN_POSTGRESQL
from app.extensions import db
from app.models.user import User
from tests.conftest import ENVIRONMENT
from tests.database.upgraded import application, differences, needs_postgres, schema, tables
from tests.servers import BIN, ROOT, environment_for, flask

REVISIONS = sorted((ROOT / "migrations" / "versions").glob("*.py"))


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
