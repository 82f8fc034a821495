"""flask db-copy"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import UUID, uuid4

import flask_migrate
import pytest
import sqlalchemy
from click.testing import Result
from flask import Flask
from sqlalchemy import (
    JSON,
    Column,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    null,
    select,
    text,
)

from app import create_app, read_settings
from app.database import copying
from app.database.engines import open_other
from app.database.types import UTCDateTime
from app.extensions import db
from app.models import AuditEvent, OneTimeToken, OutboxMessage, Session, User
from configuration.database_url import database_url
from tests.conftest import ENVIRONMENT, HAS_POSTGRES, new_postgres_database
from tests.factories import log_in, make_user

MICROSECOND = datetime(2024, 2, 29, 23, 59, 59, 999999, UTC)
ODD_TEXT = '\'; DROP TABLE users; -- \\ "%s" %(x)s :y \t\r\n é e\u0301 世界 🌍 \u2028\ufeff'


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without tables, on either."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'target.db'}"
    elif not HAS_POSTGRES:
        pytest.skip("no PostgreSQL")
    else:
        with new_postgres_database() as url:
            yield url


@pytest.fixture
def target(empty_url: str) -> Iterator[Flask]:
    """An application on the database to copy into, which has its tables."""
    app = create_app(read_settings(ENVIRONMENT | {"DATABASE_URL": empty_url}))
    with app.app_context():
        flask_migrate.upgrade()
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def copy(app: Flask, empty_url: str) -> Callable[[], Result]:
    return lambda: app.test_cli_runner().invoke(args=["db-copy", "--to", empty_url])


def everything(app: Flask) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables, as Python sees them."""
    with app.app_context():
        return {
            table.name: sorted(map(tuple, db.session.execute(select(table))), key=repr)
            for table in db.metadata.sorted_tables
        }


@pytest.fixture
def full(app: Flask) -> Flask:
    """A row of every kind, with what databases are known to trip over."""
    ada = make_user(
        app,
        username="ada",
        email="ada@example.com",
        bio=ODD_TEXT,
        full_name="",
        created_at=MICROSECOND,
        deletion_due_at=MICROSECOND,
    )
    make_user(app, username="Ådne", email="bob@example.com", password_hash=None, active=False)
    with app.app_context():
        db.session.add_all(
            [
                Session(
                    user_id=ada.id,
                    previous_jti=UUID(int=0),
                    user_agent=ODD_TEXT,
                    refreshed_at=MICROSECOND,
                    expires_at=MICROSECOND,
                    max_expires_at=MICROSECOND,
                ),
                OneTimeToken(
                    user_id=ada.id,
                    purpose="password_reset",
                    token_hash="0" * 64,
                    created_at=MICROSECOND,
                    expires_at=datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
                ),
                OutboxMessage(
                    message_id=uuid4().hex,
                    recipient="ada@example.com",
                    message="account_exists",
                    locale="en",
                    sealed="gAAAA" + "x" * 5000,
                    created_at=MICROSECOND,
                    due_at=datetime(1, 1, 1, tzinfo=UTC),
                ),
                AuditEvent(
                    event="refresh_token_reused",
                    subject_id=2**62,
                    details={
                        "ß": [1, 1.5, -0.1, 2**60, None, True, {"b": ODD_TEXT, "a": ""}],
                        "": {},
                    },
                ),
                AuditEvent(event="x", subject_id=None, details={}),
            ]
        )
        db.session.commit()
    return app


def test_every_row_of_every_table_is_copied(
    full: Flask, target: Flask, copy: Callable[[], Result]
) -> None:
    result = copy()

    assert result.exit_code == 0, result.output
    assert everything(target) == everything(full)
    assert "users: 2 rows\n" in result.output
    assert "Copied and compared 7 rows." in result.output


def test_people_log_in_on_the_copy(ada: User, target: Flask, copy: Callable[[], Result]) -> None:
    copy()

    assert log_in(target.test_client(), ada)


def test_new_rows_get_numbers_that_were_never_given(
    app: Flask, ada: User, bob: User, target: Flask, copy: Callable[[], Result]
) -> None:
    with app.app_context():
        db.session.delete(db.session.get(User, bob.id))
        db.session.commit()

    copy()

    assert make_user(target, username="eve", email="eve@example.com").id == bob.id + 1


