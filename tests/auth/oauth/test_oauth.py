"""POST /auth/token and /auth/revoke, and the OAuth 2 clients that people have."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests
import time_machine
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
from flask import Flask
from flask.testing import FlaskClient
from oauthlib.oauth2 import InvalidGrantError, LegacyApplicationClient
from requests_oauthlib import OAuth2Session as RequestsOAuthlibSession
from werkzeug.test import TestResponse

from app import clock, errors
from app.auth.oauth import oauth
from app.http import problems
from app.models import User
from tests import factories
from tests.conftest import ENVIRONMENT
from tests.factories import API, PASSWORD, bearer, log_in, me, problem, refresh
from tests.servers import Server, serving

PASSWORD_GRANT = {"grant_type": "password", "username": "ada", "password": PASSWORD}
FORM = "application/x-www-form-urlencoded"


def ask(client: FlaskClient, **form: str) -> TestResponse:
    return client.post(f"{API}/auth/token", data=form, content_type=FORM)


def swap(client: FlaskClient, refresh_token: str) -> TestResponse:
    return ask(client, grant_type="refresh_token", refresh_token=refresh_token)


def revoke(client: FlaskClient, token: str, **form: str) -> TestResponse:
    return client.post(f"{API}/auth/revoke", data={"token": token, **form}, content_type=FORM)


def oauth_error(response: TestResponse) -> str:
    """The OAuth error, in the problem document's own words and in RFC 6749's."""
    status, code = problem(response)
    assert status == 400
    assert response.json["error"] == code
    assert response.json["error_description"]
    # RFC 6749 §5.2: printable ASCII without the quote and the backslash.
    assert all(" " <= c <= "~" and c not in '"\\' for c in response.json["error_description"])
    assert response.headers["Cache-Control"] == "no-store"
    return code


# The password grant


def test_a_password_gets_a_token_pair_that_works(client: FlaskClient, ada: User) -> None:
    response = ask(client, **PASSWORD_GRANT)

    assert response.status_code == 200
    assert response.json.keys() == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert (response.json["token_type"], response.json["expires_in"]) == ("bearer", 900)
    assert response.headers["Cache-Control"] == "no-store"
    assert me(client, response.json["access_token"]).json["username"] == "ada"


def test_the_username_field_may_hold_the_address(client: FlaskClient, ada: User) -> None:
    response = ask(client, **PASSWORD_GRANT | {"username": "Ada@Example.com"})

    assert response.status_code == 200


def test_fields_that_are_not_known_are_ignored(client: FlaskClient, ada: User) -> None:
    extra = {"scope": "", "client_id": "app", "client_secret": "s", "audience": "x"}

    response = ask(client, **PASSWORD_GRANT | extra)

    assert response.status_code == 200


def test_client_authentication_in_the_header_is_ignored(client: FlaskClient, ada: User) -> None:
    response = client.post(f"{API}/auth/token", data=PASSWORD_GRANT, auth=("app", "secret"))

    assert response.status_code == 200


@pytest.mark.parametrize(
    "credentials",
    [
        {"password": "wrong"},
        {"username": "nobody"},
        {"username": "nobody@example.com"},
        {"username": "@"},
        {"username": "x" * 3000},
    ],
)
def test_wrong_credentials_are_an_invalid_grant(
    client: FlaskClient, ada: User, credentials: dict[str, str]
) -> None:
    response = ask(client, **PASSWORD_GRANT | credentials)

    assert oauth_error(response) == "invalid_grant"


def test_refusals_of_credentials_do_not_tell_who_exists(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    factories.make_user(app, username="bob", email="bob@example.com", active=False)

    answers = [
        ask(client, **PASSWORD_GRANT | {"password": "wrong"}),
        ask(client, **PASSWORD_GRANT | {"username": "nobody"}),
        ask(client, **PASSWORD_GRANT | {"username": "bob", "password": "wrong"}),
    ]

    bodies = [answer.json | {"request_id": ""} for answer in answers]
    assert bodies[0] == bodies[1] == bodies[2]


def test_a_deactivated_account_is_an_invalid_grant(app: Flask, client: FlaskClient) -> None:
    factories.make_user(app, username="ada", email="ada@example.com", active=False)

    response = ask(client, **PASSWORD_GRANT)

    assert oauth_error(response) == "invalid_grant"


# The refresh token grant


def test_a_refresh_token_gets_the_next_pair(client: FlaskClient, ada: User) -> None:
    pair = ask(client, **PASSWORD_GRANT).json

    response = swap(client, pair["refresh_token"])

    assert response.status_code == 200
    assert response.json.keys() == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert response.json["refresh_token"] != pair["refresh_token"]
    assert response.headers["Cache-Control"] == "no-store"
    assert me(client, response.json["access_token"]).status_code == 200


def test_a_refresh_token_repeated_at_once_gets_the_same_successor(
    client: FlaskClient, ada: User
) -> None:
    pair = ask(client, **PASSWORD_GRANT).json
    new = swap(client, pair["refresh_token"]).json

    again = swap(client, pair["refresh_token"])

    assert again.status_code == 200
    assert again.json["refresh_token"] == new["refresh_token"]


def test_sessions_of_both_ways_to_log_in_are_alike(client: FlaskClient, ada: User) -> None:
    by_form, by_json = ask(client, **PASSWORD_GRANT).json, log_in(client, ada)

    crossed = (
        refresh(client, by_form["refresh_token"]),
        swap(client, by_json["refresh_token"]),
    )

    assert [answer.status_code for answer in crossed] == [200, 200]


def test_a_reused_refresh_token_is_an_invalid_grant_and_ends_the_session(
    client: FlaskClient, ada: User
) -> None:
    pair = ask(client, **PASSWORD_GRANT).json
    new = swap(client, pair["refresh_token"]).json

    with time_machine.travel(clock.now() + timedelta(hours=24, seconds=1)):
        response = swap(client, pair["refresh_token"])

    assert oauth_error(response) == "invalid_grant"
    assert oauth_error(swap(client, new["refresh_token"])) == "invalid_grant"
    assert problem(me(client, new["access_token"])) == (401, "session_ended")


def test_an_expired_refresh_token_is_an_invalid_grant(client: FlaskClient, ada: User) -> None:
    pair = ask(client, **PASSWORD_GRANT).json

    with time_machine.travel(clock.now() + timedelta(days=15)):
        response = swap(client, pair["refresh_token"])

    assert oauth_error(response) == "invalid_grant"


def test_the_refresh_token_of_an_ended_session_is_an_invalid_grant(
    client: FlaskClient, ada: User
) -> None:
    pair = ask(client, **PASSWORD_GRANT).json
    client.post(f"{API}/auth/logout", headers=bearer(pair["access_token"]))

    response = swap(client, pair["refresh_token"])

    assert oauth_error(response) == "invalid_grant"


def test_an_access_token_is_no_refresh_token(client: FlaskClient, ada: User) -> None:
    pair = ask(client, **PASSWORD_GRANT).json

    response = swap(client, pair["access_token"])

    assert oauth_error(response) == "invalid_grant"


@pytest.mark.parametrize("token", ["garbage", "a.b.c", "é", "x" * 20_000, " "])
def test_a_refresh_token_that_is_none_is_an_invalid_grant(client: FlaskClient, token: str) -> None:
    response = swap(client, token)

    assert oauth_error(response) == "invalid_grant"


# Requests that are none


@pytest.mark.parametrize("left_out", ["grant_type", "username", "password"])
@pytest.mark.parametrize("how", ["missing", "empty"])
def test_a_field_without_a_value_is_an_invalid_request(
    client: FlaskClient, ada: User, left_out: str, how: str
) -> None:
    form = {k: v for k, v in PASSWORD_GRANT.items() if k != left_out}

    response = ask(client, **form | ({left_out: ""} if how == "empty" else {}))

    assert oauth_error(response) == "invalid_request"
    assert response.json["error_description"].endswith(f": {left_out}.")


@pytest.mark.parametrize("form", [{}, {"refresh_token": ""}, {"username": "ada"}])
def test_a_refresh_without_its_token_is_an_invalid_request(
    client: FlaskClient, form: dict[str, str]
) -> None:
    response = ask(client, grant_type="refresh_token", **form)

    assert oauth_error(response) == "invalid_request"


def test_an_empty_form_is_an_invalid_request(client: FlaskClient) -> None:
    response = client.post(f"{API}/auth/token", data=b"", content_type=FORM)

    assert oauth_error(response) == "invalid_request"


@pytest.mark.parametrize(
    "repeated", ["grant_type=password", "username=ada", "password=x", "scope=a&scope=b"]
)
def test_a_field_given_twice_is_an_invalid_request(
    client: FlaskClient, ada: User, repeated: str
) -> None:
    form = f"grant_type=password&username=ada&password=x&{repeated}"

    response = client.post(f"{API}/auth/token", data=form, content_type=FORM)

    assert oauth_error(response) == "invalid_request"


@pytest.mark.parametrize(
    "form",
    [
        b"grant_type=password&username=%ff&password=x",
        b"grant_type=password&username=\xff&password=x",
        b"grant_type=password&username=%00&password=x",
        b"&".join(b"f%d=1" % n for n in range(200)),
    ],
    ids=["percent-encoded bytes", "bytes", "NUL", "200 fields"],
)
def test_a_form_that_cannot_be_read_is_an_invalid_request(client: FlaskClient, form: bytes) -> None:
    response = client.post(f"{API}/auth/token", data=form, content_type=FORM)

    assert oauth_error(response) == "invalid_request"


@pytest.mark.parametrize(
    "grant_type",
    ["authorization_code", "client_credentials", "PASSWORD", "urn:ietf:params:oauth:x", "é"],
)
def test_other_grants_are_unsupported(client: FlaskClient, ada: User, grant_type: str) -> None:
    response = ask(client, **PASSWORD_GRANT | {"grant_type": grant_type})

    assert oauth_error(response) == "unsupported_grant_type"


@pytest.mark.parametrize("path", ["token", "revoke"])
def test_json_is_no_form(client: FlaskClient, ada: User, path: str) -> None:
    response = client.post(f"{API}/auth/{path}", json=PASSWORD_GRANT | {"token": "x"})

    assert problem(response) == (415, "unsupported_media_type")
    assert response.json["error"] == "invalid_request"
    assert FORM in response.json["error_description"]


@pytest.mark.parametrize("path", ["token", "revoke"])
def test_a_multipart_form_is_no_form(client: FlaskClient, ada: User, path: str) -> None:
    response = client.post(
        f"{API}/auth/{path}",
        data=PASSWORD_GRANT | {"token": "x"},
        content_type="multipart/form-data",
    )

    assert problem(response) == (415, "unsupported_media_type")


@pytest.mark.parametrize("path", ["token", "revoke"])
def test_a_body_over_64_kib_is_too_large(client: FlaskClient, path: str) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": "x" * 65536, "token": "x"}

    response = client.post(f"{API}/auth/{path}", data=form)

    assert problem(response) == (413, "body_too_large")
    assert response.json["error"] == "invalid_request"


@pytest.mark.parametrize("path", ["token", "revoke"])
def test_fields_of_the_query_do_not_count(client: FlaskClient, ada: User, path: str) -> None:
    query = PASSWORD_GRANT | {"token": "x"}

    response = client.post(f"{API}/auth/{path}", query_string=query, data=b"", content_type=FORM)

    assert oauth_error(response) == "invalid_request"


@pytest.mark.parametrize("path", ["token", "revoke"])
def test_there_is_nothing_to_get(client: FlaskClient, path: str) -> None:
    response = client.get(f"{API}/auth/{path}")

    assert problem(response) == (405, "method_not_allowed")
    assert set(response.headers["Allow"].split(", ")) == {"OPTIONS", "POST"}


# Revocation


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
@pytest.mark.parametrize(
    "hint", [{}, {"token_type_hint": "access_token"}, {"token_type_hint": "?"}]
)
def test_either_token_ends_its_session(
    client: FlaskClient, ada: User, kind: str, hint: dict[str, str]
) -> None:
    pair, other = log_in(client, ada), log_in(client, ada)

    response = revoke(client, pair[kind], **({"token_type_hint": hint} if hint else {}))

    assert (response.status_code, response.json) == (200, {})
    assert problem(me(client, pair["access_token"])) == (401, "session_ended")
    assert oauth_error(swap(client, pair["refresh_token"])) == "invalid_grant"
    assert me(client, other["access_token"]).status_code == 200


def test_an_expired_access_token_ends_its_session_too(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)

    with time_machine.travel(clock.now() + timedelta(minutes=16)):
        response = revoke(client, pair["access_token"])

    assert response.status_code == 200
    assert oauth_error(swap(client, pair["refresh_token"])) == "invalid_grant"


def test_a_superseded_refresh_token_ends_its_session_too(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)
    new = refresh(client, pair["refresh_token"]).json

    response = revoke(client, pair["refresh_token"])

    assert response.status_code == 200
    assert problem(me(client, new["access_token"])) == (401, "session_ended")


def test_a_token_revoked_twice_is_no_error(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)
    revoke(client, pair["access_token"])

    response = revoke(client, pair["access_token"])

    assert response.status_code == 200


@pytest.mark.parametrize(
    "token", ["garbage", "a.b.c", "x" * 20_000, "eyJhbGciOiJub25lIn0.e30.", " "]
)
def test_a_token_that_is_none_is_no_error(client: FlaskClient, ada: User, token: str) -> None:
    pair = log_in(client, ada)

    response = revoke(client, token)

    assert response.status_code == 200
    assert me(client, pair["access_token"]).status_code == 200


def test_a_forged_token_ends_nothing(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)
    head, claims, _signature = pair["access_token"].split(".")

    response = revoke(client, f"{head}.{claims}.AAAA")

    assert response.status_code == 200
    assert me(client, pair["access_token"]).status_code == 200


@pytest.mark.parametrize("form", [b"", b"token=", b"token_type_hint=x", b"token=a&token=b"])
def test_revoking_nothing_in_particular_is_an_invalid_request(
    client: FlaskClient, form: bytes
) -> None:
    response = client.post(f"{API}/auth/revoke", data=form, content_type=FORM)

    assert oauth_error(response) == "invalid_request"


def test_revoking_without_a_body_is_an_invalid_request(client: FlaskClient) -> None:
    response = client.post(f"{API}/auth/revoke")

    assert oauth_error(response) == "invalid_request"


# Clients, over a socket


@pytest.fixture(scope="module")
def server(
    session_app: Flask, database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server whose access tokens last three seconds."""
    log = tmp_path_factory.mktemp("oauth") / "gunicorn.log"
    with serving(
        log,
        **ENVIRONMENT,
        DATABASE_URL=database_url,
        WEB_CONCURRENCY="1",
        WEB_THREADS="4",
        ACCESS_TOKEN_EXPIRE_MINUTES="0.05",
    ) as server:
        yield server


