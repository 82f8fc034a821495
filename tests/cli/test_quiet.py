"""What a command logs does not cut through its answer."""

import json
import logging
import re
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner
from flask import Flask
from flask.cli import FlaskGroup

from app.cli.quiet import log_held_back
from app.cli.refusals import LoggedCommand, OperatorCommand
from app.features.clashes import COMMANDS_OF_FLASK
from app.models import User
from tests.cli.every_command import every_command

log = logging.getLogger("tests.noise")


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What reaches the handlers of the root, whose level is INFO as in production."""
    written: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            written.append(record.getMessage())

    root = logging.getLogger()
    before = root.level
    monkeypatch.setattr(root, "handlers", [Kept()])
    root.setLevel(logging.INFO)
    yield written
    root.setLevel(before)


def speak() -> None:
    log.info("normal")
    log.warning("odd")
    click.echo("the answer")


@pytest.mark.parametrize(
    ("command", "arguments", "logged"),
    [
        (OperatorCommand, [], ["odd"]),
        (OperatorCommand, ["--verbose"], ["normal", "odd"]),
        (LoggedCommand, [], ["normal", "odd"]),
    ],
)
def test_a_command_logs_from_warning_on_unless_it_is_told_otherwise(
    lines: list[str], command: type[OperatorCommand], arguments: list[str], logged: list[str]
) -> None:
    result = CliRunner().invoke(command("speak", callback=speak), arguments)

    assert (result.stdout, lines) == ("the answer\n", logged)
    log.info("afterwards")
    assert lines[-1] == "afterwards"


def test_the_answer_is_alone_on_standard_output(app: Flask, ada: User, lines: list[str]) -> None:
    run = app.test_cli_runner().invoke

    deactivated = run(args=["users", "deactivate", "ada", "--json"])

    assert json.loads(deactivated.stdout)["is_active"] is False
    assert deactivated.stderr == ""
    assert lines == []


def test_a_line_that_is_logged_while_a_bar_is_shown_waits_for_its_end(lines: list[str]) -> None:
    with log_held_back():
        log.warning("in between")
        assert lines == []

    assert lines == ["in between"]


def test_times_in_tables_carry_their_zone(app: Flask, ada: User) -> None:
    run = app.test_cli_runner().invoke
    run(args=["users", "deactivate", "ada"])

    for listing in (["users", "list"], ["audit", "list"]):
        moment = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ"
        output = run(args=listing).stdout
        assert re.search(moment, output), output


def test_help_lists_no_commands_of_libraries(app: Flask) -> None:
    listed = CliRunner().invoke(FlaskGroup(create_app=lambda: app), ["--help"]).output

    assert "users" in listed
    assert "openapi" not in listed
    assert "limiter" not in listed


def test_the_help_of_each_command_has_an_example(app: Flask) -> None:
    without = [
        path
        for path, command in every_command(app).items()
        if path[0] not in (*COMMANDS_OF_FLASK, "limiter", "openapi")
        and f"flask {' '.join(path)}" not in (command.help or "")
    ]

    assert without == []
