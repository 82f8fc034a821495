"""Second factors, remembered devices and rescues of accounts, where a cookie holds the session."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app.extensions import db
from app.models import Session, User
from app.security import one_time_tokens
from app.security.one_time_tokens import Purpose
from tests.auth.mfa.phone import Phone, enrol
from tests.auth.passkeys.authenticator import Authenticator
from tests.auth.passkeys.browser import options, with_passkey
from tests.cookies import SESSION, browser, cookies_set, hold, secret_of, sign_in
from tests.factories import API, PASSWORD, bearer, log_in, problem

DEVICE = "__Host-device"
NEW = "another horse battery staple"


@pytest.fixture(autouse=True)
def still() -> Any:
    """The clock stands still, in the middle of a time step of the codes."""
    with time_machine.travel("2026-11-27T12:00:15Z", tick=False) as traveller:
        yield traveller


def by_password(client: FlaskClient, user: User, **beside: Any) -> Any:
    body = {"username": user.username, "password": PASSWORD, **beside}
    return client.post(f"{API}/auth/login?cookie=true", json=body)


def finish(client: FlaskClient, mfa_token: str, **proof: Any) -> Any:
    body = {"mfa_token": mfa_token, **proof}
    return client.post(f"{API}/auth/mfa?cookie=true&remember=true", json=body)


def test_the_second_step_begins_the_session_and_sets_the_cookie(app: Flask, bob: User) -> None:
    phone, client = enrol(app.test_client(), bob), browser(app)

    first = by_password(client, bob)
    second = finish(client, first.json["mfa_token"], otp=phone.code())

    assert problem(first) == (403, "mfa_required")
    assert not cookies_set(first)
    assert list(second.json) == ["session"]
    assert second.json["session"]["aal"] == 2
    assert second.json["session"]["fresh_until"] == "2026-11-27T12:10:15Z"
    assert cookies_set(second)[SESSION]["Max-Age"] == "1209600"
    assert client.get(f"{API}/users/me/export").status_code == 200


def test_a_login_ends_the_session_of_the_cookie_that_it_replaces(
    app: Flask, ada: User, bob: User
) -> None:
    client, elsewhere, copy = browser(app), browser(app), browser(app)
    replaced = sign_in(client, bob)
    sign_in(elsewhere, bob)
    of_ada = sign_in(browser(app), ada)

    sign_in(client, bob)
    for secret, answer in ((replaced, (401, "session_ended")), (of_ada, (200, None))):
        hold(copy, secret)
        told = copy.get(f"{API}/users/me")
        assert (told.status_code, told.json.get("code")) == answer

    assert client.get(f"{API}/users/me").status_code == 200
    assert elsewhere.get(f"{API}/users/me").status_code == 200


def test_a_passkey_begins_a_session_that_a_cookie_holds(app: Flask, bob: User) -> None:
    authenticator, client = Authenticator(), browser(app)
    with_passkey(app.test_client(), bob, authenticator)
    begun = options(client, "passkeys/login-options")
    body = {"ceremony": begun["ceremony"], "credential": authenticator.get(begun["options"])}

    answer = client.post(f"{API}/auth/passkeys/login?cookie=true", json=body)

    assert answer.json["session"]["signed_in_by"] == "passkey"
    assert "Max-Age" not in cookies_set(answer)[SESSION]
    assert client.get(f"{API}/users/me").json["username"] == "bob"


def test_confirming_the_first_factor_gives_a_new_secret(app: Flask, bob: User) -> None:
    client, thief = browser(app), browser(app)
    hold(thief, sign_in(client, bob))
    made = client.post(f"{API}/auth/factors/totp")
    phone = Phone(made.json["secret"], [], "")
    other = {"otp": "000000"}
    assert problem(client.post(f"{API}/auth/factors/totp/confirm", json=other))[0] == 403

    body = {"otp": phone.code()}
    answer = client.post(f"{API}/auth/factors/totp/confirm", json=body)

    assert len(answer.json["recovery_codes"]) == 10
    current = client.get(f"{API}/auth/sessions/current").json
    assert (current["aal"], current["kind"]) == (2, "cookie")
    assert current["fresh_until"] is not None
    assert problem(thief.get(f"{API}/users/me")) == (401, "not_authenticated")


def test_with_the_second_step_on_only_a_factor_makes_the_session_fresh(
    app: Flask, bob: User, still: Any
) -> None:
    phone, client = enrol(app.test_client(), bob), browser(app)
    by_password(client, bob, otp=phone.code())
    still.shift(timedelta(minutes=11))
    password = {"password": PASSWORD}
    again = {"current_password": PASSWORD, "new_password": NEW}

    by_password_alone = client.post(f"{API}/auth/reauthenticate", json=password)
    changed = client.post(f"{API}/auth/password/change", json=again)
    before = secret_of(client)
    by_factor = client.post(f"{API}/auth/reauthenticate", json={"otp": phone.code()})

    assert problem(by_password_alone) == (403, "mfa_required")
    assert changed.json["session"]["fresh_until"] is None
    assert by_factor.json["session"]["fresh_until"] is not None
    assert secret_of(client) != before


def test_a_remembered_device_is_a_cookie(app: Flask, bob: User, still: Any) -> None:
    phone, client = enrol(app.test_client(), bob), browser(app)
    ticket = by_password(client, bob).json["mfa_token"]

    remembered = finish(client, ticket, otp=phone.code(), remember_device=True)
    first = cookies_set(remembered)[DEVICE]
    still.shift(timedelta(days=1))
    skipped = by_password(client, bob)
    second = cookies_set(skipped)[DEVICE]

    assert list(remembered.json) == ["session"]
    assert first["Max-Age"] == str(30 * 86400)
    assert (skipped.json["session"]["aal"], skipped.json["session"]["fresh_until"]) == (2, None)
    assert list(skipped.json) == ["session"]
    assert second["value"] not in ("", first["value"])
    assert second["Max-Age"] == str(29 * 86400)
    assert {"Secure", "HttpOnly"} <= second.keys()
    assert problem(client.get(f"{API}/users/me/export")) == (401, "fresh_token_required")
    # Programs name their device themselves, and a cookie of a browser does not speak for them.
    assert problem(client.post(f"{API}/auth/login", json={"username": "bob", "password": PASSWORD}))
    assert client.get(f"{API}/users/me").status_code == 200


def test_a_second_factor_counts_beside_the_cookie_of_a_device(
    app: Flask, bob: User, still: Any
) -> None:
    phone, client = enrol(app.test_client(), bob), browser(app)
    tickets = [by_password(client, bob).json["mfa_token"] for _ in range(2)]
    finish(client, tickets[0], otp=phone.code(), remember_device=True)
    still.shift(timedelta(seconds=30))

    answer = finish(client, tickets[1], otp=phone.code())

    assert answer.json["session"]["amr"] == ["pwd", "otp", "mfa"]
    assert answer.json["session"]["fresh_until"] is not None


def test_a_cookie_of_a_device_does_not_stand_for_the_password(app: Flask, bob: User) -> None:
    phone, client = enrol(app.test_client(), bob), browser(app)
    ticket = by_password(client, bob).json["mfa_token"]
    finish(client, ticket, otp=phone.code(), remember_device=True)

    wrong = {"username": "bob", "password": "wrong"}

    answer = client.post(f"{API}/auth/login?cookie=true", json=wrong)
    assert problem(answer) == (401, "invalid_credentials")


# What ends sessions ends those of cookies too.


def _others(client: FlaskClient, _app: Flask, user: User) -> None:
    pair = log_in(client.application.test_client(), user)
    answer = client.application.test_client().post(
        f"{API}/auth/logout?scope=others", headers=bearer(pair["access_token"])
    )
    assert answer.status_code == 204


def _device(client: FlaskClient, app: Flask, user: User) -> None:
    with app.app_context():
        held = db.session.scalars(select(Session.id).where(Session.cookie_hash.is_not(None))).one()
    headers = bearer(log_in(app.test_client(), user)["access_token"])
    answer = app.test_client().delete(f"{API}/auth/sessions/{held}", headers=headers)
    assert answer.status_code == 204


def _link(call: str, purpose: Purpose, **body: str) -> Callable[[FlaskClient, Flask, User], None]:
    def use(_client: FlaskClient, app: Flask, user: User) -> None:
        with app.app_context():
            token = one_time_tokens.issue(user.id, purpose, email=user.email)
            db.session.commit()
        answer = app.test_client().post(f"{API}/auth/{call}", json={"token": token, **body})
        assert answer.status_code == 204, answer.text

    return use


def _deactivate(_client: FlaskClient, app: Flask, user: User) -> None:
    with app.app_context():
        db.session.get_one(User, user.id).is_active = False
        db.session.commit()


def _close(client: FlaskClient, _app: Flask, _user: User) -> None:
    answer = client.delete(f"{API}/users/me", json={"password": PASSWORD})
    assert answer.status_code == 202


def _log_in_often(_client: FlaskClient, app: Flask, user: User) -> None:
    for _ in range(app.config["SETTINGS"].max_sessions_per_user):
        log_in(app.test_client(), user)


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(_others, id="logout others"),
        pytest.param(_device, id="end a device"),
        pytest.param(_link("password/reset", Purpose.PASSWORD_RESET, new_password=NEW), id="reset"),
        pytest.param(_link("not-me", Purpose.NOT_ME), id="not me"),
        pytest.param(_deactivate, id="deactivate"),
        pytest.param(_close, id="close the account"),
        pytest.param(_log_in_often, id="the cap of sessions"),
    ],
)
def test_what_ends_sessions_ends_those_of_cookies(
    app: Flask,
    bob: User,
    still: Any,
    set_settings: Callable[..., None],
    end: Callable[[FlaskClient, Flask, User], None],
) -> None:
    set_settings(max_sessions_per_user=2)
    client = browser(app)
    secret = sign_in(client, bob)
    still.shift(timedelta(seconds=1))

    end(client, app, bob)

    # Some of them clear the cookie at this browser.
    hold(client, secret)
    answer = client.get(f"{API}/users/me")
    assert problem(answer) == (401, "session_ended")
    assert cookies_set(answer)[SESSION]["Max-Age"] == "0"


def test_a_level_that_the_settings_demand_is_demanded_of_cookies_too(
    app: Flask, bob: User, set_settings: Callable[..., None]
) -> None:
    client = browser(app)
    sign_in(client, bob)
    set_settings(mfa_required="all")

    answer = client.patch(f"{API}/users/me", json={"bio": "x"})

    assert problem(answer) == (403, "mfa_enrollment_required")
    assert client.get(f"{API}/auth/factors").status_code == 200
