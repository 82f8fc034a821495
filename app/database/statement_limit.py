"""Lets one transaction of a request run longer statements than requests may otherwise."""

from collections.abc import Iterator
from contextlib import contextmanager

from app.database import postgresql
from app.extensions import db

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
