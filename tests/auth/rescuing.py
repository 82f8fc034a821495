"""A thief and an owner, for the stories of whose the account is in the end.

Ada is the owner. The thief knows her password and is signed in; Bob's account
is another one that the thief has.
"""

from collections.abc import Callable
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.extensions import db
from app.models import User
from app.security import one_time_tokens
from app.security.one_time_tokens import Purpose
from tests.factories import API, PASSWORD, bearer
from tests.mailbox import Mailbox

OLD, THIEFS, OWN = "ada@example.com", "thief@example.com", "set by ada herself"

Rescue = Callable[[], str]


class Thief:
    """Somebody who knows Ada's password."""

    def __init__(self, app: Flask, mailbox: Mailbox, ada: User) -> None:
        self.client, self.mailbox, self.ada = app.test_client(), mailbox, ada
        self.pair: dict[str, Any] = {}

    def log_in(self, **identifier: str) -> TestResponse:
        response = self.client.post(
            f"{API}/auth/login",
            json=(identifier or {"username": "ada"}) | {"password": PASSWORD},
            headers={"User-Agent": "the browser of a thief"},
        )
        if response.status_code == 200:
            self.pair = response.json
        return response

    def ask_to_move(self, to: str = THIEFS) -> TestResponse:
        return self.client.post(
            f"{API}/auth/email/change",
            json={"new_email": to},
            headers=bearer(self.pair["access_token"]),
        )

    def move(self) -> None:
        """Move Ada's account to the own mailbox."""
        assert self.log_in().status_code == 200
        assert self.ask_to_move().status_code == 202
        body = {"token": self.mailbox.token("confirm-email", to=THIEFS)}
        assert self.post("/auth/email/change/confirm", body).status_code == 204

    def post(self, path: str, body: dict[str, Any]) -> TestResponse:
        return self.client.post(API + path, json=body)


def reset(client: FlaskClient, token: str, password: str = OWN) -> TestResponse:
    body = {"token": token, "new_password": password}
    return client.post(f"{API}/auth/password/reset", json=body)


def cancel(client: FlaskClient, token: str) -> TestResponse:
    return client.post(f"{API}/auth/email/change/cancel", json={"token": token})


def holder_of(app: Flask, email: str) -> int | None:
    with app.app_context():
        return db.session.scalar(select(User.id).where(User.email == email))


def issue(app: Flask, user: User, purpose: Purpose, email: str) -> str:
    with app.app_context():
        token = one_time_tokens.issue(user.id, purpose, email=email)
        db.session.commit()
    return token
