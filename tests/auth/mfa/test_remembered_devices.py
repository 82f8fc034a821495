"""Devices that skip the second step for some weeks."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.administration import accounts
from app.auth.mfa import operating
from app.auth.mfa.remembered_devices.models import RememberedDevice
from app.extensions import db
from app.models import AuditEvent, Session, User
from app.users import closing
from tests.auth.mfa.phone import Phone, enrol, give_password, go_on, ticket_of
from tests.auth.rescuing import OWN, reset
from tests.factories import API, PASSWORD, bearer, problem
from tests.mailbox import Mailbox


@pytest.fixture
def phone(client: FlaskClient, ada: User) -> Phone:
    return enrol(client, ada)


def remember(client: FlaskClient, user: User, phone: Phone) -> dict[str, Any]:
    """Log in with the second step, and have the device remembered."""
    answer = go_on(client, ticket_of(client, user), otp=phone.code(), remember_device=True)
    assert answer.status_code == 200, answer.text
    pair: dict[str, Any] = answer.json
    return pair


@pytest.fixture
def device_token(client: FlaskClient, ada: User, phone: Phone) -> str:
    token: str = remember(client, ada, phone)["device_token"]
    return token


def listed(client: FlaskClient, access_token: str) -> list[dict[str, Any]]:
    response = client.get(f"{API}/auth/remembered-devices", headers=bearer(access_token))
    assert response.status_code == 200, response.text
    items: list[dict[str, Any]] = response.json["items"]
    return items


def skips(answer: TestResponse) -> bool:
    """Whether the login needed no second proof; else it must have asked for one."""
    if answer.status_code == 200:
        return True
    assert problem(answer) == (403, "mfa_required")
    return False


def test_only_who_asks_for_it_gets_a_token(client: FlaskClient, ada: User, phone: Phone) -> None:
    unasked = go_on(client, ticket_of(client, ada), otp=phone.code())
    refused = go_on(
        client,
        ticket_of(client, ada),
        recovery_code=phone.recovery_codes[0],
        remember_device=False,
    )

    assert unasked.status_code == refused.status_code == 200
    assert "device_token" not in unasked.json
    assert "device_token" not in refused.json


def test_it_skips_the_second_step(client: FlaskClient, ada: User, device_token: str) -> None:
    assert skips(give_password(client, ada, device_token=device_token))


def test_it_never_skips_the_first(client: FlaskClient, ada: User, device_token: str) -> None:
    body = {"username": "ada", "password": "wrong", "device_token": device_token}

    wrong = client.post(f"{API}/auth/login", json=body)

    assert problem(wrong) == (401, "invalid_credentials")
    # With a wrong password nobody looks at it, so it is not replaced either.
    assert skips(give_password(client, ada, device_token=device_token))


def test_its_session_has_the_second_level_and_is_not_fresh(
    client: FlaskClient, ada: User, device_token: str
) -> None:
    token = give_password(client, ada, device_token=device_token).json["access_token"]

    session = client.get(f"{API}/auth/sessions/current", headers=bearer(token)).json
    removal = client.delete(f"{API}/auth/factors/totp", headers=bearer(token))
    password_alone = client.post(
        f"{API}/auth/reauthenticate", json={"password": PASSWORD}, headers=bearer(token)
    )

    assert (session["aal"], session["amr"], session["fresh_until"]) == (2, ["pwd", "mfa"], None)
    assert problem(removal) == (401, "fresh_token_required")
    assert 'acr_values="aal2"' in removal.headers["WWW-Authenticate"]
    assert problem(password_alone) == (403, "mfa_required")


def test_the_token_endpoint_takes_it_too(client: FlaskClient, ada: User, device_token: str) -> None:
    form = {"grant_type": "password", "username": "ada", "password": PASSWORD}

    answer = client.post(f"{API}/auth/token", data=form | {"device_token": device_token})

    assert answer.status_code == 200
    assert answer.json["device_token"] != device_token


@pytest.mark.usefixtures("phone")
def test_a_token_of_somebody_else_skips_nothing(
    client: FlaskClient, bob: User, device_token: str
) -> None:
    enrol(client, bob)

    assert not skips(give_password(client, bob, device_token=device_token))


@pytest.mark.usefixtures("phone")
@pytest.mark.parametrize("token", ["unknown", "", "é" * 40])
def test_what_is_no_token_skips_nothing(client: FlaskClient, ada: User, token: str) -> None:
    assert not skips(give_password(client, ada, device_token=token))


# A new token at each use


def test_each_use_gives_a_new_token_and_the_old_one_is_good_for_ten_seconds(
    client: FlaskClient, ada: User, device_token: str, clock: time_machine.Traveller
) -> None:
    first = give_password(client, ada, device_token=device_token).json["device_token"]
    clock.shift(9)
    retried = give_password(client, ada, device_token=device_token)
    clock.shift(2)
    late = give_password(client, ada, device_token=device_token)

    assert first != device_token
    assert retried.json["device_token"] == first
    assert not skips(late)


def test_a_token_that_was_replaced_ends_the_device_when_it_comes_late(
    app: Flask,
    client: FlaskClient,
    ada: User,
    device_token: str,
    clock: time_machine.Traveller,
) -> None:
    """The thief has used a copy, and then comes the owner; or the other way round."""
    newer = give_password(client, ada, device_token=device_token).json["device_token"]
    clock.shift(11)

    assert not skips(give_password(client, ada, device_token=device_token))

    assert not skips(give_password(client, ada, device_token=newer))
    with app.app_context():
        forgotten = db.session.scalars(
            db.select(AuditEvent).where(AuditEvent.event == "device_forgotten")
        ).one()
    assert forgotten.details == {"devices": 1, "reason": "token_reused"}


def test_a_token_that_was_replaced_several_times_ends_the_device_too(
    client: FlaskClient, ada: User, device_token: str, clock: time_machine.Traveller
) -> None:
    """A thief who uses a copy twice at once is noticed like one who uses it once."""
    of_thief = device_token
    for _ in range(3):
        of_thief = give_password(client, ada, device_token=of_thief).json["device_token"]
    clock.shift(11)

    assert not skips(give_password(client, ada, device_token=device_token))

    assert not skips(give_password(client, ada, device_token=of_thief))


def test_a_token_that_never_was_one_ends_no_device(
    client: FlaskClient, ada: User, device_token: str, clock: time_machine.Traveller
) -> None:
    newer = give_password(client, ada, device_token=device_token).json["device_token"]
    clock.shift(11)

    assert not skips(give_password(client, ada, device_token="unknown"))

    assert skips(give_password(client, ada, device_token=newer))


def test_the_old_token_is_dead_once_the_new_one_was_used(
    client: FlaskClient, ada: User, device_token: str
) -> None:
    newer = give_password(client, ada, device_token=device_token).json["device_token"]
    newest = give_password(client, ada, device_token=newer).json["device_token"]

    assert not skips(give_password(client, ada, device_token=device_token))
    assert skips(give_password(client, ada, device_token=newest))


def test_only_digests_of_tokens_are_stored(
    app: Flask, client: FlaskClient, ada: User, device_token: str
) -> None:
    newer = give_password(client, ada, device_token=device_token).json["device_token"]

    with app.app_context():
        device = db.session.scalars(db.select(RememberedDevice)).one()
        stored = {str(value) for value in vars(device).values()}
    assert not stored & {device_token, newer}


# Its end


def test_it_ends_thirty_days_after_it_was_remembered_however_often_it_is_used(
    client: FlaskClient, ada: User, device_token: str, clock: time_machine.Traveller
) -> None:
    clock.shift(timedelta(days=29))
    newer = give_password(client, ada, device_token=device_token)
    clock.shift(timedelta(days=1, seconds=1))

    assert skips(newer)
    assert not skips(give_password(client, ada, device_token=newer.json["device_token"]))


def test_a_shorter_time_or_none_counts_for_older_devices_too(
    make_app: Callable[..., Flask],
    client: FlaskClient,
    ada: User,
    phone: Phone,
    clock: time_machine.Traveller,
) -> None:
    pair = remember(client, ada, phone)
    clock.shift(timedelta(days=2))

    for days in ("0", "1"):
        other = make_app(REMEMBER_DEVICE_DAYS=days).test_client()
        assert not skips(give_password(other, ada, device_token=pair["device_token"]))
        assert listed(other, give_password(other, ada, otp=phone.code()).json["access_token"]) == []
        clock.shift(30)
    assert skips(give_password(client, ada, device_token=pair["device_token"]))


def test_zero_days_remember_nothing(
    make_app: Callable[..., Flask], ada: User, client: FlaskClient, phone: Phone
) -> None:
    other = make_app(REMEMBER_DEVICE_DAYS="0").test_client()

    assert "device_token" not in remember(other, ada, phone)


# What ends it at once


class Owner:
    """Ada, and what she and others do to her account."""

    def __init__(self, app: Flask, client: FlaskClient, ada: User, mailbox: Mailbox) -> None:
        self.app, self.client, self.ada, self.mailbox = app, client, ada, mailbox
        self.access_token = ""

    def post(self, path: str, **body: Any) -> None:
        headers = bearer(self.access_token) if self.access_token else {}
        answer = self.client.post(f"{API}/auth{path}", json=body, headers=headers)
        assert answer.status_code < 300, answer.text

    def change_the_password(self) -> None:
        self.post("/password/change", current_password=PASSWORD, new_password=OWN)

    def set_a_new_password_by_mail(self) -> None:
        self.post("/password/forgot", email=self.ada.email)
        reset(self.client, self.mailbox.token("reset-password"))

    def change_the_address(self) -> None:
        self.post("/email/change", new_email="new@example.com")
        self.post("/email/change/confirm", token=self.mailbox.token("confirm-email"))

    def say_it_was_not_me(self) -> None:
        self.post("/not-me", token=self.mailbox.token("not-me"))

    def make_new_recovery_codes(self) -> None:
        self.post("/factors/recovery-codes")

    def log_out_everywhere(self) -> None:
        self.post("/logout?scope=global")

    def be_deactivated(self) -> None:
        with self.app.app_context():
            accounts.set_active(self.ada.email, False)

    def be_signed_out_by_an_operator(self) -> None:
        with self.app.app_context():
            accounts.end_sessions(self.ada.id, actor=None)

    def have_the_factors_reset(self) -> None:
        with self.app.app_context():
            operating.reset(self.ada.id, actor=None)

    def close_the_account(self) -> None:
        with self.app.test_request_context(headers=bearer(self.access_token)):
            session = db.session.scalars(
                db.select(Session).where(Session.ended_at.is_(None)).limit(1)
            ).one()
            closing.close(session, PASSWORD)


CHANGES = [name for name, verb in vars(Owner).items() if callable(verb) and name[0] != "_"]


@pytest.mark.parametrize("change", [name for name in CHANGES if name != "post"])
def test_each_change_ends_it(
    app: Flask, client: FlaskClient, ada: User, phone: Phone, mailbox: Mailbox, change: str
) -> None:
    factors_added = mailbox.deliver()
    assert factors_added
    owner = Owner(app, client, ada, mailbox)
    owner.access_token = remember(client, ada, phone)["access_token"]
    assert devices_of(app, ada) == 1

    getattr(owner, change)()

    assert devices_of(app, ada) == 0


def test_logging_one_device_out_leaves_it(
    app: Flask, client: FlaskClient, ada: User, phone: Phone
) -> None:
    pair = remember(client, ada, phone)

    client.post(f"{API}/auth/logout", headers=bearer(pair["access_token"]))

    assert skips(give_password(client, ada, device_token=pair["device_token"]))


def devices_of(app: Flask, user: User) -> int:
    with app.app_context():
        return len(
            db.session.scalars(
                db.select(RememberedDevice).where(RememberedDevice.user_id == user.id)
            ).all()
        )


# The list


def test_they_are_listed_without_their_tokens(client: FlaskClient, ada: User, phone: Phone) -> None:
    pair = remember(client, ada, phone)

    (device,) = listed(client, pair["access_token"])

    assert device.keys() == {"id", "device", "ip", "created_at", "last_used_at", "expires_at"}
    assert device["created_at"] == device["last_used_at"] == "2026-11-27T12:00:15Z"
    assert device["expires_at"] == "2026-12-27T12:00:15Z"


def test_one_or_all_can_be_forgotten_with_a_fresh_factor(
    client: FlaskClient, ada: User, phone: Phone, clock: time_machine.Traveller
) -> None:
    pair = remember(client, ada, phone)
    headers = bearer(pair["access_token"])
    path = f"{API}/auth/remembered-devices"
    (device,) = listed(client, pair["access_token"])

    one = client.delete(f"{path}/{device['id']}", headers=headers)
    again = client.delete(f"{path}/{device['id']}", headers=headers)
    clock.shift(30)
    second = remember(client, ada, phone)
    everything = client.delete(path, headers=bearer(second["access_token"]))
    clock.shift(timedelta(minutes=11))
    late = client.delete(path, headers=bearer(second["access_token"]))

    assert (one.status_code, everything.status_code) == (204, 204)
    assert problem(again) == (404, "not_found")
    assert problem(late) == (401, "fresh_token_required")
    assert not skips(give_password(client, ada, device_token=pair["device_token"]))
    assert not skips(give_password(client, ada, device_token=second["device_token"]))


def test_a_device_of_somebody_else_is_not_there(
    client: FlaskClient, ada: User, bob: User, phone: Phone
) -> None:
    (device,) = listed(client, remember(client, ada, phone)["access_token"])
    bobs = enrol(client, bob)

    assert listed(client, bobs.access_token) == []
    stolen = client.delete(
        f"{API}/auth/remembered-devices/{device['id']}", headers=bearer(bobs.access_token)
    )
    assert problem(stolen) == (404, "not_found")
