"""A database at some migration, and what its schema is."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask

from app import create_app, read_settings
from app.database.postgresql import ONLY_IN_POSTGRESQL
from app.extensions import db
from tests.conftest import ENVIRONMENT, HAS_POSTGRES

needs_postgres = pytest.mark.skipif(not HAS_POSTGRES, reason="no PostgreSQL")


@contextmanager
def application(url: str) -> Iterator[Flask]:
    """The application on that database, whatever state it is in."""
    app = create_app(read_settings(ENVIRONMENT | {"DATABASE_URL": url}))
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


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
