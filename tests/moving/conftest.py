"""Commands, files and what is in the database afterwards."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import select

from app.extensions import db
from app.models import User

Run = Callable[..., Result]
Write = Callable[..., Path]


@pytest.fixture
def run(app: Flask) -> Run:
    """Run a command of ``flask``; it has to succeed unless ``fails`` is said."""

    def command(*arguments: str | Path, fails: bool = False) -> Result:
        result = app.test_cli_runner().invoke(args=[str(argument) for argument in arguments])
        assert (result.exit_code != 0) == fails, result.output
        if fails:
            assert isinstance(result.exception, SystemExit), result.exception
        return result

    return command


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A file of rows: JSON Lines of objects, or text as it is."""

    def written(*rows: dict[str, Any] | str, name: str = "accounts.jsonl") -> Path:
        path = tmp_path / name
        lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return written


@pytest.fixture
def report(run: Run, tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    """Import a file, and return what is reported of each row."""

    def imported(file: Path, *options: str) -> list[dict[str, Any]]:
        told = tmp_path / "report.jsonl"
        run("users", "import", file, "--report", told, *options)
        return [json.loads(line) for line in told.read_text("utf-8").splitlines()]

    return imported


def everybody(app: Flask) -> list[dict[str, Any]]:
    """All rows of the table, by id."""
    columns = User.__table__.columns
    with app.app_context():
        rows = db.session.execute(select(*columns).order_by(User.id))
        return [dict(row._mapping) for row in rows]


def outcomes(told: list[dict[str, Any]]) -> list[tuple[str, str | None]]:
    return [(row["outcome"], row["reason"]) for row in told]
