"""flask version"""

from flask import Flask

from app.version import VERSION


def test_it_prints_the_version_and_nothing_else(app: Flask) -> None:
    done = app.test_cli_runner().invoke(args=["version"])

    assert (done.exit_code, done.output) == (0, f"{VERSION}\n")


def test_its_help_says_how_to_ask_a_server_that_runs(app: Flask) -> None:
    done = app.test_cli_runner().invoke(args=["version", "--help"])

    assert done.exit_code == 0
    assert "GET /healthz" in done.output
    assert "flask --version" in done.output
