"""HIDE_ACCOUNT_EXISTENCE: registration tells nobody who has an account"""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from app.extensions import db
from app.models import User
from app.security.passwords import hashing
from tests.factories import API, PASSWORD, log_in, make_user, problem, refused_fields
from tests.mailbox import Mailbox


def register(client: FlaskClient, **fields: Any) -> TestResponse:
    account = {"email": "new@example.com", "username": "newcomer", "password": PASSWORD}
    return client.post(f"{API}/auth/register", json=account | fields)


def accounts(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count(User.id))) or 0


@pytest.fixture(autouse=True)
def hidden(set_settings: Callable[..., None]) -> None:
    set_settings(hide_account_existence=True)


def test_a_new_and_a_taken_address_are_answered_alike(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    new = register(client)
    taken = register(client, email="ADA@example.com", username="another")

    assert (new.status_code, new.data.strip()) == (202, b"{}")
    assert (taken.status_code, taken.data) == (new.status_code, new.data)
    different = {"X-Request-ID", "Date"}
    assert [header for header in new.headers if header[0] not in different] == [
        header for header in taken.headers if header[0] not in different
    ]
    assert "Location" not in new.headers
    assert accounts(app) == 2


def test_a_new_user_gets_the_link_and_can_log_in(client: FlaskClient, mailbox: Mailbox) -> None:
    register(client)

    (mail,) = mailbox.deliver()

    assert (mail.to, mail.page) == ("new@example.com", "verify-email")
    verified = client.post(f"{API}/auth/email/verify", json={"token": mail.token})
    assert verified.status_code == 204
    credentials = {"username": "newcomer", "password": PASSWORD}
    assert client.post(f"{API}/auth/login", json=credentials).status_code == 200


def test_the_owner_of_a_taken_address_is_told_with_a_link_for_a_new_password(
    client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    register(client, email=ada.email)

    (mail,) = mailbox.deliver()

    assert (mail.to, mail.subject) == (ada.email, "You have an account at User System already")
    assert mail.page == "reset-password"
    body = {"token": mail.token, "new_password": "a new day begins"}
    assert client.post(f"{API}/auth/password/reset", json=body).status_code == 204
    log_in(client, ada, "a new day begins")


def test_the_owner_is_told_twice_at_most(client: FlaskClient, ada: User, mailbox: Mailbox) -> None:
    for number in range(20):
        register(client, email=ada.email, username=f"newcomer{number}")

    assert len(mailbox.deliver()) == 2


def test_the_owner_is_told_in_the_own_language(
    app: Flask, client: FlaskClient, mailbox: Mailbox
) -> None:
    make_user(app, username="bob", email="bob@example.com", locale="zh")

    register(client, email="bob@example.com")

    (mail,) = mailbox.deliver()
    assert any("\u4e00" <= character <= "\u9fff" for character in mail.subject)


def test_an_attempt_changes_nothing_about_the_account(
    client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    register(client, email=ada.email, password="the password of somebody else")

    mailbox.deliver()

    refused = client.post(
        f"{API}/auth/login",
        json={"username": "ada", "password": "the password of somebody else"},
    )
    assert problem(refused) == (401, "invalid_credentials")
    log_in(client, ada)


def test_a_taken_username_is_told_whether_or_not_the_address_is_taken(
    app: Flask, client: FlaskClient, ada: User, bob: User, mailbox: Mailbox
) -> None:
    new = register(client, username="ada")
    taken = register(client, username="ADA", email=bob.email)
    own = register(client, username="ada", email=ada.email)

    assert [problem(answer) for answer in (new, taken, own)] == [(400, "username_taken")] * 3
    assert new.json["detail"] == taken.json["detail"] == own.json["detail"]
    assert mailbox.deliver() == []
    assert accounts(app) == 2


def test_what_is_wrong_with_a_field_is_told_in_both(client: FlaskClient, ada: User) -> None:
    answers = (
        register(client, password="short"),
        register(client, email=ada.email, password="short"),
    )

    assert [refused_fields(answer) for answer in answers] == [
        {"#/password": "password_too_short"}
    ] * 2


def test_a_password_is_hashed_once_for_new_and_taken(
    client: FlaskClient, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    real = hashing.hash
    monkeypatch.setattr(hashing, "hash", lambda word: hashed.append(word) or real(word))

    register(client, email=ada.email)
    after_taken = len(hashed)
    register(client)

    assert (after_taken, len(hashed)) == (1, 2)


def test_both_write_to_the_same_end_and_neither_reads_more_than_the_other_by_much(
    client: FlaskClient, ada: User, statements: list[str]
) -> None:
    statements.clear()
    register(client)
    for_new = list(statements)
    statements.clear()

    register(client, email=ada.email, username="another")

    assert abs(len(statements) - len(for_new)) <= 1
    for executed in (for_new, statements):
        assert executed[0].startswith("INSERT INTO users")
        assert executed[-1].startswith("INSERT INTO outbox_messages")


def test_without_the_setting_a_taken_address_is_told(
    client: FlaskClient, ada: User, mailbox: Mailbox, set_settings: Callable[..., None]
) -> None:
    set_settings(hide_account_existence=False)

    response = register(client, email=ada.email)

    assert problem(response) == (400, "email_taken")
    assert mailbox.deliver() == []
