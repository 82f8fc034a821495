"""Guesses at second factors are slowed down, as guesses at passwords are."""

from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, update
from werkzeug.test import TestResponse

from app.administration import accounts
from app.auth.mfa import operating
from app.extensions import db
from app.models import LoginThrottle, User
from app.models.login_throttle import ANYWHERE
from app.users import closing
from tests.auth.mfa.phone import Phone, confirm, enrol, give_password, go_on, ticket_of
from tests.auth.passkeys.authenticator import Authenticator
from tests.auth.passkeys.browser import log_in_with, register
from tests.factories import API, PASSWORD, bearer, log_in, problem
from tests.mailbox import Mailbox

WRONG = (403, "wrong_factor")
WAIT = (429, "rate_limited")
HOME, ELSEWHERE = "192.0.2.7", "198.51.100.7"


@pytest.fixture
def phone(client: FlaskClient, ada: User, set_settings: Callable[..., None]) -> Phone:
    """Ada logs in at home, and sets an app up there. Then the limits are on."""
    client.environ_base["REMOTE_ADDR"] = HOME
    phone = enrol(client, ada)
    set_settings(ratelimit_enabled=True)
    return phone


def guess(client: FlaskClient, user: User, network: str = HOME, otp: str = "000000") -> Any:
    client.environ_base["REMOTE_ADDR"] = network
    return give_password(client, user, otp=otp)


def prove(client: FlaskClient, phone: Phone, otp: str) -> TestResponse:
    headers = bearer(phone.access_token)
    return client.post(f"{API}/auth/reauthenticate", json={"otp": otp}, headers=headers)


def test_after_five_wrong_codes_even_the_right_one_must_wait(
    client: FlaskClient, ada: User, phone: Phone, clock: time_machine.Traveller
) -> None:
    for _ in range(5):
        assert problem(guess(client, ada)) == WRONG

    refused = guess(client, ada, otp=phone.code())
    assert problem(refused) == WAIT
    assert refused.headers["Retry-After"] == "30"
    clock.shift(30)
    assert guess(client, ada, otp=phone.code()).status_code == 200


def test_all_ways_to_give_a_code_are_counted_together(
    client: FlaskClient, ada: User, phone: Phone
) -> None:
    ticket = ticket_of(client, ada)
    assert problem(guess(client, ada)) == WRONG
    assert problem(go_on(client, ticket, otp="000000")) == WRONG
    assert problem(go_on(client, ticket, recovery_code="0" * 16)) == WRONG
    for _ in range(2):
        assert problem(prove(client, phone, "000000")) == WRONG

    assert problem(prove(client, phone, phone.code())) == WAIT
    assert problem(go_on(client, ticket, otp=phone.code())) == WAIT


def test_a_refused_try_does_not_use_the_ticket_or_the_code_up(
    client: FlaskClient, ada: User, phone: Phone, clock: time_machine.Traveller
) -> None:
    ticket = ticket_of(client, ada)
    for _ in range(4):
        assert problem(go_on(client, ticket, otp="000000")) == WRONG
    assert problem(guess(client, ada)) == WRONG

    for _ in range(3):
        assert problem(go_on(client, ticket, otp=phone.code())) == WAIT

    clock.shift(30)
    assert go_on(client, ticket, otp=phone.code()).status_code == 200


def test_another_network_is_not_delayed(client: FlaskClient, ada: User, phone: Phone) -> None:
    for _ in range(5):
        guess(client, ada)
    assert problem(guess(client, ada)) == WAIT

    assert guess(client, ada, ELSEWHERE, phone.code()).status_code == 200


def test_a_right_password_forgives_no_wrong_code(
    client: FlaskClient, ada: User, phone: Phone
) -> None:
    for _ in range(5):
        assert problem(guess(client, ada)) == WRONG
        assert problem(give_password(client, ada)) == (403, "mfa_required")

    assert problem(guess(client, ada)) == WAIT


def test_a_right_code_forgives_no_wrong_password(
    client: FlaskClient, ada: User, phone: Phone
) -> None:
    ticket = ticket_of(client, ada)
    wrong = {"username": "ada", "password": "wrong"}
    for _ in range(5):
        client.post(f"{API}/auth/login", json=wrong)

    assert go_on(client, ticket, otp=phone.code()).status_code == 200
    assert problem(give_password(client, ada)) == WAIT


def test_a_wrong_password_never_counts_as_a_wrong_code(
    client: FlaskClient, ada: User, phone: Phone
) -> None:
    ticket = ticket_of(client, ada)
    body = {"username": "ada", "password": "wrong", "otp": "000000"}
    for _ in range(5):
        assert problem(client.post(f"{API}/auth/login", json=body)) == (401, "invalid_credentials")

    assert counted(client.application) == 0
    assert go_on(client, ticket, otp=phone.code()).status_code == 200


def counted(app: Flask) -> int:
    """How many kinds of failures are counted beside those of passwords."""
    with app.app_context():
        networks = select(func.count()).select_from(LoginThrottle)
        return (db.session.scalar(networks.where(LoginThrottle.network == ANYWHERE)) or 0) - 1


def test_a_right_code_begins_anew(client: FlaskClient, ada: User, phone: Phone) -> None:
    for _ in range(4):
        guess(client, ada)
    assert guess(client, ada, otp=phone.code()).status_code == 200

    for _ in range(5):
        assert problem(guess(client, ada)) == WRONG
    assert problem(guess(client, ada)) == WAIT


