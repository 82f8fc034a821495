"""Every command that ``flask --help`` lists, called with what it must be given; how each ends."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from flask import Flask
from flask.cli import FlaskGroup, ScriptInfo

from tests.conftest import ENVIRONMENT
from tests.servers import ROOT, environment_for

Command = tuple[str, ...]
Commands = dict[Command, click.Command]
# What answers a question, in hex: y and a new line.
YES = "790a"
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


def every_command(app: Flask) -> Commands:
    """Those that ``flask --help`` lists, and those below them."""
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


def takes(command: click.Command, given: str, file: Path) -> bool:
    return given in arguments(command, file, given)


def end(
    commands: Commands,
    tmp_path: Path,
    given: str | None = None,
    stdin: str = YES,
    stdout: str = "",
    **environment: str,
) -> dict[Command, dict[str, Any]]:
    """How each of them ends: with ``given``, each of those that take text."""
    cases = []
    called = {
        path: command
        for path, command in commands.items()
        if path not in ENDLESS | WRITING and (given is None or takes(command, given, tmp_path))
    }
    for number, (path, command) in enumerate(called.items()):
        # A pipe of rows that is new for each, as an export refuses to overwrite.
        file = tmp_path / f"accounts{number}.jsonl"
        if path == ("users", "import"):
            file.write_text('{"email": "ada@example.org"}\n')
        words = arguments(command, file, given)
        # A shell would look for a variable of that name.
        typed = "" if path == ("shell",) and stdin == YES else stdin
        cases.append({"args": [*path, *words], "stdin": typed, "stdout": stdout})
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
