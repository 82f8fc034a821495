"""No request needs two connections of the pool at once

If each of as many requests as there are connections held one and waited for a second, they would
wait for each other until the pool gives up.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from app import clock
from app.database import engines
from app.extensions import db
from app.models import LoginThrottle, User
from app.users import closing
from tests.factories import API, PASSWORD, bearer, log_in, refresh
from tests.mailbox import Mailbox

NEW_PASSWORD = "an entirely different phrase"


@pytest.fixture
def narrow(app: Flask, make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch) -> Flask:
    """The application with a pool of one connection."""
    options = engines.engine_options

    def of_one_connection(settings: Any) -> dict[str, Any]:
        return {**options(settings), "pool_size": 1, "max_overflow": 0, "pool_timeout": 0.5}

    monkeypatch.setattr(engines, "engine_options", of_one_connection)
    plenty = dict.fromkeys(
        ("RATELIMIT_LOGIN", "RATELIMIT_LOGIN_FAILURES", "RATELIMIT_MAIL"), "100000 per hour"
    )
    return make_app(RATELIMIT_ENABLED="true", **plenty)


@pytest.fixture
def client(narrow: Flask) -> FlaskClient:
    return narrow.test_client()


def call(client: FlaskClient, method: str, path: str, pair: dict[str, Any], **body: Any) -> int:
    headers = bearer(pair["access_token"])
    answer = client.open(API + path, method=method, json=body or None, headers=headers)
    return answer.status_code


def test_logging_in_right_wrong_and_too_often(client: FlaskClient, ada: User) -> None:
    wrong = {"username": "ada", "password": "wrong"}

    pair = log_in(client, ada)
    answers = [client.post(f"{API}/auth/login", json=wrong).status_code for _ in range(6)]

    assert answers == [401] * 5 + [429]
    assert call(client, "GET", "/users/me", pair) == 200


@pytest.mark.parametrize("is_own", [True, False])
def test_logging_in_where_the_account_is_suspended(
    narrow: Flask, client: FlaskClient, ada: User, is_own: bool
) -> None:
    """From a network of the owner's own it goes on, which takes one more statement."""
    away = {"environ_base": {"REMOTE_ADDR": "198.51.100.1"}}
    wrong, right = ({"username": "ada", "password": word} for word in ("wrong", PASSWORD))
    log_in(client, ada)
    client.post(f"{API}/auth/login", json=wrong, **away)
    with narrow.app_context():
        anywhere = LoginThrottle.network == "*"
        db.session.execute(update(LoginThrottle).where(anywhere).values(failures=100))
        db.session.commit()

    response = client.post(f"{API}/auth/login", json=right, **({} if is_own else away))

    assert response.status_code == (200 if is_own else 429)


def test_refreshing_retrying_and_being_caught(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)
    answers = [refresh(client, pair["refresh_token"]) for _ in range(2)]
    with time_machine.travel(clock.now() + timedelta(minutes=1)):
        answers.append(refresh(client, pair["refresh_token"]))
        answers.append(refresh(client, answers[0].json["refresh_token"]))

    assert [answer.status_code for answer in answers] == [200, 200, 200, 401]


def test_everything_that_asks_for_the_password(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}

    for word, status in (("wrong", 403), (PASSWORD, 200)):
        assert call(client, "POST", "/auth/reauthenticate", pair, password=word) == status
    assert call(client, "POST", "/auth/password/change", pair, **body) == 200
    pair = log_in(client, ada, NEW_PASSWORD)
    assert call(client, "DELETE", "/users/me", pair, password=NEW_PASSWORD) == 202


def test_what_people_do_with_their_account(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "/users/me/activity", {}),
        ("GET", "/users/me/export", {}),
        ("GET", "/auth/sessions", {}),
        ("PATCH", "/users/me", {"bio": "Numbers.", "username": "countess"}),
        ("POST", "/auth/email/change", {"new_email": "countess@example.com"}),
        ("POST", "/auth/logout?scope=others", {}),
        ("POST", "/auth/logout?scope=global", {}),
    ]

    answers = [call(client, method, path, pair, **body) for method, path, body in calls]

    assert answers == [200, 200, 200, 200, 202, 204, 204]


def test_mails_and_their_links(
    narrow: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox = Mailbox(narrow)
    mailbox.collect(monkeypatch)
    account = {"email": "ada@example.com", "username": "ada", "password": PASSWORD}
    assert client.post(f"{API}/auth/register", json=account).status_code == 201

    verified = client.post(
        f"{API}/auth/email/verify", json={"token": mailbox.token("verify-email")}
    )
    client.post(f"{API}/auth/password/forgot", json={"email": "ada@example.com"})
    reset = client.post(
        f"{API}/auth/password/reset",
        json={"token": mailbox.token("reset-password"), "new_password": NEW_PASSWORD},
    )
    not_me = client.post(f"{API}/auth/not-me", json={"token": mailbox.token("not-me")})

    assert [answer.status_code for answer in (verified, reset, not_me)] == [204, 204, 204]


def test_what_administrators_do(
    narrow: Flask, client: FlaskClient, ada: User, bob: User, grace: User
) -> None:
    pair = log_in(client, grace)
    invited = {"email": "eve@example.com", "username": "eve"}
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "/users", {}),
        ("POST", "/users", invited),
        ("PATCH", f"/users/{ada.id}", {"is_active": False}),
        ("GET", f"/users/{bob.id}/sessions", {}),
        ("DELETE", f"/users/{bob.id}/sessions", {}),
        ("POST", f"/users/{bob.id}/password-reset", {}),
        ("GET", f"/users/{bob.id}/audit", {}),
        ("POST", "/roles", {"name": "support", "permissions": ["users:read"]}),
        ("PUT", f"/users/{bob.id}/roles", {"roles": []}),
        ("DELETE", f"/users/{bob.id}", {}),
    ]

    answers = [call(client, method, path, pair, **body) for method, path, body in calls]

    assert answers == [200, 201, 200, 200, 204, 202, 200, 201, 200, 204]
    with narrow.app_context():
        assert closing.erase_due(10) == 0