def test_a_table_that_is_empty_goes_on_numbering_too(
    app: Flask, ada: User, target: Flask, copy: Callable[[], Result]
) -> None:
    with app.app_context():
        db.session.delete(db.session.get(User, ada.id))
        db.session.commit()

    copy()

    assert make_user(target, username="eve", email="eve@example.com").id == ada.id + 1


# What is refused


def refusal(result: Result) -> str:
    assert result.exit_code != 0
    assert isinstance(result.exception, SystemExit), result.exception
    return result.stderr


def test_a_target_with_rows_is_refused(
    ada: User, target: Flask, copy: Callable[[], Result]
) -> None:
    make_user(target, username="eve", email="eve@example.com")
    before = everything(target)

    assert "not empty: there are rows in users" in refusal(copy())
    assert everything(target) == before


def test_a_target_without_tables_is_refused_with_the_command_that_makes_them(
    ada: User, copy: Callable[[], Result]
) -> None:
    assert "flask db upgrade" in refusal(copy())


def test_a_target_at_another_migration_is_refused(
    ada: User, target: Flask, copy: Callable[[], Result]
) -> None:
    with target.app_context():
        flask_migrate.downgrade(revision="0002")

    assert "0002" in refusal(copy())


@pytest.mark.parametrize("url", ["nonsense", "mysql://root@127.0.0.1/x", "sqlite://"])
def test_what_is_no_database_is_refused(app: Flask, url: str) -> None:
    result = app.test_cli_runner().invoke(args=["db-copy", "--to", url])

    assert "--to " in refusal(result)


def test_a_target_that_is_away_is_said_in_one_line(app: Flask) -> None:
    url = "postgresql://postgres@127.0.0.1:1/x"

    result = app.test_cli_runner().invoke(args=["db-copy", "--to", url])

    assert "The database refused" in refusal(result)


# Where the password of the target stands


