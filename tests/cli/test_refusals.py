"""Errors from outside become one sentence; errors of the program keep their traceback."""

import logging
from collections.abc import Callable
from functools import partial
from socket import getaddrinfo

import click
import pytest
import sqlalchemy
from click.testing import CliRunner
from flask import Flask
from flask.cli import FlaskGroup
from sqlalchemy.exc import InvalidRequestError

from app import create_app, read_settings
from app.cli.refusals import OperatorCommand, OperatorGroup
from app.database import engines
from app.extensions import db
from tests.conftest import ENVIRONMENT


def not_one() -> None:
    with db.engine.connect() as connection:
        connection.execute(sqlalchemy.text("SELECT 1 WHERE 1 = 0")).one()


OUR_OWN = {
    UnicodeEncodeError: partial("é".encode, "ascii"),
    UnicodeDecodeError: partial(b"\xff".decode, "utf-8"),
    OverflowError: partial(int, float("inf")),
    InvalidRequestError: not_one,
    KeyError: partial({}.__getitem__, "x"),
}


@pytest.mark.parametrize("error", OUR_OWN)
@pytest.mark.parametrize("is_grouped", [True, False])
def test_an_error_of_the_program_is_not_blamed_on_what_was_given(
    app: Flask, error: type[Exception], is_grouped: bool
) -> None:
    command = OperatorCommand("fail", callback=app_context(app, OUR_OWN[error]))
    group = OperatorGroup("all", commands={"fail": command}) if is_grouped else command

    result = CliRunner().invoke(group, ["fail"] if is_grouped else [])

    assert isinstance(result.exception, error)
    assert result.output == ""


@pytest.mark.parametrize("host", ["../x", "9" * 64, "caf\udce9"])
def test_a_host_with_a_name_that_none_can_have_is_refused_in_a_sentence(
    app: Flask, host: str
) -> None:
    """As ``flask run --host`` looks for it."""
    command = OperatorCommand("fail", callback=app_context(app, lambda: getaddrinfo(host, 80)))

    result = CliRunner().invoke(command)

    assert result.exit_code == 1
    assert result.output.startswith("Error: A host has a name that none can have: ")


def app_context(app: Flask, verb: Callable[[], object]) -> Callable[[], None]:
    def callback() -> None:
        with app.app_context():
            verb()

    return callback


@pytest.mark.parametrize("level", ["DEBUG", "INFO"])
def test_what_the_database_refused_has_its_traceback_in_the_log_when_one_debugs(
    app: Flask, caplog: pytest.LogCaptureFixture, level: str
) -> None:
    caplog.set_level(level, logger="app.cli.refusals")

    def callback() -> None:
        with app.app_context(), db.engine.connect() as connection:
            connection.execute(sqlalchemy.text("SELECT * FROM nowhere"))

    result = CliRunner().invoke(OperatorCommand("fail", callback=callback))

    (line,) = result.output.splitlines()
    assert line.startswith("Error: The database refused: ")
    assert "nowhere" in line
    logged = [record for record in caplog.records if record.name == "app.cli.refusals"]
    assert [record.levelno for record in logged] == [logging.DEBUG] * (level == "DEBUG")
    assert all(record.exc_info for record in logged)


def test_an_error_while_the_application_is_made_is_a_sentence_too(
    app: Flask, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_app: Flask) -> None:
        raise PermissionError(13, "Permission denied", "/srv/app.db")

    settings = read_settings(ENVIRONMENT | {"DATABASE_URL": database_url})
    monkeypatch.setattr(engines, "init_app", fail)

    result = CliRunner().invoke(
        FlaskGroup(create_app=lambda: create_app(settings), add_default_commands=False), ["users"]
    )

    assert (result.exit_code, result.output) == (1, "Error: /srv/app.db: Permission denied.\n")


@pytest.mark.parametrize("number", ["9" * 40, "-" + "9" * 40])
def test_a_number_beyond_every_id_names_no_mail(app: Flask, number: str) -> None:
    result = app.test_cli_runner().invoke(args=["outbox", "show", "--", number])

    assert (result.exit_code, result.output) == (1, f"Error: There is no mail {number}.\n")


def test_a_name_that_is_not_text_is_named(app: Flask) -> None:
    command = OperatorCommand(
        "greet", params=[click.Argument(["full_name"])], callback=lambda full_name: None
    )

    result = CliRunner().invoke(command, ["caf\udce9"])

    assert result.exit_code == 2
    assert "The full name is not text in UTF-8." in result.output
