"""An authenticator app in somebody's hand, and what its owner does with it."""

from dataclasses import dataclass
from typing import Any

import pyotp
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import clock
from app.models import User
from tests.factories import API, PASSWORD, bearer, log_in

SECONDS = 30


@dataclass
class Phone:
    """It shows the codes of one secret. ``recovery_codes`` were shown with it."""

    secret: str
    recovery_codes: list[str]
    access_token: str

    def code(self, *, later: int = 0) -> str:
        """The code that it shows now, or some steps later or earlier."""
        return pyotp.TOTP(self.secret).at(int(clock.now().timestamp()) + later * SECONDS)

    def unused_code(self) -> str:
        """The next code: the one of now may have been used to confirm the secret.

        The server accepts it, because its clock is moved with ``travel``.
        """
        return self.code(later=1)


def enrol(client: FlaskClient, user: User) -> Phone:
    """Let a user set up an authenticator app, from a new session."""
    token = log_in(client, user)["access_token"]
    return enrol_with(client, token)


def enrol_with(client: FlaskClient, access_token: str) -> Phone:
    headers = bearer(access_token)
    made = client.post(f"{API}/auth/factors/totp", headers=headers)
    assert made.status_code == 201, made.text
    phone = Phone(made.json["secret"], [], access_token)
    # The code of the step before, so that the code of now still works.
    confirmed = confirm(client, access_token, phone.code(later=-1))
    assert confirmed.status_code == 200, confirmed.text
    phone.recovery_codes = confirmed.json.get("recovery_codes", [])
    return phone


def confirm(client: FlaskClient, access_token: str, otp: str) -> TestResponse:
    path = f"{API}/auth/factors/totp/confirm"
    return client.post(path, json={"otp": otp}, headers=bearer(access_token))


def give_password(client: FlaskClient, user: User, **beside: Any) -> TestResponse:
    """Log in with the right password, and perhaps a second proof."""
    body = {"username": user.username, "password": PASSWORD, **beside}
    return client.post(f"{API}/auth/login", json=body)


def ticket_of(client: FlaskClient, user: User) -> str:
    """The ``mfa_token`` of a login that waits for its second step."""
    refusal = give_password(client, user)
    assert refusal.status_code == 403, refusal.text
    token: str = refusal.json["mfa_token"]
    return token


def go_on(client: FlaskClient, mfa_token: str, **proof: Any) -> TestResponse:
    return client.post(f"{API}/auth/mfa", json={"mfa_token": mfa_token, **proof})
