"""Checks whether the databases can be used: at the start, in readyz and in the doctor."""

import logging

from flask import Flask
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from app.database import migration_state, postgresql
from app.extensions import db
from config import SettingsRefused

log = logging.getLogger(__name__)


def flaws_of_the_replica(engine: Engine) -> list[str]:
    """The flaws that the database itself could have, named for the replica.

    Raises SQLAlchemy's errors.
    """
    with engine.connect() as connection:
        found = migration_state.read(connection, writes=False).flaws
    return [
        f"The replica: {flaw.replace('DATABASE_URL', 'DATABASE_REPLICA_URL')}" for flaw in found
    ]


def refuse_unfit(app: Flask) -> None:
    """Stop the start if the databases can never be used. Raises ``SettingsRefused``.

    A server that is away may come back, and migrations may still be run. In
    these cases the start goes on, readyz says so, and the log says what to run.
    """
    with app.app_context():
        reasons = [reason for name in db.engines for reason in _reasons(name, db.engines[name])]
    if reasons:
        raise SettingsRefused(*reasons)


def _reasons(name: str | None, engine: Engine) -> list[str]:
    try:
        if name is not None:
            return flaws_of_the_replica(engine)
        with engine.connect() as connection:
            driver = connection.connection.driver_connection
            if isinstance(driver, postgresql.Connection):
                # Otherwise a frozen server would hold up the start for ever.
                driver.answer_timeout = postgresql.ANSWER_TIMEOUT_SECONDS
            state = migration_state.read(connection)
            if not state.flaws and not state.is_current:
                log.error(migration_state.NOT_MIGRATED)
            return state.flaws
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error)).partition("\n")[0]
        if engine.dialect.name == "sqlite":
            sentence = (
                f"DATABASE_URL leads to {engine.url.database}, and SQLite says: {reason}. Look "
                "whether the folder is there and this account may write in it."
            )
            return [sentence]
        log.warning("a database does not answer yet", extra={"reason": reason})
        return []
    finally:
        # The workers are forked later and open their own connections.
        engine.dispose()