def test_confirming_counts_too_and_is_forgiven(
    client: FlaskClient, bob: User, set_settings: Callable[..., None]
) -> None:
    client.environ_base["REMOTE_ADDR"] = "192.0.2.8"
    token = log_in(client, bob)["access_token"]
    set_settings(ratelimit_enabled=True)
    made = client.post(f"{API}/auth/factors/totp", headers=bearer(token)).json
    phone = Phone(made["secret"], [], token)
    for _ in range(4):
        assert problem(confirm(client, token, "000000")) == WRONG

    assert confirm(client, token, phone.code()).status_code == 200

    for _ in range(5):
        assert problem(guess(client, bob, "192.0.2.8")) == WRONG
    assert problem(guess(client, bob, "192.0.2.8")) == WAIT


def test_a_passkey_instead_of_a_password_is_not_counted(
    client: FlaskClient, ada: User, phone: Phone
) -> None:
    authenticator = Authenticator()
    register(client, phone.access_token, authenticator)
    for _ in range(5):
        guess(client, ada)
    assert problem(guess(client, ada)) == WAIT

    assert log_in_with(client, authenticator).status_code == 200


# A hundred in a row


@pytest.fixture
def suspended(app: Flask, client: FlaskClient, ada: User, phone: Phone) -> Phone:
    """Somebody who knows the password has given a hundred wrong codes, from everywhere."""
    assert problem(guess(client, ada, "203.0.113.9")) == WRONG
    with app.app_context():
        everywhere = update(LoginThrottle).where(LoginThrottle.network == ANYWHERE)
        db.session.execute(everywhere.values(failures=100))
        db.session.commit()
    return phone


def test_after_a_hundred_unknown_networks_wait_and_known_ones_go_on(
    client: FlaskClient, ada: User, suspended: Phone
) -> None:
    refused = guess(client, ada, ELSEWHERE, suspended.code())

    assert problem(refused) == WAIT
    assert refused.headers["Retry-After"] == "3600"
    assert guess(client, ada, HOME, suspended.code()).status_code == 200
    # That was the owner, so the count begins anew.
    assert problem(guess(client, ada, ELSEWHERE)) == WRONG


def test_the_owners_session_goes_on(client: FlaskClient, ada: User, suspended: Phone) -> None:
    client.environ_base["REMOTE_ADDR"] = HOME

    assert prove(client, suspended, suspended.code()).status_code == 200


def test_a_reset_by_mail_does_not_lift_it(
    client: FlaskClient, ada: User, suspended: Phone, mailbox: Mailbox
) -> None:
    """Against somebody who reads the mail, the factors are all that is left."""
    client.post(f"{API}/auth/password/forgot", json={"email": ada.email})
    body = {"token": mailbox.token("reset-password"), "new_password": PASSWORD + "!"}
    assert client.post(f"{API}/auth/password/reset", json=body).status_code == 204

    client.environ_base["REMOTE_ADDR"] = ELSEWHERE
    login = {"username": "ada", "password": PASSWORD + "!", "otp": suspended.code()}
    assert problem(client.post(f"{API}/auth/login", json=login)) == WAIT


def test_an_administrators_reset_lifts_it(
    app: Flask, client: FlaskClient, ada: User, suspended: Phone, set_settings: Callable[..., None]
) -> None:
    with app.app_context():
        operating.reset(ada.id, actor=None)
    set_settings(ratelimit_enabled=False)
    client.environ_base["REMOTE_ADDR"] = HOME
    phone = enrol(client, ada)
    set_settings(ratelimit_enabled=True)

    assert guess(client, ada, ELSEWHERE, phone.code()).status_code == 200


def test_an_erasure_forgets_what_was_counted(app: Flask, ada: User, suspended: Phone) -> None:
    with app.app_context():
        closing.erase(accounts.by_email(ada.email), actor=None)
        rows = select(func.count()).select_from(LoginThrottle)
        assert db.session.scalar(rows) == 0


# Limits


def test_one_account_takes_so_many_tries_from_all_networks(
    make_app: Callable[..., Flask], client: FlaskClient, ada: User
) -> None:
    phone = enrol(client, ada)
    other = make_app(RATELIMIT_ENABLED="true", RATELIMIT_FACTOR="3 per hour").test_client()

    for number in range(3):
        assert problem(guess(other, ada, f"198.51.100.{number}")) == WRONG

    assert problem(guess(other, ada, "198.51.100.9", phone.code())) == WAIT


def test_one_network_takes_so_many_tries_at_all_accounts(
    make_app: Callable[..., Flask], client: FlaskClient, ada: User, bob: User
) -> None:
    enrol(client, ada)
    phone = enrol(client, bob)
    limited = make_app(RATELIMIT_ENABLED="true", RATELIMIT_FACTOR_NETWORK="3 per hour")
    other = limited.test_client()

    for _ in range(3):
        assert problem(guess(other, ada, ELSEWHERE)) == WRONG

    assert problem(guess(other, bob, ELSEWHERE, phone.code())) == WAIT
    assert guess(other, bob, HOME, phone.code()).status_code == 200


def test_tickets_that_nobody_has_are_limited_by_network(
    make_app: Callable[..., Flask], app: Flask
) -> None:
    other = make_app(RATELIMIT_ENABLED="true", RATELIMIT_TOKEN="3 per minute").test_client()

    answers = [problem(go_on(other, "garbage", otp="123456")) for _ in range(4)]

    assert answers == [(400, "mfa_ticket_invalid")] * 3 + [WAIT]


def test_malformed_codes_count_nowhere(
    app: Flask, client: FlaskClient, ada: User, phone: Phone
) -> None:
    for _ in range(10):
        assert give_password(client, ada, otp="12345").status_code == 422
        assert prove(client, phone, "１２３４５６").status_code == 422

    with app.app_context():
        rows = select(func.count()).select_from(LoginThrottle)
        assert db.session.scalar(rows) == 0
