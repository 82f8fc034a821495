"""Tickets: what stands between a right password and a session."""

from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, select
from werkzeug.test import TestResponse

from app.access.proof import Proof
from app.administration import accounts
from app.auth.mfa import second_step, tickets
from app.auth.mfa.errors import MfaTicketInvalid
from app.auth.mfa.models import MfaTicket
from app.auth.mfa.recovery_codes import codes
from app.auth.mfa.second_step import OTP_GRANT
from app.extensions import db
from app.models import User
from tests.auth.mfa.phone import Phone, enrol, give_password, go_on, ticket_of
from tests.auth.passkeys.authenticator import Authenticator
from tests.auth.passkeys.browser import options, register
from tests.factories import API, PASSWORD, bearer, problem
from tests.mailbox import Mailbox

DEAD = (400, "mfa_ticket_invalid")
WRONG = (403, "wrong_factor")
NEW_PASSWORD = "another horse battery staple"


@pytest.fixture
def phone(client: FlaskClient, ada: User) -> Phone:
    return enrol(client, ada)


def token_call(client: FlaskClient, **form: str) -> TestResponse:
    return client.post(f"{API}/auth/token", data=form)


def test_a_ticket_lets_in_once(client: FlaskClient, ada: User, phone: Phone) -> None:
    ticket = ticket_of(client, ada)

    first = go_on(client, ticket, otp=phone.code())
    again = go_on(client, ticket, recovery_code=phone.recovery_codes[0])

    assert first.status_code == 200, first.text
    assert problem(again) == DEAD


def test_the_sixth_try_finds_it_dead_even_with_the_right_code(
    client: FlaskClient, ada: User, phone: Phone
) -> None:
    ticket = ticket_of(client, ada)

    left = [go_on(client, ticket, otp="000000").json["tries_left"] for _ in range(5)]

    assert left == [4, 3, 2, 1, 0]
    assert problem(go_on(client, ticket, otp=phone.code())) == DEAD


