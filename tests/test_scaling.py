"""The SQL that docs/scaling.md gives works, and the application goes on with it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import flask_migrate
import pytest
import sqlalchemy
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from app import audit, create_app
from app.extensions import db
from app.models import AuditEvent
from app.models.audit_event import Event
from config import Settings
from tests.conftest import ENVIRONMENT, HAS_POSTGRES, new_postgres_database
from tests.test_readme import blocks

pytestmark = pytest.mark.skipif(not HAS_POSTGRES, reason="no PostgreSQL")

# The months in the page's example.
FIRST, SECOND = "2027-01-01", "2027-02-01"


@pytest.fixture
def upgraded() -> Iterator[Flask]:
    """The application on a database of its own, whose tables may be changed."""
    with new_postgres_database() as url:
        app = create_app(Settings.from_environment(ENVIRONMENT | {"DATABASE_URL": url}))
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


def first_of_next_month(today: datetime) -> datetime:
    return (today.replace(day=1) + timedelta(days=32)).replace(day=1)


def today_in(script: str) -> str:
    """The page's months moved to the next ones from now."""
    first = first_of_next_month(datetime.now(UTC))
    second = first_of_next_month(first)
    return script.replace(FIRST, f"{first:%Y-%m-%d}").replace(SECOND, f"{second:%Y-%m-%d}")


def events() -> list[str]:
    return [event.details["number"] for event in db.session.scalars(select(AuditEvent))]


def rows(statement: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in db.session.execute(text(statement))]


def note(number: str) -> None:
    audit.record(Event.REFRESH_TOKEN_REUSED, subject_id=1, number=number)
    db.session.commit()


def test_the_sessions_get_room_in_their_pages(upgraded: Flask) -> None:
    [room] = sql("fillfactor")

    run(room)

    [(options,)] = rows("SELECT reloptions FROM pg_class WHERE relname = 'sessions'")
    assert options == ["fillfactor=90", "autovacuum_vacuum_scale_factor=0.02"]


def test_audit_events_can_be_partitioned_while_they_are_written(upgraded: Flask) -> None:
    prepare, attach = (today_in(block) for block in sql("audit_events"))
    note("before")
    run(prepare)
    note("between")

    run(attach)
    note("after")
    later = first_of_next_month(datetime.now(UTC)) + timedelta(days=1)
    far = later + timedelta(days=400)
    for number, at in (("next month", later), ("far", far)):
        db.session.add(
            AuditEvent(event=Event.REFRESH_TOKEN_REUSED, at=at, details={"number": number})
        )
        db.session.commit()

    assert sorted(events()) == ["after", "before", "between", "far", "next month"]
    assert rows(
        "SELECT tableoid::regclass::text, count(*) FROM audit_events GROUP BY 1 ORDER BY 1"
    ) == [
        ("audit_events_2027_01", 1),
        ("audit_events_old", 3),
        ("audit_events_rest", 1),
    ]
    # The numbers go on, and every partition has the index by which a person's are found.
    assert rows("SELECT count(DISTINCT id) FROM audit_events") == [(5,)]
    assert rows("SELECT count(*) FROM pg_indexes WHERE indexdef LIKE '%(subject_id, id)'") == [(4,)]

    db.session.execute(text("DROP TABLE audit_events_2027_01"))
    db.session.commit()
    assert sorted(events()) == ["after", "before", "between", "far"]


def test_events_after_the_date_are_refused_until_the_second_step(upgraded: Flask) -> None:
    """Which is why the page says to do it before."""
    run(today_in(sql("NOT VALID")[0]))
    late = first_of_next_month(datetime.now(UTC)) + timedelta(days=1)

    db.session.add(AuditEvent(event=Event.REFRESH_TOKEN_REUSED, at=late, details={}))

    with pytest.raises(IntegrityError, match="old_ends"):
        db.session.commit()
    db.session.rollback()


def test_a_partitioned_table_is_what_migrations_expect(upgraded: Flask) -> None:
    for block in sql("audit_events"):
        run(today_in(block))

    flask_migrate.upgrade()

    columns = {
        column["name"] for column in sqlalchemy.inspect(db.engine).get_columns("audit_events")
    }
    assert columns == {column.name for column in AuditEvent.__table__.columns}


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
