"""Long statements, in the transactions that ask for them."""

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from app.database.statement_limit import statement_limit
from app.extensions import db


def milliseconds() -> str:
    return str(db.session.scalar(text("SHOW statement_timeout")))


@pytest.mark.postgresql
def test_the_limit_is_that_of_one_transaction(app: Flask) -> None:
    with app.test_request_context():
        before = milliseconds()
        with statement_limit(20):
            within = milliseconds()
            driver = db.session.connection().connection.driver_connection
            waits = driver.answer_timeout
        db.session.rollback()
        after = milliseconds()

        assert (before, within, after) == ("3s", "20s", "3s")
        assert waits > 20
        assert driver.answer_timeout < 20
        db.session.remove()


@pytest.mark.postgresql
def test_a_statement_beyond_it_is_stopped(app: Flask) -> None:
    with app.test_request_context():
        with (
            statement_limit(0.1),
            pytest.raises(OperationalError, match="statement timeout"),
        ):
            db.session.execute(text("SELECT pg_sleep(2)"))
        db.session.remove()


def test_a_statement_within_it_runs(app: Flask) -> None:
    with app.test_request_context(), statement_limit(5):
        assert db.session.scalar(text("SELECT 1")) == 1
        db.session.remove()
