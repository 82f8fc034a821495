"""Stories of a thief and an owner: the password that the thief knows.

Ada is the owner. The thief knows her password and is signed in; Bob's account
is another one that the thief has.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app import clock
from app.extensions import db
from app.models import OneTimeToken, User
from app.security.one_time_tokens import Purpose
from app.security.passwords import hashing
from tests.auth.rescuing import OLD, OWN, THIEFS, Rescue, Thief, cancel, holder_of, issue, reset
from tests.factories import API, PASSWORD, bearer, log_in, make_user, me, problem
from tests.mailbox import Mailbox


def test_the_stolen_password_is_dead_until_the_mailed_link_sets_a_new_one(
    client: FlaskClient, ada: User, thief: Thief, rescue: Rescue
) -> None:
    link = rescue()

    for identifier in ({"username": "ada"}, {"email": OLD}):
        assert problem(thief.log_in(**identifier)) == (401, "invalid_credentials")
    form = {"grant_type": "password", "username": "ada", "password": PASSWORD}
    granted = thief.client.post(f"{API}/auth/token", data=form)
    assert (granted.status_code, granted.json["code"]) == (400, "invalid_grant")
    assert reset(client, link).status_code == 204
    assert problem(thief.log_in()) == (401, "invalid_credentials")
    assert log_in(client, ada, OWN)


def test_a_login_is_answered_as_for_a_wrong_password_by_the_same_statements(
    client: FlaskClient,
    bob: User,
    thief: Thief,
    rescue: Rescue,
    set_settings: Callable[..., None],
    statements: list[str],
) -> None:
    rescue()
    set_settings(ratelimit_enabled=True)
    wrong = {"username": "bob", "password": "the wrong one"}
    statements.clear()
    expected = thief.post("/auth/login", wrong)
    for_wrong = list(statements)
    statements.clear()

    response = thief.log_in()

    assert statements == for_wrong
    assert {**response.json, "request_id": ""} == {**expected.json, "request_id": ""}
    assert response.headers["WWW-Authenticate"] == expected.headers["WWW-Authenticate"]


def test_a_login_costs_the_same_hash_as_with_a_wrong_password(
    thief: Thief, rescue: Rescue, monkeypatch: pytest.MonkeyPatch
) -> None:
    rescue()
    costs: list[int] = []
    compare = hashing._compare_one

    def noted(password: str, known: Any, rounds: int) -> bool:
        costs.append(known.cost)
        return compare(password, known, rounds)

    monkeypatch.setattr(hashing, "_compare_one", noted)

    thief.log_in()

    assert costs == [4]


def test_a_thief_who_was_signed_in_asks_for_no_other_address(
    app: Flask, mailbox: Mailbox, thief: Thief, rescue: Rescue
) -> None:
    rescue()
    mailbox.deliver()

    response = thief.ask_to_move("other-thief@example.com")

    assert problem(response) == (401, "session_ended")
    assert mailbox.deliver() == []
    with app.app_context():
        waiting = select(OneTimeToken).where(OneTimeToken.purpose == Purpose.EMAIL_CHANGE.value)
        assert db.session.scalars(waiting).all() == []


def test_a_change_that_the_thief_asked_for_before_moves_nothing_any_more(
    app: Flask, client: FlaskClient, ada: User, mailbox: Mailbox, thief: Thief
) -> None:
    thief.log_in()
    thief.ask_to_move()
    waiting = mailbox.token("confirm-email", to=THIEFS)
    assert cancel(client, mailbox.token("undo-email-change", to=OLD)).status_code == 204

    response = thief.post("/auth/email/change/confirm", {"token": waiting})

    assert problem(response) == (400, "invalid_link")
    assert holder_of(app, OLD) == ada.id


def test_nothing_that_the_thief_asks_for_kills_the_owners_link(
    client: FlaskClient,
    ada: User,
    mailbox: Mailbox,
    thief: Thief,
    rescue: Rescue,
    set_settings: Callable[..., None],
) -> None:
    set_settings(hide_account_existence=True)
    now = clock.now()
    link = rescue()

    for minutes in (0, 16, 29):
        with time_machine.travel(now + timedelta(minutes=minutes)):
            for number in range(3):
                thief.post("/auth/password/forgot", {"email": OLD})
                name = f"mallory{minutes}-{number}"
                account = {"email": OLD, "username": name, "password": "of the thief"}
                thief.post("/auth/register", account)
            thief.post("/auth/email/resend", {"email": OLD})
            assert thief.log_in().status_code == 401
            assert thief.ask_to_move().status_code == 401
            mailbox.deliver()

    with time_machine.travel(now + timedelta(minutes=29)):
        assert reset(client, link).status_code == 204
        assert log_in(client, ada, OWN)


def test_the_link_for_a_new_password_is_one_that_the_mail_explains(
    client: FlaskClient, mailbox: Mailbox, rescue: Rescue
) -> None:
    rescue()

    mail = mailbox.mails[-1]

    assert (mail.to, mail.subject, mail.page) == (
        OLD,
        "Set a new password for User System",
        "reset-password",
    )
    assert "the old password no longer works" in mail.text
    assert "your password stays as it is" not in mail.text


def test_after_an_undo_nothing_goes_to_the_thiefs_mailbox_and_its_links_are_dead(
    client: FlaskClient, ada: User, mailbox: Mailbox, thief: Thief
) -> None:
    thief.move()
    thief.post("/auth/password/forgot", {"email": THIEFS})
    link = mailbox.token("reset-password", to=THIEFS)
    already = len(mailbox.mails)

    cancel(client, mailbox.token("undo-email-change", to=OLD))
    thief.post("/auth/password/forgot", {"email": THIEFS})
    mailbox.deliver()

    assert {mail.to for mail in mailbox.mails[already:]} == {OLD}
    assert problem(reset(client, link, "of the thief")) == (400, "invalid_link")


def test_a_not_me_after_the_thief_has_moved_the_account_is_not_the_end(
    client: FlaskClient, ada: User, mailbox: Mailbox, thief: Thief
) -> None:
    log_in(client, ada)
    thief.move()
    assert (
        client.post(
            f"{API}/auth/not-me", json={"token": mailbox.token("not-me", to=OLD)}
        ).status_code
        == 204
    )
    # The link goes to the address of now, and the thief uses it.
    link = mailbox.token("reset-password", to=THIEFS)
    reset(client, link, PASSWORD)
    assert thief.log_in().status_code == 200

    assert cancel(client, mailbox.token("undo-email-change", to=OLD)).status_code == 204

    assert problem(thief.log_in()) == (401, "invalid_credentials")
    assert reset(client, mailbox.token("reset-password", to=OLD)).status_code == 204
    assert me(client, log_in(client, ada, OWN)["access_token"]).json["email"] == OLD


def test_an_administrator_sends_the_owner_another_link_and_no_invitation(
    client: FlaskClient, ada: User, grace: User, mailbox: Mailbox, rescue: Rescue
) -> None:
    rescue()
    headers = bearer(log_in(client, grace)["access_token"])
    mailbox.deliver()

    client.post(f"{API}/users/{ada.id}/password-reset", headers=headers)

    (mail,) = mailbox.deliver()
    assert (mail.to, mail.page) == (OLD, "reset-password")


def test_the_only_superuser_stays_one_while_the_password_is_gone(
    app: Flask, client: FlaskClient, mailbox: Mailbox
) -> None:
    grace = make_user(
        app, username="grace", email="grace@example.com", superuser=True, email_verified=True
    )
    token = issue(app, grace, Purpose.NOT_ME, grace.email)
    assert client.post(f"{API}/auth/not-me", json={"token": token}).status_code == 204

    for command in ("demote", "deactivate"):
        result = app.test_cli_runner().invoke(args=["users", command, grace.email])

        assert result.exit_code == 1
        assert isinstance(result.exception, SystemExit)
