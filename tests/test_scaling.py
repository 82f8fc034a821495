"""The SQL that docs/scaling.md gives works, and the application goes on with it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import flask_migrate
import pytest
import sqlalchemy
from flask import Flask
from sqlalchemy import text

from app import clock, create_app, read_settings
from app.audit import sealing
from app.extensions import db
from tests.audit.log import what_is_wrong, write
from tests.conftest import ENVIRONMENT, HAS_POSTGRES, new_postgres_database
from tests.test_readme import blocks

pytestmark = pytest.mark.skipif(not HAS_POSTGRES, reason="no PostgreSQL")


@pytest.fixture
def upgraded() -> Iterator[Flask]:
    """The application on a database of its own, whose tables may be changed."""
    with new_postgres_database() as url:
        app = create_app(read_settings(ENVIRONMENT | {"DATABASE_URL": url}))
        with app.app_context():
            flask_migrate.upgrade()
            yield app
            db.session.remove()
            db.engine.dispose()


def sql(about: str) -> list[str]:
    """The SQL blocks of the page that have that word."""
    return [b.text for b in blocks("docs/scaling.md") if b.language == "sql" and about in b.text]


def run(script: str) -> None:
    """As psql would: one statement after the other, each by itself."""
    owner = db.engine.execution_options(isolation_level="AUTOCOMMIT")
    with owner.connect() as connection:
        for statement in script.split(";\n"):
            if statement.strip():
                connection.execute(text(statement.replace(":", "\\:")))


def rows(statement: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in db.session.execute(text(statement))]


def test_the_sessions_get_room_in_their_pages(upgraded: Flask) -> None:
    [room] = sql("fillfactor")

    run(room)

    [(options,)] = rows("SELECT reloptions FROM pg_class WHERE relname = 'sessions'")
    assert options == ["fillfactor=90", "autovacuum_vacuum_scale_factor=0.02"]


def test_the_audit_log_is_vacuumed_often(upgraded: Flask) -> None:
    [often] = sql("audit_events")

    run(often)

    [(options,)] = rows(
        "SELECT DISTINCT reloptions FROM pg_class WHERE relname IN ('audit_events', 'audit_seals')"
    )
    assert options == ["autovacuum_vacuum_scale_factor=0.02"]


def test_old_events_go_by_the_retention_and_the_rest_is_whole(upgraded: Flask) -> None:
    """What the page says to do instead of partitions."""
    keeping = replace(upgraded.config["SETTINGS"], audit_retention=timedelta(days=90))
    upgraded.config["SETTINGS"] = keeping
    write(2500, at=clock.now() - timedelta(days=91))
    write(10)

    pruned = upgraded.test_cli_runner().invoke(args=["prune"])

    assert "Removed 2500 audit events." in pruned.output
    sealing.seal_everything()
    assert what_is_wrong() is None
    assert rows("SELECT count(*) FROM audit_events WHERE at < now() - interval '90 days'") == [(0,)]


def test_failed_logins_can_be_spread_over_partitions(upgraded: Flask) -> None:
    if "login_throttles" not in sqlalchemy.inspect(db.engine).get_table_names():
        pytest.skip("there is no table login_throttles yet")
    [spread] = sql("login_throttles")
    count = """
        INSERT INTO login_throttles (subject, network, failures, last_failure_at)
        VALUES ('{subject}', '203.0.113.7', 1, now())
        ON CONFLICT (subject, network) DO UPDATE SET failures = login_throttles.failures + 1
    """
    db.session.execute(text(count.format(subject="a" * 64)))
    db.session.commit()

    run(spread)
    for letter in "abcdefgh":
        db.session.execute(text(count.format(subject=letter * 64)))
    db.session.commit()

    assert rows("SELECT failures, count(*) FROM login_throttles GROUP BY 1 ORDER BY 1") == [
        (1, 7),
        (2, 1),
    ]
    assert len(rows("SELECT DISTINCT tableoid FROM login_throttles")) > 1


def test_the_page_has_no_other_sql() -> None:
    shown = [block for block in blocks("docs/scaling.md") if block.language == "sql"]

    assert len(shown) == len(sql("fillfactor")) + len(sql("audit_events")) + len(
        sql("login_throttles")
    )
