"""A browser: it keeps cookies, and says that our own pages send its requests."""

from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.http import parse_cookie
from werkzeug.test import TestResponse

from app.models import User
from tests.factories import API, PASSWORD

SESSION = "__Host-session"
FORM = "__Host-form"


def browser(app: Flask) -> FlaskClient:
    client = app.test_client()
    client.environ_base["HTTP_SEC_FETCH_SITE"] = "same-origin"
    return client


def sign_in(client: FlaskClient, user: User, *, remember: bool = False, **beside: Any) -> str:
    """Begin a session that a cookie of the client holds. Returns the cookie's secret."""
    query = "?cookie=true" + ("&remember=true" if remember else "")
    body = {"username": user.username, "password": PASSWORD, **beside}
    answer = client.post(f"{API}/auth/login{query}", json=body)
    assert answer.status_code == 200, answer.text
    return secret_of(client)


def secret_of(client: FlaskClient, name: str = SESSION) -> str:
    """What the client's cookie holds; empty if there is none."""
    cookie = client.get_cookie(name)
    return cookie.value if cookie else ""


def hold(client: FlaskClient, secret: str, name: str = SESSION) -> None:
    """Let the client send this cookie."""
    client.set_cookie(name, secret)


def cookies_set(answer: TestResponse) -> dict[str, dict[str, str]]:
    """The cookies that an answer sets, by their names: the value and the attributes of each."""
    found = {}
    for line in answer.headers.getlist("Set-Cookie"):
        first, *attributes = line.split("; ")
        [(name, value)] = parse_cookie(first).items()
        pairs = (each.partition("=") for each in attributes)
        assert name not in found, "one cookie twice in an answer"
        found[name] = {"value": value, **{key: text for key, _, text in pairs}}
    return found
