"""flask users export"""

import csv
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete

from app.extensions import db
from app.models import User
from app.moving import exporting
from tests.factories import make_user
from tests.moving.conftest import Run, everybody

ODD = {
    "full_name": '=HYPERLINK("http://evil.test")',
    "bio": "one\r\ntwo,\t\"three\"\n'four' — 世界 🌍 \u2028",
    "avatar_url": "https://example.com/a?b=c,d",
    "locale": "zh",
    "email_verified": True,
    "created_at": datetime(2020, 2, 29, 23, 59, 59, 999999, UTC),
    "updated_at": datetime(2021, 1, 1, tzinfo=UTC),
    "deletion_due_at": datetime(2031, 1, 1, 0, 0, 0, 1, UTC),
}


@pytest.fixture
def people(app: Flask) -> list[dict[str, Any]]:
    make_user(app, username="ada", email="ada@example.com", **ODD)
    make_user(app, username="Ådne", email="bob@example.com", password_hash=None, active=False)
    make_user(app, username="grace", email="grace@example.com", superuser=True, full_name="'=x")
    make_user(app, username="eve", email="eve@example.com", bio="", full_name="'")
    return everybody(app)


def empty(app: Flask) -> None:
    with app.app_context():
        db.session.execute(delete(User))
        db.session.commit()


def without_id(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "id"} for row in rows]


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_what_is_exported_and_imported_again_is_the_same(
    app: Flask, run: Run, tmp_path: Path, people: list[dict[str, Any]], form: str
) -> None:
    file = tmp_path / f"accounts.{form}"
    run("users", "export", file, "--with-password-hashes")
    empty(app)

    result = run("users", "import", file, "--allow-superusers")

    assert "created: 4" in result.output
    assert without_id(everybody(app)) == without_id(people)


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_hashes_are_handed_out_only_where_that_is_asked_for(
    run: Run, tmp_path: Path, people: list[dict[str, Any]], form: str
) -> None:
    file = tmp_path / f"accounts.{form}"

    run("users", "export", file)

    assert "hs384" not in file.read_text("utf-8")
    assert "hashed_password" not in file.read_text("utf-8")


def test_the_file_is_new_and_for_the_operator_alone(
    run: Run, tmp_path: Path, people: list[dict[str, Any]]
) -> None:
    file = tmp_path / "accounts.jsonl"
    run("users", "export", file)
    mode = file.stat().st_mode & 0o777
    before = file.read_bytes()

    again = run("users", "export", file, fails=True)

    assert mode == 0o600
    assert "already" in again.output
    assert file.read_bytes() == before


def test_no_cell_is_a_formula(run: Run, tmp_path: Path, people: list[dict[str, Any]]) -> None:
    file = tmp_path / "accounts.csv"

    run("users", "export", file, "--with-password-hashes")

    with file.open(encoding="utf-8", newline="") as opened:
        cells = [cell for row in csv.reader(opened) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


def test_many_come_in_chunks_the_oldest_first(
    app: Flask, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "CHUNK", 3)
    for number in range(10):
        make_user(app, username=f"p{number}x", email=f"p{number}@example.com", password_hash=None)
    file = tmp_path / "accounts.jsonl"

    result = run("users", "export", file)

    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert [row["username"] for row in rows] == [f"p{number}x" for number in range(10)]
    assert "Wrote 10 accounts" in result.output


def test_half_an_export_is_not_left_behind(
    app: Flask, tmp_path: Path, people: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(**_: Any) -> Any:
        yield {"id": 1}
        raise RuntimeError

    monkeypatch.setattr(exporting, "accounts", dies)
    file = tmp_path / "accounts.jsonl"

    result = app.test_cli_runner().invoke(args=["users", "export", str(file)])

    assert isinstance(result.exception, RuntimeError)
    assert not file.exists()


def test_the_format_must_be_known(run: Run, tmp_path: Path) -> None:
    result = run("users", "export", tmp_path / "accounts.txt", fails=True)

    assert "Use --format" in result.output
