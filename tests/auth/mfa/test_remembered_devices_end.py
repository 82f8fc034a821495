"""What ends remembered devices, and what does not."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.auth.mfa import operating
from app.auth.mfa.remembered_devices import devices
from app.extensions import db
from app.models import User
from app.security import one_time_tokens
from app.security.one_time_tokens import Purpose
from tests.auth.mfa.phone import Phone, enrol, give_password, go_on, ticket_of
from tests.auth.mfa.test_tickets import (
    ENDS,
    NEW_PASSWORD,
    change_password,
    reset_by_mail,
    switch_off,
)
from tests.factories import API, bearer
from tests.mailbox import Mailbox


def log_out_others(client: FlaskClient, phone: Phone, **_: Any) -> None:
    headers = bearer(phone.access_token)
    assert client.post(f"{API}/auth/logout?scope=others", headers=headers).status_code == 204


def say_not_me(app: Flask, client: FlaskClient, ada: User, **_: Any) -> None:
    with app.app_context():
        token = one_time_tokens.issue(ada.id, Purpose.NOT_ME, email=ada.email)
        db.session.commit()
    assert client.post(f"{API}/auth/not-me", json={"token": token}).status_code == 204


def reset_factors(app: Flask, ada: User, **_: Any) -> None:
    with app.app_context():
        operating.reset(ada.id, actor=None)


def number_of_devices(app: Flask, ada: User) -> int:
    with app.app_context():
        return len(devices.living(ada))


KEPT = (log_out_others, switch_off)


@pytest.mark.parametrize(
    "event", [*ENDS, say_not_me, reset_factors, log_out_others], ids=lambda event: event.__name__
)
def test_devices_end_with_what_they_stood_for(
    app: Flask, client: FlaskClient, ada: User, mailbox: Mailbox, event: Callable[..., None]
) -> None:
    phone = enrol(client, ada)
    ticket = ticket_of(client, ada)
    token = go_on(client, ticket, recovery_code=phone.recovery_codes[0], remember_device=True).json[
        "device_token"
    ]
    assert number_of_devices(app, ada) == 1

    event(app=app, client=client, ada=ada, phone=phone, mailbox=mailbox)

    assert number_of_devices(app, ada) == (1 if event in KEPT else 0)
    if event in (change_password, reset_by_mail):
        body = {"username": "ada", "password": NEW_PASSWORD, "device_token": token}
        assert client.post(f"{API}/auth/login", json=body).status_code == 403
    if event is log_out_others:
        assert give_password(client, ada, device_token=token).status_code == 200