def wait_until_expired(server: Server, token: dict[str, Any]) -> None:
    """By the client's clock, which counts in whole seconds, and by the server's."""
    time.sleep(max(0, token["expires_at"] - time.time()) + 0.1)
    answer = requests.get(
        f"{server.api}/users/me", headers=bearer(token["access_token"]), timeout=30
    )
    assert (answer.status_code, answer.json()["code"]) == (401, "token_expired")


@pytest.fixture
def authlib(server: Server, ada: User) -> Iterator[tuple[Any, list[Any]]]:
    """Authlib's client, logged in, and what it reported as new tokens."""
    updates: list[Any] = []
    with AuthlibSession(
        "app",
        token_endpoint=f"{server.api}/auth/token",
        token_endpoint_auth_method="none",
        revocation_endpoint_auth_method="none",
        update_token=lambda token, **_: updates.append(dict(token)),
        leeway=0,
    ) as session:
        session.fetch_token(username="ada", password=PASSWORD, grant_type="password")
        yield session, updates


@pytest.fixture
def requests_oauthlib(
    server: Server, ada: User, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Any, list[Any]]]:
    """requests-oauthlib's client, logged in, and what it reported as new tokens."""
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    updates: list[Any] = []
    url = f"{server.api}/auth/token"
    with RequestsOAuthlibSession(
        client=LegacyApplicationClient(client_id="app"),
        auto_refresh_url=url,
        auto_refresh_kwargs={"client_id": "app"},
        token_updater=updates.append,
    ) as session:
        session.fetch_token(url, username="ada", password=PASSWORD)
        yield session, updates


