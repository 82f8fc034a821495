"""How ``flask db-copy`` is told where to copy; tests/database/test_copying.py has the copying."""

import pytest
from click.testing import Result
from flask import Flask


def refusal(result: Result) -> str:
    assert result.exit_code != 0
    assert isinstance(result.exception, SystemExit), result.exception
    return result.stderr


def test_a_password_on_the_command_line_is_warned_of_and_never_repeated(app: Flask) -> None:
    url = "postgresql://postgres:hunter22@127.0.0.1:1/x"

    result = app.test_cli_runner().invoke(args=["db-copy", "--to", url])

    assert "can see the password of --to in the process list" in refusal(result)
    assert "hunter22" not in result.output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Name the target"),
        (["--to", "sqlite:////tmp/x.db", "--to-env", "TARGET_URL"], "Name the target"),
        (["--to-env", "TARGET_URL"], "TARGET_URL, which is not set"),
        (["--to-env", "PATH"], "PATH cannot be read as a URL"),
    ],
)
def test_the_target_is_named_once_and_by_something_that_is_there(
    app: Flask, monkeypatch: pytest.MonkeyPatch, arguments: list[str], sentence: str
) -> None:
    monkeypatch.delenv("TARGET_URL", raising=False)

    result = app.test_cli_runner().invoke(args=["db-copy", *arguments])

    assert sentence in refusal(result)
