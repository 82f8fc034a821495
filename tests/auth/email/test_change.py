"""POST /auth/email/change, and its confirm and cancel"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import clock
from app.extensions import db
from app.models import User
from tests import factories
from tests.factories import (
    API,
    PASSWORD,
    bearer,
    log_in,
    make_user,
    me,
    problem,
    refresh,
    refused_fields,
)
from tests.mailbox import Mailbox

OLD, NEW = "ada@example.com", "countess@example.com"
Move = Callable[[], str]


@pytest.fixture
def ada(app: Flask, ada: User) -> User:
    """Ada has confirmed her address: notices go to nobody else."""
    return factories.confirm(app, ada)


def ask(client: FlaskClient, pair: dict[str, Any], new_email: str = NEW) -> TestResponse:
    return client.post(
        f"{API}/auth/email/change",
        json={"new_email": new_email},
        headers=bearer(pair["access_token"]),
    )


def confirm(client: FlaskClient, token: str) -> TestResponse:
    return client.post(f"{API}/auth/email/change/confirm", json={"token": token})


def cancel(client: FlaskClient, token: str) -> TestResponse:
    return client.post(f"{API}/auth/email/change/cancel", json={"token": token})


def email_of(client: FlaskClient, user: User, password: str = PASSWORD) -> str:
    email: str = me(client, log_in(client, user, password)["access_token"]).json["email"]
    return email


def stored_email(app: Flask, user: User) -> str:
    """The address of an account whose password may be gone."""
    with app.app_context():
        return db.session.get_one(User, user.id).email


def set_password(client: FlaskClient, mailbox: Mailbox, to: str, password: str = PASSWORD) -> None:
    """By the newest link that was mailed to an address."""
    body = {"token": mailbox.token("reset-password", to=to), "new_password": password}
    assert client.post(f"{API}/auth/password/reset", json=body).status_code == 204


@pytest.fixture
def move(client: FlaskClient, ada: User, mailbox: Mailbox) -> Move:
    """Ada moves to a new address; the undo token that her old mailbox holds."""

    def move() -> str:
        ask(client, log_in(client, ada))
        mailbox.deliver()
        assert confirm(client, mailbox.token("confirm-email", to=NEW)).status_code == 204
        return mailbox.token("undo-email-change", to=OLD)

    return move


# Asking


def test_the_new_address_gets_a_link_and_the_old_one_a_notice_that_undoes(
    client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    pair = log_in(client, ada)

    response = ask(client, pair)

    assert (response.status_code, response.data.strip()) == (202, b"{}")
    pages = {mail.to: mail.page for mail in mailbox.deliver()}
    assert pages == {NEW: "confirm-email", OLD: "undo-email-change"}


def test_the_notice_says_what_when_and_from_where(
    client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    with time_machine.travel("2026-11-22T08:00:00Z", tick=False):
        pair = log_in(client, ada)

        client.post(
            f"{API}/auth/email/change",
            json={"new_email": NEW},
            headers=bearer(pair["access_token"]) | {"User-Agent": "Lynx/2.9"},
            environ_base={"REMOTE_ADDR": "198.51.100.7"},
        )

        notice = next(mail for mail in mailbox.deliver() if mail.to == OLD)
    for circumstance in (NEW, "2026-11-22 08:00 UTC", "198.51.100.7", "Device: Lynx"):
        assert circumstance in notice.text


def test_the_link_to_the_new_address_is_not_in_the_notice(
    client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    ask(client, log_in(client, ada))

    first, second = mailbox.deliver()

    assert first.token != second.token


def test_asking_wants_a_fresh_login(client: FlaskClient, ada: User, mailbox: Mailbox) -> None:
    pair = refresh(client, log_in(client, ada)["refresh_token"]).json

    response = ask(client, pair)

    assert problem(response) == (401, "fresh_token_required")
    assert mailbox.deliver() == []


def test_asking_wants_a_token(client: FlaskClient) -> None:
    response = client.post(f"{API}/auth/email/change", json={"new_email": NEW})

    assert problem(response) == (401, "not_authenticated")


@pytest.mark.parametrize("email", ["none", "", "a@b@c", "ä@example.com", "x@example.com\nBcc: y@z"])
def test_what_is_no_address_is_refused(
    client: FlaskClient, ada: User, mailbox: Mailbox, email: str
) -> None:
    pair = log_in(client, ada)

    response = ask(client, pair, email)

    assert refused_fields(response).keys() == {"#/new_email"}
    assert mailbox.deliver() == []


def test_nothing_changes_before_the_link_is_used(
    client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    pair = log_in(client, ada)

    ask(client, pair)
    mailbox.deliver()

    assert me(client, pair["access_token"]).json["email"] == OLD


def test_the_own_address_is_answered_alike_and_mails_nobody(
    client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    response = ask(client, log_in(client, ada), "ADA@example.com")

    assert (response.status_code, response.json) == (202, {})
    assert mailbox.deliver() == []


def test_a_taken_address_is_answered_alike_and_its_owner_is_told(
    client: FlaskClient, ada: User, bob: User, mailbox: Mailbox
) -> None:
    pair = log_in(client, ada)
    free = ask(client, pair)
    mailbox.deliver()

    taken = ask(client, pair, bob.email)

    assert (taken.status_code, taken.data) == (free.status_code, free.data)
    mails = {mail.to: mail for mail in mailbox.deliver()}
    assert mails.keys() == {OLD, bob.email}
    assert mails[bob.email].subject == "Your email address is in use already"
    assert mails[bob.email].link is None


def test_the_same_statements_are_executed_for_a_free_and_a_taken_address(
    client: FlaskClient, ada: User, bob: User, statements: list[str]
) -> None:
    pair = log_in(client, ada)
    ask(client, pair)
    statements.clear()
    ask(client, pair)
    for_free = list(statements)
    statements.clear()

    ask(client, pair, bob.email)

    assert statements == for_free


def test_the_owner_of_a_taken_address_is_told_in_the_own_language(
    app: Flask, client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    bob = make_user(app, username="bob", email="bob@example.com", locale="zh")

    ask(client, log_in(client, ada), bob.email)

    told = next(mail for mail in mailbox.deliver() if mail.to == bob.email)
    assert any("\u4e00" <= character <= "\u9fff" for character in told.subject)


def test_the_export_does_not_tell_whether_the_address_is_taken(
    app: Flask, client: FlaskClient, ada: User, bob: User, mailbox: Mailbox
) -> None:
    grace = make_user(app, username="grace", email="grace@example.com", email_verified=True)
    told = []
    for user, address in ((ada, bob.email), (factories.confirm(app, grace), "free@example.com")):
        pair = log_in(client, user)
        ask(client, pair, address)
        mailbox.deliver()

        exported = client.get(f"{API}/users/me/export", headers=bearer(pair["access_token"]))

        told.append([mail["message"] for mail in exported.json["mails"]])
    assert told[0] == told[1]


def test_the_third_request_for_an_address_leaves_the_links_mailed_before_good(
    client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    pair = log_in(client, ada)
    for _ in range(2):
        ask(client, pair)
    link = mailbox.token("confirm-email", to=NEW)

    third = ask(client, pair)

    assert (third.status_code, third.json) == (202, {})
    assert mailbox.deliver() == []
    assert confirm(client, link).status_code == 204
    assert email_of(client, ada) == NEW


def test_after_a_quarter_of_an_hour_the_address_may_be_asked_for_again(
    client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    with time_machine.travel(clock.now() - timedelta(minutes=16)):
        pair = log_in(client, ada)
        for _ in range(3):
            ask(client, pair)
        mailbox.deliver()

    ask(client, log_in(client, ada))

    assert {mail.to for mail in mailbox.deliver()} == {OLD, NEW}


def test_many_requests_end_with_the_last_one_of_which_the_old_address_could_be_told(
    client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    pair = log_in(client, ada)

    answers = [ask(client, pair, f"countess+{number}@example.com") for number in range(8)]

    assert {answer.status_code for answer in answers} == {202}
    told = [mail.subject for mail in mailbox.deliver() if mail.to == OLD]
    assert told == ["Your email address is about to change"] * 4
    assert confirm(client, mailbox.token("confirm-email")).status_code == 204
    assert email_of(client, ada) == "countess+3@example.com"


# Confirming


def test_the_link_moves_the_account_and_verifies_the_address(
    client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    pair = log_in(client, ada)
    ask(client, pair)

    response = confirm(client, mailbox.token("confirm-email", to=NEW))

    assert (response.status_code, response.data) == (204, b"")
    user = me(client, pair["access_token"]).json
    assert (user["email"], user["email_verified"]) == (NEW, True)


def test_the_new_address_logs_in_and_the_old_one_no_more(client: FlaskClient, move: Move) -> None:
    move()

    answers = [
        client.post(f"{API}/auth/login", json={"email": email, "password": PASSWORD})
        for email in (NEW, OLD)
    ]

    assert answers[0].status_code == 200
    assert problem(answers[1]) == (401, "invalid_credentials")


@pytest.mark.parametrize(
    ("age", "status"), [(timedelta(days=6, hours=23), 400), (timedelta(days=7, seconds=1), 201)]
)
def test_the_old_address_becomes_free_when_the_change_can_no_longer_be_undone(
    client: FlaskClient, move: Move, age: timedelta, status: int
) -> None:
    with time_machine.travel(clock.now() - age):
        move()
    account = {"email": OLD, "username": "another", "password": PASSWORD}

    response = client.post(f"{API}/auth/register", json=account)

    assert response.status_code == status


def test_an_old_address_that_nobody_has_confirmed_gets_no_notice_and_is_free_at_once(
    client: FlaskClient, bob: User, mailbox: Mailbox
) -> None:
    ask(client, log_in(client, bob))

    assert confirm(client, mailbox.token("confirm-email", to=NEW)).status_code == 204

    assert {mail.to for mail in mailbox.mails} == {NEW}
    account = {"email": bob.email, "username": "another", "password": PASSWORD}
    assert client.post(f"{API}/auth/register", json=account).status_code == 201


def test_the_confirmation_works_once(client: FlaskClient, mailbox: Mailbox, move: Move) -> None:
    move()

    response = confirm(client, mailbox.token("confirm-email"))

    assert problem(response) == (400, "invalid_link")


def test_the_confirmation_is_good_for_an_hour(
    client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    with time_machine.travel(clock.now() - timedelta(hours=1, seconds=1)):
        ask(client, log_in(client, ada))
        token = mailbox.token("confirm-email")

    response = confirm(client, token)

    assert problem(response) == (400, "invalid_link")
    assert email_of(client, ada) == OLD


def test_a_newer_request_supersedes_the_older(
    client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    pair = log_in(client, ada)
    ask(client, pair)
    older = mailbox.token("confirm-email", to=NEW)
    ask(client, pair, "lovelace@example.com")

    answers = confirm(client, older), confirm(client, mailbox.token("confirm-email"))

    assert problem(answers[0]) == (400, "invalid_link")
    assert answers[1].status_code == 204
    assert email_of(client, ada) == "lovelace@example.com"


def test_an_address_taken_meanwhile_makes_the_link_invalid(
    app: Flask, client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    ask(client, log_in(client, ada))
    token = mailbox.token("confirm-email", to=NEW)
    make_user(app, username="bob", email=NEW)

    response = confirm(client, token)

    assert problem(response) == (400, "invalid_link")
    assert email_of(client, ada) == OLD


def test_a_change_of_the_password_stops_a_waiting_change(
    client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    pair = log_in(client, ada)
    ask(client, pair)
    token = mailbox.token("confirm-email")
    body = {"current_password": PASSWORD, "new_password": "another for another day"}
    client.post(f"{API}/auth/password/change", json=body, headers=bearer(pair["access_token"]))

    response = confirm(client, token)

    assert problem(response) == (400, "invalid_link")


@pytest.mark.parametrize("call", ["confirm", "cancel"])
def test_a_get_changes_and_burns_nothing(
    client: FlaskClient, ada: User, mailbox: Mailbox, call: str
) -> None:
    ask(client, log_in(client, ada))
    token = mailbox.token("confirm-email")

    response = client.get(f"{API}/auth/email/change/{call}?token={token}")

    assert problem(response) == (405, "method_not_allowed")
    assert email_of(client, ada) == OLD
    assert confirm(client, token).status_code == 204


# Cancelling


def test_the_undo_link_stops_a_change_that_waits(
    app: Flask, client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    pair = log_in(client, ada)
    ask(client, pair)
    confirmation = mailbox.token("confirm-email")

    response = cancel(client, mailbox.token("undo-email-change"))

    assert (response.status_code, response.data) == (204, b"")
    assert problem(confirm(client, confirmation)) == (400, "invalid_link")
    assert problem(me(client, pair["access_token"])) == (401, "session_ended")
    assert stored_email(app, ada) == OLD


def test_the_undo_link_brings_the_old_address_back_and_signs_everybody_out(
    app: Flask, client: FlaskClient, ada: User, move: Move
) -> None:
    undo = move()
    pair = log_in(client, ada)

    response = cancel(client, undo)

    assert response.status_code == 204
    assert problem(me(client, pair["access_token"])) == (401, "session_ended")
    assert problem(refresh(client, pair["refresh_token"])) == (401, "invalid_refresh_token")
    assert stored_email(app, ada) == OLD


def test_undoing_mails_a_link_for_a_new_password_to_the_old_address(
    client: FlaskClient, ada: User, mailbox: Mailbox, move: Move
) -> None:
    undo = move()

    cancel(client, undo)

    (mail,) = mailbox.deliver()
    assert (mail.to, mail.page) == (OLD, "reset-password")
    body = {"token": mail.token, "new_password": "mine and nobody elses"}
    assert client.post(f"{API}/auth/password/reset", json=body).status_code == 204
    assert email_of(client, ada, "mine and nobody elses") == OLD


def test_undoing_kills_the_link_for_a_new_password_that_the_new_address_got(
    client: FlaskClient, mailbox: Mailbox, move: Move
) -> None:
    undo = move()
    client.post(f"{API}/auth/password/forgot", json={"email": NEW})
    thiefs = mailbox.token("reset-password", to=NEW)

    cancel(client, undo)

    body = {"token": thiefs, "new_password": "the password of a thief"}
    response = client.post(f"{API}/auth/password/reset", json=body)
    assert problem(response) == (400, "invalid_link")


def test_the_undo_link_survives_a_new_password_set_from_the_new_address(
    app: Flask, client: FlaskClient, ada: User, mailbox: Mailbox, move: Move
) -> None:
    undo = move()
    client.post(f"{API}/auth/password/forgot", json={"email": NEW})
    set_password(client, mailbox, NEW, "the password of a thief")

    response = cancel(client, undo)

    assert response.status_code == 204
    assert stored_email(app, ada) == OLD


def test_the_undo_link_works_once(client: FlaskClient, move: Move) -> None:
    undo = move()
    cancel(client, undo)

    response = cancel(client, undo)

    assert problem(response) == (400, "invalid_link")


@pytest.mark.parametrize(
    ("age", "works"), [(timedelta(days=6, hours=23), True), (timedelta(days=7, seconds=1), False)]
)
def test_the_undo_link_is_good_for_seven_days(
    app: Flask, client: FlaskClient, ada: User, move: Move, age: timedelta, works: bool
) -> None:
    with time_machine.travel(clock.now() - age):
        undo = move()

    response = cancel(client, undo)

    assert (response.status_code == 204) is works
    assert stored_email(app, ada) == (OLD if works else NEW)


def test_the_undo_link_of_each_of_two_changes_leads_back_to_its_own_address(
    app: Flask, client: FlaskClient, ada: User, mailbox: Mailbox, move: Move
) -> None:
    first = move()
    ask(client, log_in(client, ada), "thief@example.com")
    confirm(client, mailbox.token("confirm-email", to="thief@example.com"))

    response = cancel(client, first)

    assert response.status_code == 204
    assert stored_email(app, ada) == OLD


def test_a_thief_cannot_undo_what_the_owner_has_undone(
    app: Flask, client: FlaskClient, ada: User, mailbox: Mailbox, move: Move
) -> None:
    owners = move()
    ask(client, log_in(client, ada), "thief@example.com")
    thiefs = mailbox.token("undo-email-change", to=NEW)
    cancel(client, owners)
    mailbox.deliver()

    response = cancel(client, thiefs)

    assert problem(response) == (400, "invalid_link")
    assert mailbox.deliver() == []
    assert stored_email(app, ada) == OLD


def test_a_thief_who_used_an_undo_link_first_still_loses_to_the_older_one(
    app: Flask, client: FlaskClient, ada: User, mailbox: Mailbox, move: Move
) -> None:
    owners = move()
    for _ in range(2):
        ask(client, log_in(client, ada), "thief@example.com")
        thiefs = mailbox.token("undo-email-change", to=NEW)
        confirm(client, mailbox.token("confirm-email", to="thief@example.com"))
        assert cancel(client, thiefs).status_code == 204
        set_password(client, mailbox, NEW)

    response = cancel(client, owners)

    assert response.status_code == 204
    assert stored_email(app, ada) == OLD


def test_the_notices_that_a_thief_got_sign_nobody_out_after_the_undoing(
    client: FlaskClient, ada: User, mailbox: Mailbox, move: Move
) -> None:
    owners = move()
    client.post(
        f"{API}/auth/login",
        json={"email": NEW, "password": PASSWORD},
        headers={"User-Agent": "a new device"},
    )
    thiefs = mailbox.token("not-me", to=NEW)
    cancel(client, owners)
    set_password(client, mailbox, OLD)
    pair = log_in(client, ada)
    mailbox.deliver()

    response = client.post(f"{API}/auth/not-me", json={"token": thiefs})

    assert problem(response) == (400, "invalid_link")
    assert mailbox.deliver() == []
    assert me(client, pair["access_token"]).json["email"] == OLD


def test_the_undo_link_calls_a_deletion_off(
    app: Flask, client: FlaskClient, ada: User, move: Move
) -> None:
    undo = move()
    pair = log_in(client, ada)
    client.delete(
        f"{API}/users/me", json={"password": PASSWORD}, headers=bearer(pair["access_token"])
    )

    response = cancel(client, undo)

    assert response.status_code == 204
    with app.app_context():
        user = db.session.get_one(User, ada.id)
        assert (user.email, user.deletion_due_at) == (OLD, None)
