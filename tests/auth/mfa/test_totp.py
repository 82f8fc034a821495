"""Setting up an authenticator app, and logging in with its codes."""

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import clock
from app.auth.mfa.totp import codes
from app.auth.mfa.totp.models import TotpFactor
from app.extensions import db
from app.models import User
from app.security import key_ring
from app.security.key_ring import CannotOpen, Sealed
from tests.auth.mfa.phone import (
    confirm,
    enrol,
    give_password,
    go_on,
    ticket_of,
)
from tests.factories import API, bearer, log_in, me, problem, refused_fields

# RFC 6238 appendix B, for SHA-1: our six digits are the last six of its eight.
VECTORS = [
    (59, "94287082"),
    (1111111109, "07081804"),
    (1111111111, "14050471"),
    (1234567890, "89005924"),
    (2000000000, "69279037"),
    (20000000000, "65353130"),
]
RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


@pytest.mark.parametrize(("seconds", "value"), VECTORS)
def test_codes_are_those_of_rfc_6238(seconds: int, value: str) -> None:
    now = datetime.fromtimestamp(seconds, UTC)

    assert codes.matching_step(RFC_SECRET, value[-6:], now) == seconds // 30


@pytest.mark.parametrize(("steps", "works"), [(-2, False), (-1, True), (0, True), (1, False)])
def test_a_code_works_in_its_step_and_in_the_next(steps: int, works: bool) -> None:
    now = datetime(2026, 11, 27, tzinfo=UTC)
    code = codes.pyotp.TOTP(RFC_SECRET).at(now + timedelta(seconds=30 * steps))

    assert (codes.matching_step(RFC_SECRET, code, now) is not None) == works


def test_confirming_switches_the_second_step_on_and_gives_recovery_codes(
    client: FlaskClient, ada: User
) -> None:
    phone = enrol(client, ada)

    factors = client.get(f"{API}/auth/factors", headers=bearer(phone.access_token)).json
    assert factors["second_step"] is True
    assert factors["required"] is False
    assert factors["totp"]["confirmed_at"]
    assert factors["recovery_codes"]["left"] == len(phone.recovery_codes) == 10
    assert factors["passkeys"] == []


def test_confirming_ends_all_other_sessions_and_raises_this_one(
    client: FlaskClient, ada: User
) -> None:
    other = log_in(client, ada)["access_token"]

    phone = enrol(client, ada)

    assert problem(me(client, other)) == (401, "session_ended")
    headers = bearer(phone.access_token)
    session = client.get(f"{API}/auth/sessions/current", headers=headers).json
    assert (session["aal"], session["amr"]) == (2, ["pwd", "otp", "mfa"])
    assert session["fresh_until"] is not None


def test_a_login_asks_for_the_code_and_goes_on_with_it(client: FlaskClient, ada: User) -> None:
    phone = enrol(client, ada)

    refusal = give_password(client, ada)
    answer = go_on(client, refusal.json["mfa_token"], otp=phone.code())

    assert problem(refusal) == (403, "mfa_required")
    assert refusal.json["expires_in"] == 300
    assert refusal.json["methods"] == ["totp", "recovery_code"]
    assert answer.status_code == 200
    assert me(client, answer.json["access_token"]).status_code == 200


def test_a_code_may_come_along_with_the_password(client: FlaskClient, ada: User) -> None:
    phone = enrol(client, ada)

    answer = give_password(client, ada, otp=phone.code())

    assert answer.status_code == 200, answer.text


def test_a_code_works_once_on_all_ways_in_together(client: FlaskClient, ada: User) -> None:
    phone = enrol(client, ada)
    code = phone.code()
    assert give_password(client, ada, otp=code).status_code == 200

    again = give_password(client, ada, otp=code)
    in_two_steps = go_on(client, ticket_of(client, ada), otp=code)
    reauthenticated = client.post(
        f"{API}/auth/reauthenticate", json={"otp": code}, headers=bearer(phone.access_token)
    )

    assert problem(again) == (403, "wrong_factor")
    assert problem(in_two_steps) == (403, "wrong_factor")
    assert problem(reauthenticated) == (403, "wrong_factor")
    assert "mfa_token" not in reauthenticated.json


