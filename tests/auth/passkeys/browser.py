"""What a page does with a passkey: options from the server, an answer of the authenticator."""

from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.models import User
from tests.auth.passkeys.authenticator import Authenticator, Lies
from tests.factories import API, bearer, log_in


def options(client: FlaskClient, path: str, token: str | None = None, **body: Any) -> Any:
    """The ceremony and the options of a call."""
    headers = bearer(token) if token else {}
    sent = {"json": body} if body or token is None else {}
    answer = client.post(f"{API}/auth/{path}", headers=headers, **sent)
    assert answer.status_code == 200, answer.text
    return answer.json


def register(
    client: FlaskClient,
    token: str,
    authenticator: Authenticator,
    *,
    lies: Lies | None = None,
    **members: Any,
) -> TestResponse:
    begun = options(client, "passkeys/options", token)
    body = {
        "ceremony": begun["ceremony"],
        "credential": authenticator.create(begun["options"], lies),
        **members,
    }
    return client.post(f"{API}/auth/passkeys", json=body, headers=bearer(token))


def with_passkey(client: FlaskClient, user: User, authenticator: Authenticator) -> str:
    """Give a user a passkey. Returns the access token that did it."""
    token: str = log_in(client, user)["access_token"]
    answer = register(client, token, authenticator)
    assert answer.status_code == 201, answer.text
    return token


def log_in_with(
    client: FlaskClient, authenticator: Authenticator, lies: Lies | None = None
) -> TestResponse:
    begun = options(client, "passkeys/login-options")
    return client.post(
        f"{API}/auth/passkeys/login",
        json={
            "ceremony": begun["ceremony"],
            "credential": authenticator.get(begun["options"], lies),
        },
    )


def reauthenticate_with(
    client: FlaskClient, token: str, authenticator: Authenticator, lies: Lies | None = None
) -> TestResponse:
    begun = options(client, "reauthenticate/passkey-options", token)
    body = {"ceremony": begun["ceremony"], "credential": authenticator.get(begun["options"], lies)}
    return client.post(f"{API}/auth/reauthenticate", json=body, headers=bearer(token))


def second_step_with(
    client: FlaskClient, ticket: str, authenticator: Authenticator, lies: Lies | None = None
) -> TestResponse:
    begun = options(client, "mfa/passkey-options", mfa_token=ticket)
    body = {"ceremony": begun["ceremony"], "credential": authenticator.get(begun["options"], lies)}
    return client.post(f"{API}/auth/mfa", json={"mfa_token": ticket, **body})


def switch_second_step_on(client: FlaskClient, token: str) -> None:
    body = {"enabled": True}
    answer = client.put(f"{API}/auth/factors/second-step", json=body, headers=bearer(token))
    assert answer.status_code == 200, answer.text
