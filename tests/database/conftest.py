"""Databases in which nothing is."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import new_postgres_database
from tests.database.upgraded import needs_postgres


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=needs_postgres)])
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database in which nothing is, as ``DATABASE_URL`` would name it."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'new.db'}"
        return
    with new_postgres_database() as url:
        yield url


@pytest.fixture
def new_postgres() -> Iterator[str]:
    with new_postgres_database() as url:
        yield url