def test_a_try_is_counted_before_the_code_is_looked_at(
    app: Flask,
    client: FlaskClient,
    ada: User,
    phone: Phone,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ticket = ticket_of(client, ada)
    seen: list[int] = []

    def look(_row: str, _sealed: Any) -> str:
        # On a connection of its own: the count is there for everybody.
        with db.engine.connect() as connection:
            seen.append(connection.scalar(select(MfaTicket.tries_left)) or 0)
        return phone.secret

    monkeypatch.setattr("app.security.key_ring.unseal", lambda sealed, row: look(row, sealed))
    assert problem(go_on(client, ticket, otp="000000")) == WRONG

    assert seen == [4]


def test_an_account_that_was_erased_meanwhile_gets_no_ticket(
    app: Flask, client: FlaskClient, ada: User, phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    def erase_and_make() -> str:
        with db.engine.begin() as connection:
            connection.execute(delete(User).where(User.id == ada.id))
        return "a token"

    monkeypatch.setattr(tickets.random_tokens, "make", erase_and_make)

    assert problem(give_password(client, ada)) == (401, "invalid_credentials")


@pytest.mark.postgresql
def test_a_ticket_may_end_while_its_code_is_compared(
    app: Flask,
    client: FlaskClient,
    ada: User,
    phone: Phone,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ticket = ticket_of(client, ada)

    def end_ticket(_sealed: Any, row: str) -> str:
        with db.engine.begin() as connection:
            connection.execute(delete(MfaTicket))
        return phone.secret

    monkeypatch.setattr("app.security.key_ring.unseal", end_ticket)

    assert problem(go_on(client, ticket, otp="000000")) == WRONG
    assert problem(go_on(client, ticket, otp=phone.code())) == DEAD


@pytest.mark.parametrize(("seconds", "expected"), [(299, 200), (300, 400)])
def test_it_lives_for_five_minutes(
    client: FlaskClient,
    ada: User,
    phone: Phone,
    clock: time_machine.Traveller,
    seconds: int,
    expected: int,
) -> None:
    ticket = ticket_of(client, ada)

    clock.shift(seconds)

    assert go_on(client, ticket, otp=phone.code()).status_code == expected


def test_garbage_is_answered_like_a_dead_ticket(client: FlaskClient, ada: User) -> None:
    assert problem(go_on(client, "garbage", otp="123456")) == DEAD


def test_the_ticket_of_one_account_opens_no_other(
    client: FlaskClient, ada: User, bob: User, phone: Phone
) -> None:
    """Bob knows Ada's password, and has an authenticator app of his own."""
    of_bob = enrol(client, bob)
    ticket = ticket_of(client, bob)

    answer = token_call(
        client,
        grant_type="password",
        username="ada",
        password=PASSWORD,
        mfa_token=ticket,
        otp=of_bob.code(),
    )

    # The ticket is not looked at, and the code is compared with Ada's secret.
    assert problem(answer) == WRONG
    assert go_on(client, ticket, otp=of_bob.code()).status_code == 200


def test_nor_does_it_where_the_gate_gets_it(
    app: Flask, client: FlaskClient, ada: User, bob: User, phone: Phone
) -> None:
    of_bob = enrol(client, bob)
    offered = {"mfa_token": ticket_of(client, bob), "otp": of_bob.code()}

    with app.test_request_context(), pytest.raises(MfaTicketInvalid):
        second_step.stage(ada, Proof(offered=offered))


def test_an_oauth_client_goes_on_with_the_ticket(
    client: FlaskClient, ada: User, phone: Phone
) -> None:
    password = {"grant_type": "password", "username": "ada", "password": PASSWORD}
    refusal = token_call(client, **password)
    ticket = refusal.json["mfa_token"]

    wrong = token_call(client, grant_type=OTP_GRANT, mfa_token=ticket, otp="000000")
    right = token_call(client, grant_type=OTP_GRANT, mfa_token=ticket, otp=phone.code())
    again = token_call(client, grant_type=OTP_GRANT, mfa_token=ticket, otp=phone.code())

    assert problem(refusal) == (403, "mfa_required")
    assert refusal.json["error"] == "mfa_required"
    assert problem(wrong) == WRONG
    assert wrong.json["error"] == "wrong_factor"
    assert right.status_code == 200, right.text
    # Every other refusal is in the words of OAuth.
    assert problem(again) == (400, "invalid_grant")
    assert again.json["error"] == "invalid_grant"


# What ends a ticket


def change_password(client: FlaskClient, phone: Phone, **_: Any) -> None:
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    headers = bearer(phone.access_token)
    answer = client.post(f"{API}/auth/password/change", json=body, headers=headers)
    assert answer.status_code == 200, answer.text


def reset_by_mail(client: FlaskClient, mailbox: Mailbox, **_: Any) -> None:
    client.post(f"{API}/auth/password/forgot", json={"email": "ada@example.com"})
    body = {"token": mailbox.token("reset-password"), "new_password": NEW_PASSWORD}
    assert client.post(f"{API}/auth/password/reset", json=body).status_code == 204


def change_address(client: FlaskClient, phone: Phone, mailbox: Mailbox, **_: Any) -> None:
    body = {"new_email": "ada@example.org"}
    headers = bearer(phone.access_token)
    assert client.post(f"{API}/auth/email/change", json=body, headers=headers).status_code == 202
    body = {"token": mailbox.token("confirm-email")}
    assert client.post(f"{API}/auth/email/change/confirm", json=body).status_code == 204


def deactivate_and_activate(app: Flask, **_: Any) -> None:
    with app.app_context():
        accounts.set_active("ada@example.com", False)
        accounts.set_active("ada@example.com", True)


def switch_off(client: FlaskClient, phone: Phone, **_: Any) -> None:
    headers = bearer(phone.access_token)
    answer = client.put(f"{API}/auth/factors/second-step", json={"enabled": False}, headers=headers)
    assert answer.status_code == 200, answer.text


def remove_totp(client: FlaskClient, phone: Phone, **_: Any) -> None:
    headers = bearer(phone.access_token)
    assert client.delete(f"{API}/auth/factors/totp", headers=headers).status_code == 204


def make_new_codes(client: FlaskClient, phone: Phone, **_: Any) -> None:
    headers = bearer(phone.access_token)
    answer = client.post(f"{API}/auth/factors/recovery-codes", headers=headers)
    phone.recovery_codes = answer.json["recovery_codes"]


def add_passkey(client: FlaskClient, phone: Phone, **_: Any) -> None:
    assert register(client, phone.access_token, Authenticator()).status_code == 201


def log_out_everywhere(client: FlaskClient, phone: Phone, **_: Any) -> None:
    headers = bearer(phone.access_token)
    assert client.post(f"{API}/auth/logout?scope=global", headers=headers).status_code == 204


def ask_for_deletion(client: FlaskClient, phone: Phone, **_: Any) -> None:
    headers = bearer(phone.access_token)
    answer = client.delete(f"{API}/users/me", json={"password": PASSWORD}, headers=headers)
    assert answer.status_code == 202, answer.text


ENDS = (
    change_password,
    reset_by_mail,
    change_address,
    deactivate_and_activate,
    switch_off,
    remove_totp,
    make_new_codes,
    add_passkey,
    log_out_everywhere,
    ask_for_deletion,
)


@pytest.mark.parametrize("event", ENDS, ids=lambda event: event.__name__)
def test_it_is_dead_after(
    app: Flask,
    client: FlaskClient,
    ada: User,
    phone: Phone,
    mailbox: Mailbox,
    event: Callable[..., None],
) -> None:
    ticket = ticket_of(client, ada)

    event(app=app, client=client, phone=phone, mailbox=mailbox)

    assert problem(go_on(client, ticket, otp=phone.code())) == DEAD


def test_it_is_bound_to_the_state_of_the_account_itself(
    app: Flask, client: FlaskClient, ada: User, phone: Phone
) -> None:
    """Also where nothing ended it: the password was changed at the same moment."""
    ticket = ticket_of(client, ada)
    with app.app_context():
        db.session.get_one(User, ada.id).hashed_password = "$2b$04$" + "a" * 53
        db.session.commit()

    assert problem(go_on(client, ticket, otp=phone.code())) == DEAD


# Wrong codes after a right password


@pytest.fixture
def wrong_codes(client: FlaskClient, ada: User, phone: Phone) -> Callable[[int], None]:
    def give(number: int) -> None:
        for _ in range(number):
            assert problem(give_password(client, ada, otp="000000")) == WRONG

    return give


def test_five_are_mailed_once_with_a_link_to_a_new_password(
    client: FlaskClient,
    ada: User,
    phone: Phone,
    mailbox: Mailbox,
    wrong_codes: Callable[[int], None],
) -> None:
    mailbox.deliver()

    wrong_codes(4)
    assert mailbox.deliver() == []
    wrong_codes(4)

    (mail,) = mailbox.deliver()
    assert (mail.to, mail.page) == (ada.email, "reset-password")
    body = {"token": mail.token, "new_password": NEW_PASSWORD}
    assert client.post(f"{API}/auth/password/reset", json=body).status_code == 204
    # The new password keeps the strangers out, and the factor stays.
    login = {"username": "ada", "password": NEW_PASSWORD}
    assert problem(client.post(f"{API}/auth/login", json=login)) == (403, "mfa_required")


def test_slow_guesses_are_noticed_too(
    mailbox: Mailbox, wrong_codes: Callable[[int], None], clock: time_machine.Traveller
) -> None:
    mailbox.deliver()

    for _ in range(5):
        wrong_codes(1)
        clock.shift(3600)

    assert [mail.page for mail in mailbox.deliver()] == ["reset-password"]


def test_wrong_codes_of_another_day_are_not(
    mailbox: Mailbox, wrong_codes: Callable[[int], None], clock: time_machine.Traveller
) -> None:
    mailbox.deliver()

    wrong_codes(4)
    clock.shift(24 * 3600)
    wrong_codes(1)

    assert mailbox.deliver() == []


def test_the_owner_who_mistypes_and_then_logs_in_gets_no_mail(
    client: FlaskClient, ada: User, phone: Phone, mailbox: Mailbox
) -> None:
    mailbox.deliver()

    for _ in range(2):
        ticket = ticket_of(client, ada)
        for _ in range(3):
            assert problem(go_on(client, ticket, otp="000000")) == WRONG
        code = phone.recovery_codes.pop()
        assert go_on(client, ticket, recovery_code=code).status_code == 200

    assert "reset-password" not in [mail.page for mail in mailbox.deliver()]


def test_tickets_are_pruned_when_their_tries_do_not_count_any_more(
    app: Flask, client: FlaskClient, ada: User, phone: Phone, clock: time_machine.Traveller
) -> None:
    ticket_of(client, ada)
    clock.shift(24 * 3600 + 299)
    with app.app_context():
        assert tickets.prune(10) == 0
        clock.shift(2)
        assert tickets.prune(10) == 1


# Codes that cost nothing


def test_a_malformed_recovery_code_costs_no_try(
    client: FlaskClient, ada: User, phone: Phone
) -> None:
    ticket = ticket_of(client, ada)

    for text in ("", "1a2b", "1a2b-3c4d-5e6f-7g8u", "ünïcödé"):
        assert go_on(client, ticket, recovery_code=text).status_code == 422
    for none_or_two in ({}, {"otp": phone.code(), "recovery_code": phone.recovery_codes[0]}):
        assert go_on(client, ticket, **none_or_two).status_code == 422

    left = go_on(client, ticket, recovery_code="0" * codes.CHARACTERS).json["tries_left"]
    assert left == 4


def test_an_empty_credential_is_a_wrong_proof(client: FlaskClient, ada: User, phone: Phone) -> None:
    register(client, phone.access_token, Authenticator())
    ticket = ticket_of(client, ada)
    begun = options(client, "mfa/passkey-options", mfa_token=ticket)

    answer = go_on(client, ticket, ceremony=begun["ceremony"], credential={})

    assert problem(answer) == WRONG
    assert answer.json["tries_left"] == 4
