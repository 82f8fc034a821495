"""Every option of every command, also those that may be left out, takes odd values for a sentence.

``test_kinds.py`` starts a process for each command, and gives it what it must have.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from flask import Flask

from tests.cli.every_command import ENDLESS, WRITING, Command, arguments, every_command
from tests.factories import make_user

ODD = [
    *(
        "",
        "caf\udce9",
        "9" * 25,
        "9" * 5000,
        "a" * 300,
        "-1",
        "²",
        "NaN",
        "1e309",
        "x\ny",
        "/dev/full",
    ),
    *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "postgresql://[::1"),
]


def options(app: Flask) -> Iterator[tuple[Command, click.Command, click.Option]]:
    for path, command in every_command(app).items():
        # Those of Flask-Migrate cost a second each, and are given odd values by test_kinds.py.
        if path in ENDLESS | WRITING or path[0] in ("db", "openapi"):
            continue
        for option in command.params:
            if isinstance(option, click.Option) and not option.is_flag:
                yield path, command, option


def test_every_option_takes_odd_values_for_a_sentence(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_user(app, username="ada", email="ada@example.com")
    (tmp_path / "accounts.jsonl").write_text("")
    runner = app.test_cli_runner()
    ended: dict[str, Any] = {}

    for path, command, option in options(app):
        for value in ODD:
            needed = arguments(command, tmp_path / "accounts.jsonl")
            words = [*path, *needed, f"{option.opts[0]}={value}"]
            result = runner.invoke(args=words, input="")
            if result.exception is not None and not isinstance(result.exception, SystemExit):
                ended[" ".join([*path, option.opts[0], value[:30]])] = result.exception

    assert ended == {}
