"""A client that nobody here wrote: Authlib's, with OAuth 2's password grant (RFC 6749 §4.3)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread

import pytest
from authlib.integrations.requests_client import OAuth2Session, OAuthError
from flask import Flask
from werkzeug.serving import make_server

from app.models import User
from tests.cases import each
from tests.factories import API, PASSWORD


@pytest.fixture
def url(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with served(app, monkeypatch) as url:
        yield url


@contextmanager
def served(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The application behind a real socket."""
    # Authlib speaks to https alone unless told otherwise.
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "true")
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}{API}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("identifier", ["ada", "ada@example.com"])
def test_a_client_logs_in_and_reads_the_profile(url: str, ada: User, identifier: str) -> None:
    with OAuth2Session() as session:
        token = session.fetch_token(f"{url}/auth/login", username=identifier, password=PASSWORD)

        response = session.get(f"{url}/users/me")

    assert token["token_type"] == "bearer"
    assert token["expires_in"] == 900
    assert response.status_code == 200
    assert response.json()["username"] == "ada"


def test_a_client_that_has_an_id_and_asks_for_scopes_is_tolerated(url: str, ada: User) -> None:
    with OAuth2Session("a-client", scope="profile email") as session:
        session.fetch_token(f"{url}/auth/login", username="ada", password=PASSWORD)

        response = session.get(f"{url}/users/me")

    assert response.status_code == 200


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_a_client_that_has_a_secret_is_tolerated(url: str, ada: User, method: str) -> None:
    with OAuth2Session("a-client", "its secret", token_endpoint_auth_method=method) as session:
        session.fetch_token(f"{url}/auth/login", username="ada", password=PASSWORD)

        response = session.get(f"{url}/users/me")

    assert response.status_code == 200


def test_a_password_of_any_characters_survives_the_form(app: Flask, url: str) -> None:
    password = "päss wörd+&=%41 😀"
    account = {"email": "bob@example.com", "username": "bob", "password": password}
    app.test_client().post(f"{API}/auth/register", json=account)

    with OAuth2Session() as session:
        token = session.fetch_token(f"{url}/auth/login", username="bob", password=password)

    assert token["access_token"]


def test_a_wrong_password_gives_no_token(url: str, ada: User) -> None:
    with OAuth2Session() as session:
        answer = session.fetch_token(f"{url}/auth/login", username="ada", password="wrong")

    assert answer["code"] == "invalid_credentials"
    assert "access_token" not in answer


@each(
    "settings, password, error",
    [
        ({}, "wrong", "invalid_grant"),
        ({}, "x" * 70_000, "invalid_request"),
        (
            {"RATELIMIT_ENABLED": "true", "RATELIMIT_TOKEN": "1 per hour"},
            PASSWORD,
            "temporarily_unavailable",
        ),
    ],
)
def test_a_client_never_takes_a_refusal_for_a_token(
    make_app: Callable[..., Flask],
    ada: User,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, str],
    password: str,
    error: str,
) -> None:
    with served(make_app(**settings), monkeypatch) as url, OAuth2Session() as session:
        if settings:
            session.fetch_token(f"{url}/auth/token", username="ada", password=PASSWORD)

        with pytest.raises(OAuthError) as caught:
            session.fetch_token(f"{url}/auth/token", username="ada", password=password)

    assert caught.value.error == error
    assert caught.value.description