def test_the_answer_to_the_confirmation_shows_the_factors_as_they_are_now(
    client: FlaskClient, ada: User
) -> None:
    token = log_in(client, ada)["access_token"]
    secret = client.post(f"{API}/auth/factors/totp", headers=bearer(token)).json["secret"]

    answer = confirm(client, token, codes.pyotp.TOTP(secret).at(clock.now()))

    shown = client.get(f"{API}/auth/factors", headers=bearer(token)).json
    assert answer.json["factors"] == shown
    assert shown["second_step"] is True


def test_the_code_that_confirmed_is_used_up(client: FlaskClient, ada: User) -> None:
    token = log_in(client, ada)["access_token"]
    made = client.post(f"{API}/auth/factors/totp", headers=bearer(token)).json
    code = codes.pyotp.TOTP(made["secret"]).at(clock.now())
    assert confirm(client, token, code).status_code == 200

    assert problem(give_password(client, ada, otp=code)) == (403, "wrong_factor")


@pytest.mark.parametrize("otp", ["１２３４５６", " 123456", "123456\n", "1234567", "12345", ""])
def test_what_is_no_code_is_refused_and_costs_no_try(
    client: FlaskClient, ada: User, otp: str
) -> None:
    enrol(client, ada)
    ticket = ticket_of(client, ada)

    for _ in range(6):
        assert refused_fields(go_on(client, ticket, otp=otp)) == {"#/otp": "invalid_code"}

    assert problem(go_on(client, ticket, otp="000000")) == (403, "wrong_factor")


def test_a_code_is_ignored_where_no_second_step_is_on(client: FlaskClient, ada: User) -> None:
    assert give_password(client, ada, otp="123456").status_code == 200


def test_with_a_wrong_password_the_code_is_not_looked_at(client: FlaskClient, ada: User) -> None:
    phone = enrol(client, ada)
    code = phone.code()

    wrong = client.post(
        f"{API}/auth/login", json={"username": "ada", "password": "wrong", "otp": code}
    )

    assert problem(wrong) == (401, "invalid_credentials")
    assert give_password(client, ada, otp=code).status_code == 200


def test_a_secret_opens_in_its_own_row_only(
    app: Flask, client: FlaskClient, ada: User, bob: User
) -> None:
    enrol(client, ada)

    with app.app_context():
        factor = db.session.get_one(TotpFactor, ada.id)
        sealed = Sealed(factor.sealed_secret, factor.key_id)
        assert key_ring.unseal(sealed, row=f"totp_factors:{ada.id}")
        with pytest.raises(CannotOpen):
            key_ring.unseal(sealed, row=f"totp_factors:{bob.id}")


def test_removing_it_switches_the_second_step_off_and_drops_the_codes(
    client: FlaskClient, ada: User
) -> None:
    phone = enrol(client, ada)
    headers = bearer(phone.access_token)

    assert client.delete(f"{API}/auth/factors/totp", headers=headers).status_code == 204

    factors = client.get(f"{API}/auth/factors", headers=headers).json
    assert factors["second_step"] is False
    assert factors["totp"] is factors["recovery_codes"] is None
    assert give_password(client, ada).status_code == 200


def test_there_is_one_at_most(client: FlaskClient, ada: User) -> None:
    phone = enrol(client, ada)

    again = client.post(f"{API}/auth/factors/totp", headers=bearer(phone.access_token))

    assert problem(again) == (409, "factor_exists")


def test_nothing_to_confirm_and_nothing_to_remove(client: FlaskClient, ada: User) -> None:
    token = log_in(client, ada)["access_token"]

    assert problem(confirm(client, token, "123456")) == (409, "no_factor")
    removal = client.delete(f"{API}/auth/factors/totp", headers=bearer(token))
    assert problem(removal) == (404, "not_found")


def test_an_unconfirmed_secret_is_replaced_and_asks_nothing(client: FlaskClient, ada: User) -> None:
    headers = bearer(log_in(client, ada)["access_token"])

    first = client.post(f"{API}/auth/factors/totp", headers=headers).json
    second = client.post(f"{API}/auth/factors/totp", headers=headers).json

    assert first["secret"] != second["secret"]
    assert second["uri"].startswith("otpauth://totp/")
    assert second["qr_svg"].startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert give_password(client, ada).status_code == 200
