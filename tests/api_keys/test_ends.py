"""After what no API key goes on, and after what it does."""

from collections.abc import Callable
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from app.models import User
from tests.api_keys.calls import events
from tests.factories import API, PASSWORD, bearer, log_in, make_user, me
from tests.mailbox import Mailbox

Make = Callable[..., dict[str, Any]]
Act = Callable[..., Any]
NEW = "another long and good password"


def post(client: FlaskClient, user: User, path: str, **body: Any) -> None:
    headers = bearer(log_in(client, user)["access_token"])
    answer = client.post(f"{API}/{path}", headers=headers, json=body)
    assert answer.status_code in (200, 202, 204), answer.text


def by_admin(
    client: FlaskClient, user: User, admin: User, method: str, path: str, **body: Any
) -> None:
    headers = bearer(log_in(client, admin)["access_token"])
    answer = client.open(
        f"{API}/users/{user.id}{path}", method=method, headers=headers, json=body or None
    )
    assert answer.status_code < 300, answer.text


def reset(client: FlaskClient, user: User, admin: User, mailbox: Mailbox) -> None:
    client.post(f"{API}/auth/password/forgot", json={"email": user.email})
    token = mailbox.token("reset-password", user.email)
    answer = client.post(f"{API}/auth/password/reset", json={"token": token, "new_password": NEW})
    assert answer.status_code == 204, answer.text


def not_me(client: FlaskClient, user: User, admin: User, mailbox: Mailbox) -> None:
    token = mailbox.token("not-me", user.email)
    assert client.post(f"{API}/auth/not-me", json={"token": token}).status_code == 204


def deactivate(client: FlaskClient, user: User, admin: User, mailbox: Mailbox) -> None:
    by_admin(client, user, admin, "PATCH", "", is_active=False)
    by_admin(client, user, admin, "PATCH", "", is_active=True)


def close(client: FlaskClient, user: User, admin: User, mailbox: Mailbox) -> None:
    headers = bearer(log_in(client, user)["access_token"])
    client.delete(f"{API}/users/me", headers=headers, json={"password": PASSWORD})
    log_in(client, user)


def change(client: FlaskClient, user: User, admin: User, mailbox: Mailbox, **more: Any) -> None:
    body = {"current_password": PASSWORD, "new_password": NEW, **more}
    post(client, user, "auth/password/change", **body)


def change_and_keep(client: FlaskClient, user: User, admin: User, mailbox: Mailbox) -> None:
    change(client, user, admin, mailbox, keep_keys=True)


def log_out(client: FlaskClient, user: User, admin: User, mailbox: Mailbox) -> None:
    post(client, user, "auth/logout?scope=global")


def end_sessions(client: FlaskClient, user: User, admin: User, mailbox: Mailbox) -> None:
    by_admin(client, user, admin, "DELETE", "/sessions")


def test_what_ends_keys_and_what_does_not(
    app: Flask, client: FlaskClient, grace: User, mailbox: Mailbox, make_key: Make
) -> None:
    acts: dict[Act, bool] = {
        reset: True,
        not_me: True,
        deactivate: True,
        close: True,
        change: True,
        change_and_keep: False,
        log_out: False,
        end_sessions: False,
    }
    ended = {}
    for act in acts:
        name = act.__name__.replace("_", "")
        user = make_user(app, username=name, email=f"{name}@example.com", email_verified=True)
        key = make_key(user)["key"]
        assert me(client, key).status_code == 200
        act(client, user, grace, mailbox)
        ended[act] = me(client, key).status_code == 401

    assert ended == acts
    reasons = [details["reason"] for _, _, _, details in events(app, "keys_ended")]
    assert reasons == ["password_reset", "repudiated", "shut_out", "closed", "password_changed"]


def test_an_erased_account_leaves_no_key(
    app: Flask, client: FlaskClient, ada: User, grace: User, make_key: Make
) -> None:
    from tests.api_keys.calls import rows

    make_key(ada)
    by_admin(client, ada, grace, "DELETE", "")

    assert rows(app) == []
