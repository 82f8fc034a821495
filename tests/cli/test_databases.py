"""Every command ends in a sentence and an exit status, whatever DATABASE_URL leads to."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy
from flask import Flask

from tests.cli.every_command import Commands, complaints, end, every_command
from tests.conftest import HAS_POSTGRES, new_postgres_database

# These do not look at the database.
WITHOUT_ONE = {"keys", "openapi", "passwords", "routes", "shell"}
# They would make nothing of a broken database, and so may not say that they did.
SAMPLE = (("db", "upgrade"), ("users", "list"), ("users", "create"), ("audit", "list"))
THEIRS = "CREATE TABLE users (id integer, name text)"


@pytest.fixture
def commands(app: Flask, database_url: str) -> Commands:
    if database_url.startswith("postgresql"):
        pytest.skip("the tests bring their own database, and they take long")
    found = every_command(app)
    return {path: command for path, command in found.items() if path[0] not in WITHOUT_ONE}


def foreign(url: str) -> str:
    """A database in which somebody else has a table of users."""
    engine = sqlalchemy.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text(THEIRS))
        connection.execute(sqlalchemy.text("INSERT INTO users VALUES (1, 'Ada')"))
    engine.dispose()
    return url


@contextmanager
def broken(kind: str, tmp_path: Path) -> Iterator[str]:
    if "PostgreSQL" in kind and not HAS_POSTGRES:
        pytest.skip("no PostgreSQL")
    match kind:
        case "away":
            yield "postgresql://postgres@127.0.0.1:1/x"
        case "foreign":
            yield foreign(f"sqlite:///{tmp_path / 'theirs.db'}")
        case "no database":
            (tmp_path / "notes.db").write_text("these are notes " * 500)
            yield f"sqlite:///{tmp_path / 'notes.db'}"
        case "a folder":
            yield f"sqlite:///{tmp_path}"
        case "foreign PostgreSQL":
            with new_postgres_database() as url:
                yield foreign(url)
        case _:
            with new_postgres_database() as url:
                yield f"{url}_gone"


@pytest.mark.parametrize("kind", ["away", "foreign", "no database"])
def test_a_database_that_is_away_or_is_somebody_elses(
    commands: Commands, kind: str, tmp_path: Path
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()

    with broken(kind, tmp_path) as url:
        ended = end(commands, folder, DATABASE_URL=url)

    assert complaints(ended) == []
    for path in SAMPLE:
        assert ended[path]["status"] == 1, ended[path]


@pytest.mark.parametrize("kind", ["foreign PostgreSQL", "no such PostgreSQL", "a folder"])
def test_other_ways_in_which_a_database_is_broken(
    commands: Commands, kind: str, tmp_path: Path
) -> None:
    """The driver says it in other words. One place makes the sentences of all commands."""
    folder = tmp_path / "files"
    folder.mkdir()

    with broken(kind, tmp_path) as url:
        ended = end({path: commands[path] for path in SAMPLE}, folder, DATABASE_URL=url)

    assert complaints(ended) == []
    assert {done["status"] for done in ended.values()} == {1}