@pytest.mark.xdist_group("oauth")
@pytest.mark.parametrize("client_of", ["authlib", "requests_oauthlib"])
def test_clients_log_in_and_refresh_by_themselves(
    server: Server, request: pytest.FixtureRequest, client_of: str
) -> None:
    session, updates = request.getfixturevalue(client_of)
    first = dict(session.token)
    assert session.get(f"{server.api}/users/me").json()["username"] == "ada"

    for _ in range(2):
        wait_until_expired(server, session.token)
        answer = session.get(f"{server.api}/users/me")

        assert answer.status_code == 200, answer.text
        assert answer.json()["username"] == "ada"

    refreshed = [token["refresh_token"] for token in updates]
    assert len({first["refresh_token"], *refreshed}) == 1 + len(refreshed) >= 3
    assert session.token["refresh_token"] == refreshed[-1]


@pytest.mark.xdist_group("oauth")
def test_authlib_revokes(server: Server, authlib: tuple[Any, list[Any]]) -> None:
    session, _updates = authlib
    refresh_token = session.token["refresh_token"]

    answer = session.revoke_token(f"{server.api}/auth/revoke", token=refresh_token)

    assert answer.status_code == 200
    swapped = requests.post(
        f"{server.api}/auth/token",
        data={"grant_type": "refresh_token", "refresh_token": refresh_token},
        timeout=10,
    )
    assert (swapped.status_code, swapped.json()["error"]) == (400, "invalid_grant")


