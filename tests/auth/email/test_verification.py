"""POST /auth/email/verify and /auth/email/resend, and REQUIRE_VERIFIED_EMAIL"""

from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import clock
from app.extensions import db
from app.models import OneTimeToken, User
from app.security import one_time_tokens
from app.security.one_time_tokens import Purpose
from tests.factories import API, PASSWORD, bearer, log_in, make_user, me, problem
from tests.mailbox import Mailbox

ACCOUNT = {"email": "ada@example.com", "username": "ada", "password": PASSWORD}


@pytest.fixture
def ada(app: Flask) -> User:
    """Somebody whose address nobody has confirmed."""
    return make_user(app, username="ada", email="ada@example.com")


def register(client: FlaskClient, language: str = "en") -> TestResponse:
    return client.post(f"{API}/auth/register", json=ACCOUNT, headers={"Accept-Language": language})


def verify(client: FlaskClient, token: str) -> TestResponse:
    return client.post(f"{API}/auth/email/verify", json={"token": token})


def resend(client: FlaskClient, email: str) -> TestResponse:
    return client.post(f"{API}/auth/email/resend", json={"email": email})


def is_verified(client: FlaskClient, user: User) -> bool:
    verified: bool = me(client, log_in(client, user)["access_token"]).json["email_verified"]
    return verified


def test_registering_mails_a_link_that_confirms_the_address(
    client: FlaskClient, mailbox: Mailbox
) -> None:
    registered = register(client)
    (mail,) = mailbox.deliver()

    response = verify(client, mail.token)

    assert (mail.to, mail.page) == ("ada@example.com", "verify-email")
    assert registered.json["email_verified"] is False
    assert (response.status_code, response.data) == (204, b"")
    pair = client.post(f"{API}/auth/login", json={"username": "ada", "password": PASSWORD}).json
    assert me(client, pair["access_token"]).json["email_verified"] is True


def test_the_mail_is_in_the_language_of_who_registered(
    client: FlaskClient, mailbox: Mailbox
) -> None:
    register(client, language="zh-CN, en;q=0.5")

    (mail,) = mailbox.deliver()

    assert any("\u4e00" <= character <= "\u9fff" for character in mail.subject)


