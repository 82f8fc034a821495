"""Whatever a command is given, it ends in a sentence and an exit status: every command there is."""

from pathlib import Path

import pytest
from flask import Flask

from tests.cli.every_command import Commands, complaints, end, every_command
from tests.factories import make_user

NO_TEXT = "caf\udce9"
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
LATIN_1 = {"PYTHONIOENCODING": "latin-1"}


@pytest.fixture
def commands(app: Flask) -> Commands:
    return every_command(app)


@pytest.fixture
def database(app: Flask, database_url: str) -> str:
    if database_url.startswith("postgresql"):
        pytest.skip("what is given does not depend on the database, and it takes long")
    make_user(app, username="ada", email="ada@example.com", full_name="Ада 世界 é")
    return database_url


def test_every_command_is_found(commands: Commands) -> None:
    assert {("users", "import"), ("db", "upgrade"), ("routes",), ("doctor",)} < commands.keys()


@pytest.mark.parametrize("given", [NO_TEXT, "0001-01-01T00:00:00+14:00"])
def test_odd_arguments(commands: Commands, database: str, tmp_path: Path, given: str) -> None:
    assert complaints(end(commands, tmp_path, given, DATABASE_URL=database)) == []


# Standard input and the terminal in one go, as what goes wrong with each can be told apart.
@pytest.mark.parametrize(
    ("stdin", "terminal"),
    [("fffe00d8", ASCII), ("closed", LATIN_1)],
    ids=["no text, ASCII", "closed, Latin-1"],
)
def test_odd_standard_input_and_a_terminal_that_is_not_utf_8(
    commands: Commands, database: str, tmp_path: Path, stdin: str, terminal: dict[str, str]
) -> None:
    ended = end(commands, tmp_path, stdin=stdin, DATABASE_URL=database, **terminal)

    assert complaints(ended) == []


@pytest.mark.parametrize("stdout", ["closed", "broken", "full"])
def test_standard_output_that_takes_nothing(
    commands: Commands, database: str, tmp_path: Path, stdout: str
) -> None:
    ended = end(commands, tmp_path, stdout=stdout, DATABASE_URL=database)

    # Who closed the pipe has seen enough: click says nothing then.
    said = {path: done for path, done in ended.items() if done["stderr"] or stdout == "full"}
    assert complaints(said) == []