@pytest.mark.xdist_group("oauth")
def test_authlib_understands_a_refusal(server: Server, ada: User) -> None:
    url = f"{server.api}/auth/token"

    with (
        AuthlibSession("app", token_endpoint_auth_method="none") as session,
        pytest.raises(OAuthError) as refusal,
    ):
        session.fetch_token(url, username="ada", password="wrong", grant_type="password")

    assert refusal.value.error == "invalid_grant"
    assert refusal.value.description


@pytest.mark.xdist_group("oauth")
def test_requests_oauthlib_understands_a_refusal(
    server: Server, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    client = LegacyApplicationClient(client_id="app")

    with (
        RequestsOAuthlibSession(client=client) as session,
        pytest.raises(InvalidGrantError) as refusal,
    ):
        session.fetch_token(f"{server.api}/auth/token", username="ada", password="wrong")

    assert refusal.value.description


# What strict clients read


def answers_to_oauth_clients(app: Flask, path: str) -> Iterator[TestResponse]:
    """An answer of each status that the call can have, in a client's hands."""
    client = app.test_client()
    yield client.post(path, data={}, content_type=FORM)
    yield client.post(path, data="a=1&a=2", content_type=FORM)
    yield client.post(path, data=b"\xff=%ff", content_type=FORM)
    yield client.post(path + "/", data={}, content_type=FORM)
    yield client.get(path)
    yield client.put(path, data={}, content_type=FORM)
    yield client.post(path, data="a=" + "x" * 70_000, content_type=FORM)
    yield client.post(path, json={"token": "x"})
    yield client.post(path, data="grant_type=password", content_type="text/plain")
    yield client.post(path, data={"token": "x"}, content_type=FORM, headers={"Host": "evil.test"})
    yield client.options(path, headers={"Host": "evil.test"})
    yield client.options(path + "/")


@pytest.mark.parametrize("call", ["token", "revoke"])
def test_every_refusal_is_plain_json_with_the_members_of_a_problem(
    make_app: Callable[..., Flask], call: str
) -> None:
    app = make_app(TRUSTED_HOSTS="localhost")

    answers = list(answers_to_oauth_clients(app, f"{API}/auth/{call}"))

    assert {answer.status_code for answer in answers} == {400, 404, 405, 413, 415}
    for answer in answers:
        assert answer.headers["Content-Type"] == "application/json"
        assert {"type", "title", "status", "detail", "code", "request_id"} <= set(answer.json)
        assert isinstance(answer.json["error"], str)


@pytest.mark.parametrize("call", ["token", "revoke"])
@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (RuntimeError(), 500),
        (errors.Overloaded(), 503),
        (errors.Unavailable(), 503),
        (errors.RateLimited(30), 429),
    ],
    ids=["bug", "overloaded", "unavailable", "rate limited"],
)
def test_what_is_not_the_clients_fault_is_plain_json_too(
    app: Flask, monkeypatch: pytest.MonkeyPatch, call: str, failure: Exception, status: int
) -> None:
    def fail(*_: Any) -> None:
        raise failure

    monkeypatch.setattr(oauth, "revoke", fail)
    monkeypatch.setattr(oauth, "is_login", fail)
    client = app.test_client()

    answer = client.post(f"{API}/auth/{call}", data={"token": "x", "grant_type": "password"})

    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json["code"]


def test_too_many_calls_are_plain_json_too(make_app: Callable[..., Flask]) -> None:
    client = make_app(RATELIMIT_ENABLED="true", RATELIMIT_TOKEN="1 per hour").test_client()
    ask(client)

    answer = ask(client)

    assert (answer.status_code, answer.json["code"]) == (429, "rate_limited")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Retry-After"]


def test_the_document_says_so_of_these_two_calls_alone(client: FlaskClient) -> None:
    document = client.get("/openapi.json").json

    plain = {
        path
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method != "parameters"
        for status, answer in operation["responses"].items()
        if status >= "400" and "application/json" in answer["content"]
    }
    assert plain == set(factories.OAUTH_PATHS) == set(problems.OAUTH_PATHS)
    for path in plain:
        for status, answer in document["paths"][path]["post"]["responses"].items():
            assert status < "400" or set(answer["content"]) == {"application/json"}
