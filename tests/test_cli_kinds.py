"""Whatever a command is given, it ends in a sentence and an exit status: every command there is."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from flask import Flask
from flask.cli import FlaskGroup, ScriptInfo

from tests.conftest import ENVIRONMENT
from tests.factories import make_user
from tests.serving import ROOT, environment_for

Command = tuple[str, ...]
NO_TEXT = "caf\udce9"
# A server runs until it is stopped, and an editor waits for somebody.
ENDLESS = {("run",), ("db", "edit"), ("outbox", "run")}
# These write into the checkout.
WRITING = {("db", "init"), ("db", "revision"), ("db", "migrate"), ("db", "merge")}


def leaves(group: click.Group, context: click.Context, path: Command) -> Iterator[Any]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from leaves(command, context, (*path, name))
        else:
            yield (*path, name), command


@pytest.fixture
def commands(app: Flask) -> dict[Command, click.Command]:
    """Every command that ``flask --help`` lists, and those below them."""
    group = FlaskGroup(create_app=lambda: app)
    with click.Context(group, obj=ScriptInfo(create_app=lambda: app)) as context:
        return dict(leaves(group, context, ()))


def arguments(command: click.Command, file: Path, given: str | None = None) -> list[str]:
    """What the command must be given, and ``given`` for everything that is text."""
    words: list[str] = []
    for parameter in command.params:
        is_flag = getattr(parameter, "is_flag", False)
        if isinstance(parameter, click.Option) and (is_flag or not parameter.required):
            continue
        word = given or "ada@example.com"
        if isinstance(parameter.type, click.types.IntParamType | click.IntRange):
            word = "1"
        elif isinstance(parameter.type, click.Path):
            word = str(file)
        elif isinstance(parameter.type, click.Choice):
            word = str(parameter.type.choices[0])
        if isinstance(parameter, click.Option):
            words.append(parameter.opts[0])
        words.append(word)
    return words


def end(
    commands: dict[Command, click.Command],
    tmp_path: Path,
    given: str | None = None,
    stdin: str = "",
    stdout: str = "",
    **environment: str,
) -> dict[Command, dict[str, Any]]:
    """How each of them ends."""
    cases = []
    called = {path: command for path, command in commands.items() if path not in ENDLESS | WRITING}
    for number, (path, command) in enumerate(called.items()):
        # A pipe of rows that is new for each, as an export refuses to overwrite.
        file = tmp_path / f"accounts{number}.jsonl"
        if path == ("users", "import"):
            file.write_text('{"email": "ada@example.org"}\n')
        words = arguments(command, file, given)
        cases.append({"args": [*path, *words], "stdin": stdin, "stdout": stdout})
    results = tmp_path / "results.json"
    variables = {key: value for key, value in ENVIRONMENT.items() if key != "APP_ENV"}
    subprocess.run(
        [sys.executable, "-m", "tests.forked_flask", results],
        input=json.dumps(cases),
        env=environment_for(**variables, APP_ENV="testing", PYTHONPATH=str(ROOT), **environment),
        # What a command writes ends up here.
        cwd=tmp_path,
        text=True,
        check=True,
        timeout=900,
    )
    return dict(zip(called, json.loads(results.read_text()), strict=True))


def complaints(ended: dict[Command, dict[str, Any]]) -> list[str]:
    """The commands that end otherwise than in a sentence and an exit status."""
    return [
        f"{' '.join(path)}: {done['status']}\n{done['stderr'][-1500:]}"
        for path, done in ended.items()
        # A shell shows what went wrong in what was typed, and goes on.
        if ("Traceback" in done["stderr"] + done["stdout"] and path != ("shell",))
        or (path == ("shell",) and done["status"] and "Traceback" in done["stderr"])
        or "Exception ignored" in done["stderr"]
        or done["status"] not in (0, 1, 2)
        or (done["status"] and not done["stderr"].strip() and not done["stdout"].strip())
    ]


@pytest.fixture
def database(app: Flask, database_url: str) -> str:
    if database_url.startswith("postgresql"):
        pytest.skip("what is given does not depend on the database, and it takes long")
    make_user(app, username="ada", email="ada@example.com", full_name="Ада 世界 é")
    return database_url


def test_every_command_is_found(commands: dict[Command, click.Command]) -> None:
    assert {("users", "import"), ("db", "upgrade"), ("routes",), ("doctor",)} < commands.keys()


@pytest.mark.parametrize("given", [NO_TEXT, "0001-01-01T00:00:00+14:00"])
def test_odd_arguments(
    commands: dict[Command, click.Command], database: str, tmp_path: Path, given: str
) -> None:
    assert complaints(end(commands, tmp_path, given, DATABASE_URL=database)) == []


@pytest.mark.parametrize("stdin", ["fffe00d8", "closed"])
def test_odd_standard_input(
    commands: dict[Command, click.Command], database: str, tmp_path: Path, stdin: str
) -> None:
    assert complaints(end(commands, tmp_path, stdin=stdin, DATABASE_URL=database)) == []


def test_standard_output_that_is_closed(
    commands: dict[Command, click.Command], database: str, tmp_path: Path
) -> None:
    ended = end(commands, tmp_path, stdin="790a", stdout="closed", DATABASE_URL=database)

    assert complaints({path: done for path, done in ended.items() if done["stderr"]}) == []


@pytest.mark.parametrize(
    "terminal",
    [
        {"PYTHONIOENCODING": "ascii"},
    ],
    ids=str,
)
def test_a_terminal_that_is_not_utf_8(
    commands: dict[Command, click.Command],
    database: str,
    tmp_path: Path,
    terminal: dict[str, str],
) -> None:
    ended = end(commands, tmp_path, stdin="790a", DATABASE_URL=database, **terminal)

    assert complaints(ended) == []
