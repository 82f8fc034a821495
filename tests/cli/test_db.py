"""The commands of Flask-Migrate end as our own do: in a sentence and an exit status."""

import subprocess
from pathlib import Path

import flask_migrate
import pytest
from flask import Flask

from app import create_app, read_settings
from app.extensions import db
from tests.cli.every_command import every_command
from tests.conftest import ENVIRONMENT
from tests.servers import BIN, ROOT, environment_for

FLASK_DB = [BIN / "flask", "--app", ROOT / "wsgi.py", "db"]
PRINTING = ["current", "history", "heads", "check", "show", "list-templates"]
UNREACHABLE = "postgresql://postgres@127.0.0.1:1/nothing"


@pytest.fixture
def database(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'app.db'}"
    app = create_app(read_settings(ENVIRONMENT | {"DATABASE_URL": url}))
    with app.app_context():
        flask_migrate.upgrade()
        db.engine.dispose()
    return url


def flask_db(
    *arguments: str, redirection: str = "", database: str
) -> subprocess.CompletedProcess[str]:
    """As a shell runs the command, with the standard output that the redirection gives it."""
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirection}', "sh", *FLASK_DB, *arguments],
        env=environment_for(**ENVIRONMENT, DATABASE_URL=database),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("command", PRINTING)
def test_a_closed_standard_output_is_no_error(database: str, command: str) -> None:
    ended = flask_db(command, redirection=">&-", database=database)

    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("command", PRINTING)
def test_output_that_cannot_be_written_is_an_error(database: str, command: str) -> None:
    ended = flask_db(command, redirection=">/dev/full", database=database)

    assert ended.returncode == 1
    assert ended.stderr.endswith("Error: Cannot write the output: No space left on device.\n")
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("folder", [" ", "x:y", "%s%(x)s", "/dev/full", "caf\udce9"])
def test_a_folder_without_migrations_is_refused(
    app: Flask, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if ":" in folder or "%" in folder:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "env.py").touch()
    runner = app.test_cli_runner()
    # The one makes a folder, and the other has none.
    others = {("db", "init"), ("db", "list-templates")}
    commands = [path[1] for path in every_command(app).keys() - others if path[0] == "db"]

    for command in commands:
        option = f"--directory={folder}"
        for words in (["db", command, option], ["db", option, command]):
            ended = runner.invoke(args=words)
            assert ended.exit_code == 2, (words, ended.output, ended.exception)
            assert "Error: " in ended.output


@pytest.mark.parametrize(
    "words",
    [
        *(["downgrade", ""], ["edit", ""], ["merge", "0001", ""], ["show", ""], ["stamp", ""]),
        *(["upgrade", ""], ["revision", "--head="], ["history", "-r", "a:b:c"]),
    ],
    ids=" ".join,
)
def test_what_is_no_revision_is_refused(app: Flask, words: list[str]) -> None:
    ended = app.test_cli_runner().invoke(args=["db", *words])

    assert ended.exit_code == 2
    assert "is not a revision. Write one like 0016" in ended.output


def test_output_is_printed_where_it_can_be(database: str) -> None:
    assert flask_db("current", database=database).stdout.endswith(" (head)\n")


@pytest.mark.parametrize(
    ("arguments", "beginning"),
    [
        (["current"], "Cannot run flask db current: the database does not answer"),
        (["stamp", "head"], "Cannot run flask db stamp: the database does not answer"),
        (["check"], "Cannot run flask db check: the database does not answer"),
        (["upgrade"], "Cannot upgrade: the database does not answer"),
    ],
)
def test_a_refusal_names_the_command(arguments: list[str], beginning: str) -> None:
    ended = flask_db(*arguments, database=UNREACHABLE)

    assert ended.returncode == 1
    assert ended.stderr.startswith(beginning)


def test_an_argument_that_is_not_text_is_named(database: str) -> None:
    ended = flask_db("upgrade", "caf\udce9", database=database)

    assert ended.returncode == 2
    assert "The revision is not text in UTF-8." in ended.stderr
