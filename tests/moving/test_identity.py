"""Two people of another system may have one address; they never become one account."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app.extensions import db
from app.models import ImportedAccount, User
from app.moving import importing
from app.users import closing
from tests.moving.conftest import Write, everybody, outcomes

Report = Callable[..., list[dict[str, Any]]]

# One row of each system that has no username there.
WITHOUT_NAMES = {
    "fastapi-users": "id",
    "supabase": "id",
    "firebase": "localId",
    "auth0": "user_id",
    "flask-security": "id",
}


@pytest.mark.parametrize("system", WITHOUT_NAMES)
@pytest.mark.parametrize("batch", [1, 500])
def test_the_second_person_with_an_address_is_refused_each_time(
    app: Flask,
    write: Write,
    report: Report,
    system: str,
    batch: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importing, "BATCH", batch)
    key = WITHOUT_NAMES[system]
    rows = [{key: "one", "email": "ada@example.com"}, {key: "two", "email": "Ada@example.com"}]
    file = write(*map(json.dumps, rows))

    first, again = report(file, "--from", system), report(file, "--from", system)

    assert outcomes(first) == [("created", None), ("refused", "email_taken")]
    assert outcomes(again) == [("skipped", "already_there"), ("refused", "email_taken")]
    assert [row["id"] for row in first] == [everybody(app)[0]["id"], None]
    assert again[1]["id"] is None
    assert len(everybody(app)) == 1


def test_another_person_with_the_address_is_refused_in_another_file_too(
    app: Flask, write: Write, report: Report
) -> None:
    report(write({"id": 1, "email": "ada@example.com"}), "--from", "fastapi-users")

    told = report(write({"id": 2, "email": "ada@example.com"}), "--from", "fastapi-users")

    assert outcomes(told) == [("refused", "email_taken")]


def test_the_address_alone_is_not_enough_where_usernames_may_be_derived(
    ada: User, write: Write, report: Report
) -> None:
    rows = {"email": "ada@example.com", "username": "countess"}, {"email": "ada@example.com"}

    assert outcomes(report(write(*rows), "--derive-usernames")) == [
        *[("refused", "email_taken")] * 2
    ]


def test_one_address_and_name_with_two_ids_are_two_people(
    ada: User, write: Write, report: Report
) -> None:
    row = {"email": "ada@example.com", "username": "ada"}

    told = report(write(row | {"id": 1}, row | {"id": 2}, row | {"id": 1}))

    assert outcomes(told) == [
        *[("skipped", "already_there"), ("refused", "email_taken"), ("skipped", "already_there")]
    ]


def test_an_id_is_the_same_as_a_number_and_as_a_text(write: Write, report: Report) -> None:
    row = {"email": "ada@example.com"}

    report(write(row | {"id": 7}), "--from", "fastapi-users")
    told = report(write("id,email", "7,ada@example.com", name="u.csv"), "--from", "fastapi-users")

    assert outcomes(told) == [("skipped", "already_there")]


def test_somebody_who_took_another_name_since_is_still_known_by_the_id(
    app: Flask, write: Write, report: Report
) -> None:
    file = write({"id": 7, "email": "ada@example.com"})
    report(file, "--from", "fastapi-users")
    with app.app_context():
        user = db.session.scalars(select(User)).one()
        user.username = user.username_key = "countess"
        db.session.commit()

    assert outcomes(report(file, "--from", "fastapi-users")) == [("skipped", "already_there")]


def test_who_somebody_was_goes_when_the_account_is_erased(
    app: Flask, write: Write, report: Report
) -> None:
    report(write({"id": 7, "email": "ada@example.com"}), "--from", "fastapi-users")
    with app.app_context():
        assert len(db.session.scalars(select(ImportedAccount)).all()) == 1

        closing.erase(db.session.scalars(select(User)).one(), actor=None)

        assert db.session.scalars(select(ImportedAccount)).all() == []
