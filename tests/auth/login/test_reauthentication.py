"""POST /auth/reauthenticate, and routes that want a recent login."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from flask_jwt_extended import jwt_required
from werkzeug.test import TestResponse

from app import clock
from app.access.guards import freshly_signed_in
from app.models import User
from tests.factories import API, PASSWORD, bearer, log_in, me, problem, refresh, refused_fields

STEP_UP = 'Bearer error="insufficient_user_authentication", max_age=600'
PATHS = ["/ours", "/the-librarys"]


def add_routes(app: Flask) -> None:
    """Two routes that want a recent login."""

    @app.get("/ours")
    @freshly_signed_in
    def ours() -> dict[str, Any]:
        return {}

    @app.get("/the-librarys")
    @jwt_required(fresh=True)
    def the_librarys() -> dict[str, Any]:
        return {}


@pytest.fixture
def client(make_app: Callable[..., Flask]) -> FlaskClient:
    return make_app(add=add_routes).test_client()


@pytest.fixture
def time() -> Iterator[time_machine.Traveller]:
    with time_machine.travel("2026-11-22T08:00:00Z", tick=False) as traveller:
        yield traveller


def visit(client: FlaskClient, path: str, access_token: str) -> TestResponse:
    return client.get(path, headers=bearer(access_token))


def reauthenticate(client: FlaskClient, access_token: str, password: Any) -> TestResponse:
    return client.post(
        f"{API}/auth/reauthenticate", headers=bearer(access_token), json={"password": password}
    )


# What is fresh


@pytest.mark.parametrize("path", PATHS)
def test_a_login_is_fresh(client: FlaskClient, ada: User, path: str) -> None:
    pair = log_in(client, ada)

    response = visit(client, path, pair["access_token"])

    assert response.status_code == 200


@pytest.mark.parametrize("path", PATHS)
def test_a_login_by_the_token_endpoint_is_fresh(client: FlaskClient, ada: User, path: str) -> None:
    form = {"grant_type": "password", "username": "ada", "password": PASSWORD}
    pair = client.post(f"{API}/auth/token", data=form).json

    response = visit(client, path, pair["access_token"])

    assert response.status_code == 200


@pytest.mark.parametrize("path", PATHS)
def test_a_refreshed_token_is_never_fresh(client: FlaskClient, ada: User, path: str) -> None:
    pair = refresh(client, log_in(client, ada)["refresh_token"]).json

    response = visit(client, path, pair["access_token"])

    assert problem(response) == (401, "fresh_token_required")
    assert response.headers["WWW-Authenticate"] == STEP_UP
    assert me(client, pair["access_token"]).status_code == 200


@pytest.mark.parametrize("path", PATHS)
def test_a_repeated_refresh_is_not_fresh_either(client: FlaskClient, ada: User, path: str) -> None:
    pair = log_in(client, ada)
    refresh(client, pair["refresh_token"])

    again = refresh(client, pair["refresh_token"]).json

    assert problem(visit(client, path, again["access_token"])) == (401, "fresh_token_required")


@pytest.mark.parametrize("path", PATHS)
def test_saying_the_password_again_makes_fresh(client: FlaskClient, ada: User, path: str) -> None:
    pair = refresh(client, log_in(client, ada)["refresh_token"]).json

    fresh = reauthenticate(client, pair["access_token"], PASSWORD).json

    assert visit(client, path, fresh["access_token"]).status_code == 200


def test_a_login_counts_as_recent_for_ten_minutes(
    client: FlaskClient, ada: User, time: time_machine.Traveller
) -> None:
    pair = log_in(client, ada)

    time.shift(timedelta(minutes=10) - timedelta(seconds=1))
    before = visit(client, "/ours", pair["access_token"])
    time.shift(timedelta(seconds=1))
    after = visit(client, "/ours", pair["access_token"])

    assert before.status_code == 200
    assert problem(after) == (401, "fresh_token_required")
    assert after.headers["WWW-Authenticate"] == STEP_UP


def test_the_librarys_own_decorator_counts_alike(
    client: FlaskClient, ada: User, time: time_machine.Traveller
) -> None:
    pair = log_in(client, ada)

    time.shift(timedelta(minutes=10) - timedelta(seconds=1))
    before = visit(client, "/the-librarys", pair["access_token"])
    time.shift(timedelta(seconds=2))
    after = visit(client, "/the-librarys", pair["access_token"])

    assert before.status_code == 200
    assert problem(after) == (401, "fresh_token_required")


def test_reauthentication_counts_as_recent_for_ten_minutes(
    client: FlaskClient, ada: User, time: time_machine.Traveller
) -> None:
    stale = refresh(client, log_in(client, ada)["refresh_token"]).json["access_token"]
    fresh = reauthenticate(client, stale, PASSWORD).json["access_token"]

    time.shift(timedelta(minutes=10) - timedelta(seconds=1))
    before = visit(client, "/ours", fresh)
    time.shift(timedelta(seconds=1))
    after = visit(client, "/ours", fresh)

    assert before.status_code == 200
    assert problem(after) == (401, "fresh_token_required")


def test_how_long_a_login_is_recent_is_a_setting(
    new_app: Callable[..., Flask], ada: User, time: time_machine.Traveller
) -> None:
    app = new_app(FRESH_TOKEN_EXPIRE_MINUTES="0.5")
    app.add_url_rule("/ours", view_func=freshly_signed_in(dict))
    client = app.test_client()
    pair = log_in(client, ada)

    time.shift(timedelta(seconds=29))
    before = visit(client, "/ours", pair["access_token"])
    time.shift(timedelta(seconds=1))
    after = visit(client, "/ours", pair["access_token"])

    assert before.status_code == 200
    assert problem(after) == (401, "fresh_token_required")


# Other refusals come first


@pytest.mark.parametrize("path", PATHS)
def test_an_ended_session_is_told_so_though_its_token_is_fresh(
    client: FlaskClient, ada: User, path: str
) -> None:
    pair = log_in(client, ada)
    client.post(f"{API}/auth/logout", headers=bearer(pair["access_token"]))

    response = visit(client, path, pair["access_token"])

    assert problem(response) == (401, "session_ended")


def test_an_ended_session_whose_token_is_stale_is_not_sent_to_reauthenticate(
    client: FlaskClient, ada: User
) -> None:
    pair = refresh(client, log_in(client, ada)["refresh_token"]).json
    client.post(f"{API}/auth/logout", headers=bearer(pair["access_token"]))

    response = visit(client, "/ours", pair["access_token"])

    assert problem(response) == (401, "session_ended")


@pytest.mark.parametrize("path", PATHS)
def test_no_token_is_not_a_stale_one(client: FlaskClient, path: str) -> None:
    response = client.get(path)

    assert problem(response) == (401, "not_authenticated")
    assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("path", PATHS)
def test_a_refresh_token_is_not_a_stale_one(client: FlaskClient, ada: User, path: str) -> None:
    pair = log_in(client, ada)

    response = visit(client, path, pair["refresh_token"])

    assert problem(response) == (401, "invalid_token")


def test_an_expired_token_is_told_so(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)

    with time_machine.travel(clock.now() + timedelta(minutes=16)):
        response = visit(client, "/ours", pair["access_token"])

    assert problem(response) == (401, "token_expired")


# Saying the password again


def test_it_answers_an_access_token_alone(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)

    response = reauthenticate(client, pair["access_token"], PASSWORD)

    assert response.status_code == 200
    assert response.json.keys() == {"access_token", "token_type", "expires_in"}
    assert (response.json["token_type"], response.json["expires_in"]) == ("bearer", 900)
    assert response.headers["Cache-Control"] == "no-store"


def test_it_is_of_the_same_session_and_rotates_nothing(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)

    fresh = reauthenticate(client, pair["access_token"], PASSWORD).json

    (session,) = client.get(f"{API}/auth/sessions", headers=bearer(fresh["access_token"])).json[
        "items"
    ]
    assert session["is_current"]
    assert refresh(client, pair["refresh_token"]).status_code == 200


def test_its_token_dies_with_the_session(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)
    fresh = reauthenticate(client, pair["access_token"], PASSWORD).json
    client.post(f"{API}/auth/logout", headers=bearer(pair["access_token"]))

    response = visit(client, "/ours", fresh["access_token"])

    assert problem(response) == (401, "session_ended")


def test_its_token_never_outlives_the_session(
    client: FlaskClient, ada: User, time: time_machine.Traveller
) -> None:
    pair = log_in(client, ada)
    time.shift(timedelta(days=13))
    pair = refresh(client, pair["refresh_token"]).json
    time.shift(timedelta(days=13))
    pair = refresh(client, pair["refresh_token"]).json
    time.shift(timedelta(days=4) - timedelta(minutes=5))
    pair = refresh(client, pair["refresh_token"]).json

    fresh = reauthenticate(client, pair["access_token"], PASSWORD).json

    assert fresh["expires_in"] == 300


@pytest.mark.parametrize("password", ["wrong", "", PASSWORD.upper(), PASSWORD + " ", "x" * 1000])
def test_a_wrong_password_is_refused_and_the_session_lives(
    client: FlaskClient, ada: User, password: str
) -> None:
    pair = log_in(client, ada)

    response = reauthenticate(client, pair["access_token"], password)

    assert problem(response) == (403, "wrong_password")
    assert response.json["detail"] == "Incorrect password"
    assert "WWW-Authenticate" not in response.headers
    assert me(client, pair["access_token"]).status_code == 200
    assert refresh(client, pair["refresh_token"]).status_code == 200


@pytest.mark.parametrize("password", [None, 12345678, 1.5, True, [PASSWORD], {"is": PASSWORD}])
def test_a_password_that_is_no_string_is_refused(
    client: FlaskClient, ada: User, password: Any
) -> None:
    pair = log_in(client, ada)

    response = reauthenticate(client, pair["access_token"], password)

    assert refused_fields(response).keys() == {"#/password"}


@pytest.mark.parametrize("escape", [r"\u0000", r"\ud800"])
def test_characters_that_no_password_has_are_refused(
    client: FlaskClient, ada: User, escape: str
) -> None:
    pair = log_in(client, ada)

    response = client.post(
        f"{API}/auth/reauthenticate",
        headers=bearer(pair["access_token"]),
        data=f'{{"password": "within {escape} it"}}',
        content_type="application/json",
    )

    assert refused_fields(response) == {"#/password": "invalid_characters"}


def test_exactly_one_proof_must_be_there_and_nothing_else(client: FlaskClient, ada: User) -> None:
    headers = bearer(log_in(client, ada)["access_token"])
    url = f"{API}/auth/reauthenticate"

    missing = client.post(url, headers=headers, json={})
    two = client.post(url, headers=headers, json={"password": PASSWORD, "otp": "123456"})
    unknown = client.post(url, headers=headers, json={"password": PASSWORD, "code": "1"})

    assert refused_fields(missing) == {"#": "one_proof"}
    assert refused_fields(two) == {"#": "one_proof"}
    assert refused_fields(unknown).keys() == {"#/code"}


@pytest.mark.parametrize("body", [{"password": 1}, {"password": PASSWORD}, {}])
def test_who_asks_comes_before_what_was_sent(client: FlaskClient, body: dict[str, Any]) -> None:
    response = client.post(f"{API}/auth/reauthenticate", json=body)

    assert problem(response) == (401, "not_authenticated")


def test_a_refresh_token_does_not_reauthenticate(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)

    response = reauthenticate(client, pair["refresh_token"], PASSWORD)

    assert problem(response) == (401, "invalid_token")
