"""Gives one transaction of a request longer or shorter statements than requests have otherwise."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy.exc import DBAPIError

from app.database import postgresql
from app.extensions import db

log = logging.getLogger(__name__)

Found = TypeVar("Found")

# After this time more than the limit, the server is taken for dead.
SECONDS_FOR_THE_ANSWER = 1


@contextmanager
def statement_limit(seconds: float) -> Iterator[None]:
    """Let the statements of this transaction run up to ``seconds``. SQLite has no such limit.

    Meanwhile a thread and a connection of the pool are busy, so it is for
    calls that only few people may make.
    """
    connection = db.session.connection()
    driver = connection.connection.driver_connection
    if not isinstance(driver, postgresql.Connection):
        yield
        return
    connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{round(seconds * 1000)}ms'")
    before = driver.answer_timeout
    driver.answer_timeout = seconds + SECONDS_FOR_THE_ANSWER
    try:
        yield
    finally:
        # The pool gives the connection to the next request.
        driver.answer_timeout = before


def in_time(seconds: float, read: Callable[[], Found]) -> Found | None:
    """What was read, or ``None`` if a statement took longer than that. Ends the transaction.

    It is for a part of a page that may be left out.
    """
    try:
        with statement_limit(seconds):
            return read()
    except DBAPIError as error:
        log.warning("a part of a page is left out: reading took too long", exc_info=error)
        return None
    finally:
        db.session.rollback()
