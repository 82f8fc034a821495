"""The database refuses to edit the log, and on PostgreSQL the role that serves may not even ask"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import flask_migrate
import psycopg
import pytest
import sqlalchemy
from flask import Flask
from sqlalchemy import delete, insert, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from app import clock, create_app, read_settings
from app.audit import retention, sealing
from app.extensions import db
from app.models import User
from app.users import closing
from deploy import local_topology
from tests.audit.log import EVENTS, SEALS, seals, verify, what_is_wrong, write, write_and_seal
from tests.conftest import ENVIRONMENT, HAS_POSTGRES, _postgres_server, new_postgres_database
from tests.factories import API, PASSWORD, bearer, log_in, me, refresh
from tests.servers import ROOT
from tests.tampering import empty_the_log

PRUNINGS = db.metadata.tables["audit_prunings"]


@pytest.fixture
def inside(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def refusal(statement: Any) -> str:
    """What the database says to a statement of which nothing may come."""
    with pytest.raises(DBAPIError) as refused, db.engine.begin() as connection:
        connection.execute(statement)
    return str(refused.value.orig)


def do(statement: Any) -> None:
    with db.engine.begin() as connection:
        connection.execute(statement)


EDITS = [
    update(EVENTS).values(event="logged_out"),
    update(EVENTS).values(at=clock.now()),
    update(EVENTS).values(actor_id=None),
    update(EVENTS).values(subject_id=9),
    update(EVENTS).values(request_id=None),
    update(EVENTS).values(details={}),
    update(EVENTS).values(id=EVENTS.c.id + 1000),
    update(EVENTS).values(ip="198.51.100.1"),
    update(EVENTS).values(user_agent="another"),
    update(EVENTS).values(personal={"email": "eve@example.com"}),
    update(EVENTS).values(ip=None, event="logged_out"),
    update(SEALS).values(position=SEALS.c.position + 1000),
    update(SEALS).values(event_id=SEALS.c.event_id + 1000),
    update(SEALS).values(sealed_at=clock.now()),
    update(SEALS).values(event_digest="f" * 64),
    update(SEALS).values(personal_digest="f" * 64),
    update(SEALS).values(hash="f" * 64),
    update(SEALS).values(salt="f" * 32),
    delete(EVENTS),
    delete(SEALS),
]


@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize("number", range(len(EDITS)))
def test_an_edit_is_refused(number: int) -> None:
    write_and_seal(2)

    assert "is append-only" in refusal(EDITS[number])
    assert what_is_wrong() is None


@pytest.mark.usefixtures("inside")
def test_an_unsealed_event_is_not_edited_either() -> None:
    write(1)

    assert "is append-only" in refusal(EDITS[0])
    assert "is append-only" in refusal(delete(EVENTS))


@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize("column", ["ip", "user_agent", "personal"])
def test_what_is_personal_may_go_and_never_comes_back(column: str) -> None:
    write(1)
    gone = {column: sqlalchemy.null()}

    do(update(EVENTS).values(**gone))

    back = {"email": "x"} if column == "personal" else "x"
    assert "is append-only" in refusal(update(EVENTS).values(**{column: back}))


@pytest.mark.usefixtures("inside")
def test_a_salt_may_go_and_never_comes_back() -> None:
    write_and_seal(1)

    do(update(SEALS).values(salt=None))

    assert "is append-only" in refusal(update(SEALS).values(salt="f" * 32))


@pytest.mark.usefixtures("inside")
def test_a_pruning_on_record_lets_go_of_what_is_before_it_and_of_nothing_else() -> None:
    ids = write_and_seal(4)
    write(1)
    do(insert(PRUNINGS).values(through=2))

    assert "is append-only" in refusal(delete(EVENTS))
    assert "is append-only" in refusal(delete(EVENTS).where(EVENTS.c.id == ids[2]))
    assert "is append-only" in refusal(delete(SEALS).where(SEALS.c.position == 2))
    do(delete(EVENTS).where(EVENTS.c.id.in_(ids[:2])))
    do(delete(SEALS).where(SEALS.c.position == 1))
    do(delete(PRUNINGS))
    assert "is append-only" in refusal(delete(SEALS).where(SEALS.c.position == 2))


@pytest.mark.usefixtures("inside")
def test_nothing_is_replaced_nor_emptied() -> None:
    ids = write_and_seal(1)
    if db.engine.dialect.name == "postgresql":
        assert "is append-only" in refusal(text("TRUNCATE audit_events"))
        assert "is append-only" in refusal(text("TRUNCATE audit_seals"))
        return

    replacement = text(
        "INSERT OR REPLACE INTO audit_events (id, event, details)"
        f" VALUES ({ids[0]}, 'forged', '{{}}')"
    )
    assert "is append-only" in refusal(replacement)
    assert "is append-only" in refusal(
        text("INSERT OR REPLACE INTO audit_seals SELECT * FROM audit_seals")
    )


# Two roles on PostgreSQL, by the SQL of the documentation and the migrations alone


@dataclass
class Roles:
    """The application under the role that owns the tables, and under the one that serves."""

    owner: Flask
    server: Flask


def documented_sql(page: str, heading: str) -> list[str]:
    """The statements of the first block of SQL after a heading."""
    text_after = (ROOT / page).read_text(encoding="utf-8").split(heading, 1)[1]
    block = text_after.split("```sql\n", 1)[1].split("```", 1)[0]
    # The line for psql alone, to change the database.
    lines = [line for line in block.splitlines() if not line.startswith("\\c")]
    return [statement.strip() for statement in "\n".join(lines).split(";") if statement.strip()]


@pytest.fixture(scope="module")
def house() -> Iterator[tuple[Flask, Flask, Flask]]:
    """The application under the administrator of the database and under the two roles."""
    if not HAS_POSTGRES:
        pytest.skip("no PostgreSQL")
    suffix = uuid4().hex[:12]
    owner, server = f"user_system_owner_{suffix}", f"user_system_{suffix}"

    def for_these(statement: str) -> str:
        return statement.replace("user_system", server).replace(f"{server}_owner", owner)

    administrator = _postgres_server()
    with new_postgres_database() as url, administrator.connect() as connection:
        for role in (owner, server):
            connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN")
        connection.exec_driver_sql(f"ALTER DATABASE {make_url(url).database} OWNER TO {owner}")
        apps = []
        for role in (make_url(url).username, owner, server):
            mine = make_url(url).set(username=role).render_as_string(hide_password=False)
            apps.append(create_app(read_settings(ENVIRONMENT | {"DATABASE_URL": mine})))
        with apps[1].app_context():
            for statement in documented_sql("docs/deploying.md", "## PostgreSQL"):
                if statement.startswith("ALTER DEFAULT PRIVILEGES"):
                    do(text(for_these(statement)))
            flask_migrate.upgrade()
        yield apps[0], apps[1], apps[2]
        for app in apps:
            with app.app_context():
                db.engine.dispose()
    with administrator.connect() as connection:
        for role in (owner, server):
            connection.exec_driver_sql(f"DROP ROLE {role}")
    administrator.dispose()


@pytest.fixture
def roles(house: tuple[Flask, Flask, Flask]) -> Iterator[Roles]:
    administrator, owner, server = house
    yield Roles(owner, server)
    with administrator.app_context():
        do(delete(User))
        empty_the_log()


def test_the_application_works_under_the_role_that_serves(roles: Roles) -> None:
    app = roles.server
    client = app.test_client()
    account = {"email": "ada@example.com", "username": "ada", "password": PASSWORD}
    number = client.post(f"{API}/auth/register", json=account).json["id"]
    pair = log_in(client, User(username="ada"))
    pair = refresh(client, pair["refresh_token"]).json
    client.post(f"{API}/auth/login", json={"username": "ada", "password": "wrong"})

    assert me(client, pair["access_token"]).status_code == 200
    closed = client.delete(
        f"{API}/users/me", json={"password": PASSWORD}, headers=bearer(pair["access_token"])
    )
    assert closed.status_code == 202
    with app.app_context():
        assert sealing.seal_everything() == 4
        do(update(User).where(User.id == number).values(deletion_due_at=clock.now()))
        assert closing.erase_due(10) == 1
        sealing.seal_everything()
        verdict = verify()
    assert (verdict.broken, verdict.sealed) == (None, 5)
    assert app.test_cli_runner().invoke(args=["prune"]).exit_code == 0


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_events SET event = 'forged'",
        "UPDATE audit_events SET details = '{}', ip = NULL",
        "DELETE FROM audit_events",
        "TRUNCATE audit_events",
        "UPDATE audit_seals SET hash = 'forged'",
        "DELETE FROM audit_seals",
        "TRUNCATE audit_seals",
        "INSERT INTO audit_prunings VALUES (1)",
        "UPDATE audit_prunings SET through = 1",
        "DELETE FROM audit_prunings",
        "DROP TRIGGER audit_events_refuse_update ON audit_events",
        "ALTER TABLE audit_events DISABLE TRIGGER ALL",
        "ALTER TABLE audit_events OWNER TO CURRENT_USER",
        "DROP FUNCTION audit_events_refuse() CASCADE",
        "SET session_replication_role = replica",
        "CREATE TABLE audit_prunings_of_mine (through int)",
    ],
)
def test_the_role_that_serves_may_neither_edit_nor_delete(roles: Roles, statement: str) -> None:
    with roles.server.app_context():
        write_and_seal(2)

        said = refusal(text(statement))

        assert "permission denied" in said or "must be owner" in said
        assert what_is_wrong() is None


def rights_on_the_log() -> set[tuple[str, ...]]:
    """What the roles hold on the three tables and on single columns of them."""
    held = """
        SELECT table_name, '' AS column_name, grantee, privilege_type
          FROM information_schema.table_privileges WHERE table_name LIKE 'audit%'
         UNION
        SELECT table_name, column_name, grantee, privilege_type
          FROM information_schema.column_privileges WHERE table_name LIKE 'audit%'
    """
    return {tuple(row) for row in db.session.execute(text(held))}


def test_the_upgrade_leaves_what_the_documented_statements_leave(
    house: tuple[Flask, Flask, Flask],
) -> None:
    _, owner, server = house
    role = server.config["SETTINGS"].database_url.username
    with owner.app_context():
        left_by_upgrade = rights_on_the_log()
        do(text(f"GRANT ALL ON audit_events, audit_seals, audit_prunings TO {role}"))
        tables = "audit_events, audit_seals, audit_prunings"
        do(text(f"REVOKE TRIGGER, REFERENCES ON {tables} FROM {role}"))
        for statement in documented_sql("docs/audit.md", "## Append-only"):
            do(text(statement.replace("user_system", role)))

        assert rights_on_the_log() == left_by_upgrade
        assert ("audit_events", "ip", role, "UPDATE") in left_by_upgrade
        assert ("audit_prunings", "", role, "INSERT") not in left_by_upgrade


def test_the_owner_prunes_and_the_role_that_serves_cannot(
    roles: Roles, monkeypatch: pytest.MonkeyPatch
) -> None:
    for app in (roles.owner, roles.server):
        keeping = replace(app.config["SETTINGS"], audit_retention=timedelta(days=5))
        monkeypatch.setitem(app.config, "SETTINGS", keeping)
    with roles.server.app_context():
        write_and_seal(3, at=clock.now() - timedelta(days=10))

    result = roles.server.test_cli_runner().invoke(args=["prune"])

    assert result.exit_code == 1
    assert "permission denied for table audit_prunings" in result.stderr
    with roles.owner.app_context():
        assert retention.prune(10) == 3
        assert len(seals()) == 1
    with roles.server.app_context():
        sealing.seal_everything()
        assert what_is_wrong() is None


# By deploy/roles.sql, which compose.yaml and the local topology run


def test_the_roles_of_the_deployment_cannot_edit_the_log() -> None:
    absent = set(local_topology.missing()) & set(local_topology.OF_THE_CLUSTER)
    if absent:
        pytest.skip(f"not installed: {', '.join(absent)}")
    with local_topology.starting() as start:
        owner, server = start.postgresql()
        kept = local_topology._kept_environment()
        start.migrate(kept | ENVIRONMENT | {"DATABASE_URL": owner})

        for statement in (
            "DELETE FROM audit_events",
            "DELETE FROM audit_seals",
            "UPDATE audit_events SET event = 'forged'",
            "TRUNCATE audit_events",
            "INSERT INTO audit_prunings VALUES (1)",
        ):
            with (
                psycopg.connect(server) as connection,
                pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied"),
            ):
                connection.execute(statement)
        with psycopg.connect(server) as connection:
            connection.execute("UPDATE audit_events SET ip = NULL")
            connection.execute("INSERT INTO audit_events (event, details) VALUES ('x', '{}')")