def test_nothing_is_mailed_for_a_refused_registration(
    client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    response = register(client)

    assert problem(response) == (400, "email_taken")
    assert mailbox.deliver() == []


def test_the_link_works_once(client: FlaskClient, mailbox: Mailbox) -> None:
    register(client)
    token = mailbox.token("verify-email")
    verify(client, token)

    response = verify(client, token)

    assert problem(response) == (400, "invalid_link")


def test_the_link_is_good_for_a_day(client: FlaskClient, mailbox: Mailbox) -> None:
    with time_machine.travel(clock.now() - timedelta(hours=24, seconds=1)):
        register(client)
        token = mailbox.token("verify-email")

    response = verify(client, token)

    assert problem(response) == (400, "invalid_link")


def test_a_get_confirms_nothing_and_burns_nothing(client: FlaskClient, mailbox: Mailbox) -> None:
    register(client)
    token = mailbox.token("verify-email")

    response = client.get(f"{API}/auth/email/verify?token={token}")

    assert problem(response) == (405, "method_not_allowed")
    assert verify(client, token).status_code == 204


def test_verifying_signs_nobody_out(client: FlaskClient, mailbox: Mailbox) -> None:
    register(client)
    pair = client.post(f"{API}/auth/login", json={"username": "ada", "password": PASSWORD}).json

    verify(client, mailbox.token("verify-email"))

    assert me(client, pair["access_token"]).status_code == 200


def test_a_link_to_an_address_that_was_left_confirms_nothing(
    client: FlaskClient, mailbox: Mailbox
) -> None:
    register(client)
    token = mailbox.token("verify-email")
    pair = client.post(f"{API}/auth/login", json={"username": "ada", "password": PASSWORD}).json
    client.post(
        f"{API}/auth/email/change",
        json={"new_email": "countess@example.com"},
        headers=bearer(pair["access_token"]),
    )
    confirm = mailbox.token("confirm-email")
    client.post(f"{API}/auth/email/change/confirm", json={"token": confirm})

    response = verify(client, token)

    assert problem(response) == (400, "invalid_link")


# Once more


def test_the_link_can_be_asked_for_once_more_and_the_newest_alone_works(
    client: FlaskClient, mailbox: Mailbox
) -> None:
    register(client)
    first = mailbox.token("verify-email")

    response = resend(client, "ADA@example.com")

    assert (response.status_code, response.json) == (202, {})
    second = mailbox.token("verify-email")
    assert problem(verify(client, first)) == (400, "invalid_link")
    assert verify(client, second).status_code == 204


def test_of_twenty_requests_at_most_two_mails_come(client: FlaskClient, mailbox: Mailbox) -> None:
    register(client)
    for _ in range(20):
        resend(client, "ada@example.com")

    assert len(mailbox.deliver()) == 2


@pytest.mark.parametrize("email", ["ada@example.com", "bob@example.com", "nobody@x.org", "none"])
def test_verified_unverified_and_unknown_are_answered_alike(
    app: Flask, client: FlaskClient, ada: User, email: str
) -> None:
    make_user(app, username="bob", email="bob@example.com", email_verified=True)

    response = resend(client, email)

    assert (response.status_code, response.data.strip()) == (202, b"{}")


def test_the_same_statements_are_executed_for_verified_unverified_and_unknown(
    app: Flask, client: FlaskClient, ada: User, statements: list[str]
) -> None:
    make_user(app, username="bob", email="bob@example.com", email_verified=True)
    executed = []
    for email in ("ada@example.com", "bob@example.com", "nobody@example.com"):
        statements.clear()

        resend(client, email)

        executed.append(list(statements))
    assert executed[0] == executed[1] == executed[2]


def test_who_is_verified_and_who_is_unknown_get_no_mail(
    app: Flask, client: FlaskClient, mailbox: Mailbox
) -> None:
    make_user(app, username="bob", email="bob@example.com", email_verified=True)
    resend(client, "bob@example.com")
    resend(client, "nobody@example.com")

    assert mailbox.deliver() == []


# REQUIRE_VERIFIED_EMAIL


def test_an_unverified_user_may_not_log_in_where_it_is_required(
    client: FlaskClient, ada: User, set_settings: Callable[..., None]
) -> None:
    set_settings(require_verified_email=True)

    response = client.post(f"{API}/auth/login", json={"username": "ada", "password": PASSWORD})

    assert problem(response) == (403, "email_not_verified")


def test_only_who_knows_the_password_learns_that_the_address_is_unverified(
    client: FlaskClient, ada: User, set_settings: Callable[..., None]
) -> None:
    set_settings(require_verified_email=True)

    response = client.post(f"{API}/auth/login", json={"username": "ada", "password": "wrong"})

    assert problem(response) == (401, "invalid_credentials")


def test_the_token_endpoint_says_invalid_grant_to_an_unverified_user(
    client: FlaskClient, ada: User, set_settings: Callable[..., None]
) -> None:
    set_settings(require_verified_email=True)
    form = {"grant_type": "password", "username": "ada", "password": PASSWORD}

    response = client.post(f"{API}/auth/token", data=form)

    assert problem(response) == (400, "invalid_grant")


def test_who_confirmed_the_address_may_log_in(
    client: FlaskClient, mailbox: Mailbox, set_settings: Callable[..., None]
) -> None:
    set_settings(require_verified_email=True)
    register(client)
    verify(client, mailbox.token("verify-email"))

    response = client.post(f"{API}/auth/login", json={"username": "ada", "password": PASSWORD})

    assert response.status_code == 200


def test_a_reset_opens_the_door_as_well(
    client: FlaskClient, ada: User, mailbox: Mailbox, set_settings: Callable[..., None]
) -> None:
    set_settings(require_verified_email=True)
    client.post(f"{API}/auth/password/forgot", json={"email": ada.email})
    token = mailbox.token("reset-password")
    client.post(
        f"{API}/auth/password/reset", json={"token": token, "new_password": "a new day begins"}
    )

    assert is_verified_with(client, "a new day begins")


def is_verified_with(client: FlaskClient, password: str) -> bool:
    response = client.post(f"{API}/auth/login", json={"username": "ada", "password": password})
    assert response.status_code == 200, response.text
    verified: bool = me(client, response.json["access_token"]).json["email_verified"]
    return verified


def test_without_the_requirement_an_unverified_user_logs_in(client: FlaskClient, ada: User) -> None:
    assert not is_verified(client, ada)


def test_a_token_for_an_address_that_the_account_has_left_confirms_nothing(
    app: Flask, client: FlaskClient
) -> None:
    user = make_user(app, username="ada", email="ada@example.com", email_verified=False)
    with app.app_context():
        token = one_time_tokens.issue(user.id, Purpose.EMAIL_VERIFICATION, email="left@example.com")
        db.session.commit()

    response = verify(client, token)

    assert problem(response) == (400, "invalid_link")
    assert is_verified(client, user) is False
    with app.app_context():
        assert db.session.scalars(db.select(OneTimeToken.used_at)).all() == [None]