def test_the_target_may_be_named_by_a_variable(
    app: Flask, ada: User, target: Flask, empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TARGET_URL", empty_url)

    result = app.test_cli_runner().invoke(args=["db-copy", "--to-env", "TARGET_URL"])

    assert (result.exit_code, "Warning" in result.stderr) == (0, False), result.output
    assert everything(target) == everything(app)


# All or nothing


def test_a_copy_that_is_not_what_was_read_is_not_kept(
    full: Flask, target: Flask, copy: Callable[[], Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    writable = copying._writable

    def losing_a_microsecond(table: Table, row: tuple[Any, ...]) -> dict[str, Any]:
        values = writable(table, row)
        if table.name == "sessions":
            values["expires_at"] -= timedelta(microseconds=1)
        return values

    monkeypatch.setattr(copying, "_writable", losing_a_microsecond)

    assert "sessions is not what was read" in refusal(copy())
    assert not any(everything(target).values())


def test_a_copy_that_breaks_off_is_not_kept(
    full: Flask, target: Flask, copy: Callable[[], Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "_continue_numbering", lambda *_: 1 / 0)

    result = copy()

    assert isinstance(result.exception, ZeroDivisionError)
    assert not any(everything(target).values())


def test_what_is_written_meanwhile_does_not_tear_the_copy(
    app: Flask, target: Flask, copy: Callable[[], Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = make_user(app, username="ada", email="ada@example.com")
    for number in range(5):
        make_user(app, username=f"p{number}x", email=f"p{number}@example.com", password_hash=None)
    log_in(app.test_client(), ada)
    monkeypatch.setattr(copying, "CHUNK", 2)
    before = everything(app)
    chunks = copying._chunks
    wrote: list[str] = []

    def write() -> None:
        make_user(app, username="late", email="late@example.com")
        log_in(app.test_client(), ada)
        with app.app_context():
            db.session.execute(sqlalchemy.delete(User).where(User.username == "p4x"))
            db.session.execute(sqlalchemy.update(User).values(bio="changed"))
            db.session.commit()
        wrote.append("it")

    def chunks_with_a_writer_beside_them(*arguments: Any) -> Any:
        for rows in chunks(*arguments):
            if not wrote:
                writer = Thread(target=write)
                writer.start()
                writer.join()
            yield rows

    monkeypatch.setattr(copying, "_chunks", chunks_with_a_writer_beside_them)

    result = copy()

    assert result.exit_code == 0, result.output
    assert wrote
    assert everything(target) == before
    assert everything(app) != before


# Tables of others


def test_a_table_that_no_model_describes_is_named(
    app: Flask, ada: User, target: Flask, copy: Callable[[], Result]
) -> None:
    with app.app_context():
        db.session.execute(text("CREATE TABLE leftover (id INTEGER)"))
        db.session.commit()
    try:
        result = copy()
    finally:
        with app.app_context():
            db.session.execute(text("DROP TABLE leftover"))
            db.session.commit()

    assert result.exit_code == 0
    assert re.search("no model describes it: leftover", result.stderr)


def test_kinds_of_columns_that_are_not_ours_yet_are_copied_as_well(
    app: Flask, target: Flask, empty_url: str
) -> None:
    metadata = MetaData()
    things = Table(
        "things",
        metadata,
        Column("key", String(10), primary_key=True),
        Column("parent", ForeignKey("things.key")),
        Column("price", sqlalchemy.Numeric(10, 2, asdecimal=True)),
        Column("weight", sqlalchemy.Float),
        Column("raw", sqlalchemy.LargeBinary),
        Column("day", sqlalchemy.Date),
        Column("at", UTCDateTime),
        Column("said", JSON),
        Column("twice", Integer, sqlalchemy.Computed("length(key) * 2", persisted=True)),
    )
    row = {"parent": None, "price": Decimal("1.10"), "weight": 0.1, "raw": b"\0\xff"}
    row |= {"day": MICROSECOND.date(), "at": MICROSECOND}
    url = database_url(empty_url)
    with app.app_context():
        settings, source = app.config["SETTINGS"], db.engine
        other = open_other(url, settings)
        for engine in (source, other):
            things.create(engine)
        # SQLite defers foreign keys, so a row may come before the one that it names.
        first = "z" if other.dialect.name == "sqlite" else "A"
        try:
            with source.begin() as connection:
                connection.execute(things.insert(), {"key": first, "said": JSON.NULL} | row)
                row |= {"parent": first}
                connection.execute(things.insert(), {"key": "a", "said": null()} | row)
                connection.execute(things.insert(), {"key": "b", "said": {"a": None}} | row)

            list(copying.copy(source, other, metadata))

            everything_there, nothing = select(things), things.c.said.is_(null())
            with source.connect() as here, other.connect() as there:
                assert {row.key: row for row in here.execute(everything_there)} == {
                    row.key: row for row in there.execute(everything_there)
                }
                assert there.scalars(select(things.c.key).where(nothing)).all() == ["a"]
        finally:
            things.drop(source)
            other.dispose()


def test_an_append_only_table_can_be_copied(
    full: Flask, target: Flask, copy: Callable[[], Result]
) -> None:
    on_sqlite = (
        "CREATE TRIGGER no_{0} BEFORE {0} ON audit_events "
        "BEGIN SELECT RAISE(ABORT, 'append-only'); END"
    )
    function = (
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'append-only'; END $$"
    )
    on_postgresql = (
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events "
        "EXECUTE FUNCTION refuse()"
    )
    refuse = {
        "sqlite": [on_sqlite.format("UPDATE"), on_sqlite.format("DELETE")],
        "postgresql": [function, on_postgresql],
    }
    with target.app_context():
        for statement in refuse[db.engine.dialect.name]:
            db.session.execute(text(statement))
        db.session.commit()

    result = copy()

    assert result.exit_code == 0, result.output
    assert everything(target) == everything(full)


def test_no_order_changes_a_digest_and_every_difference_does() -> None:
    rows: list[tuple[Any, ...]] = [(1, "a"), (1, None), ("1", "a"), (True, "a"), (1.5, b"a")]

    def digest(*given: tuple[Any, ...]) -> copying.Digest:
        result = copying.Digest()
        for row in given:
            result = result.plus(row)
        return result

    assert digest(*rows) == digest(*reversed(rows))
    assert len({digest(row) for row in rows}) == len(rows)
    assert digest(rows[0], rows[0]) != digest()
