"""What every answer carries: security headers, CORS where it is wanted, no redirect."""

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest
import time_machine
from flask import Blueprint, Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.models import User
from tests.cases import each
from tests.factories import API, bearer, log_in, problem

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "Cache-Control": "no-store",
}
HSTS = "max-age=31536000; includeSubDomains"
ORIGIN = "https://app.example.com"


def security_headers_of(response: TestResponse) -> dict[str, str | None]:
    return {name: response.headers.get(name) for name in SECURITY_HEADERS}


@pytest.fixture
def with_origin(make_app: Callable[..., Flask]) -> FlaskClient:
    """Of an application that pages of one origin may call."""
    return make_app(CORS_ORIGINS=ORIGIN).test_client()


@pytest.fixture
def with_trusted_host(make_app: Callable[..., Flask]) -> FlaskClient:
    return make_app(TRUSTED_HOSTS="api.example.com").test_client()


Answers = dict[int, TestResponse]


def answers_of(app: Flask, ada: User) -> Answers:
    """One answer of each status."""
    bp = Blueprint("broken", __name__)

    @bp.get("/broken")
    def fail() -> None:
        raise RuntimeError

    app.register_blueprint(bp)
    client = app.test_client()
    headers = bearer(log_in(client, ada)["access_token"])
    json: dict[str, Any] = {"content_type": "application/json"}
    account = {"email": "bob@example.com", "username": "bob", "password": "correct horse"}
    answers = [
        client.get(f"{API}/users/me", headers=headers),
        client.post(f"{API}/auth/register", json=account),
        client.post(f"{API}/auth/logout", headers=bearer(log_in(client, ada)["access_token"])),
        client.post(f"{API}/auth/login", data="{", **json),
        client.get(f"{API}/users/me"),
        client.get(f"{API}/users/{ada.id + 1}", headers=headers),
        client.get("/nowhere"),
        client.post(f"{API}/users/me"),
        client.post(f"{API}/auth/login", data="x" * 70_000, **json),
        client.post(f"{API}/auth/login", data="x"),
        client.post(f"{API}/auth/login", json={}),
        client.get("/broken"),
    ]
    return {answer.status_code: answer for answer in answers}


STATUSES = {200, 201, 204, 400, 401, 403, 404, 405, 413, 415, 422, 500}


def test_every_status_carries_the_security_headers(
    new_app: Callable[..., Flask], ada: User
) -> None:
    answers = answers_of(new_app(), ada)

    assert answers.keys() == STATUSES
    for status, answer in answers.items():
        assert security_headers_of(answer) == SECURITY_HEADERS, status
        assert answer.headers["X-Request-ID"]
        assert "Strict-Transport-Security" not in answer.headers
        assert "Set-Cookie" not in answer.headers


def test_every_status_is_json(new_app: Callable[..., Flask], ada: User) -> None:
    answers = answers_of(new_app(), ada)

    for status, answer in answers.items():
        expected = "application/json" if status < 400 else "application/problem+json"
        assert answer.mimetype == (None if status == 204 else expected), status


def test_every_status_carries_hsts_where_the_public_url_is_https(
    new_app: Callable[..., Flask], ada: User
) -> None:
    answers = answers_of(new_app(PUBLIC_URL="https://accounts.example.com"), ada)

    assert answers.keys() == STATUSES
    assert {answer.headers["Strict-Transport-Security"] for answer in answers.values()} == {HSTS}


@pytest.mark.parametrize("call", ["login", "refresh"])
def test_tokens_are_not_for_caches(client: FlaskClient, ada: User, call: str) -> None:
    pair = log_in(client, ada)
    body = (
        {"username": "ada", "password": "correct horse battery staple"}
        if call == "login"
        else {"refresh_token": pair["refresh_token"]}
    )

    response = client.post(f"{API}/auth/{call}", json=body)

    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/openapi.json", "/docs/start.js"])
def test_the_other_pages_carry_them_too(client: FlaskClient, path: str) -> None:
    response = client.get(path, buffered=True)

    assert response.status_code == 200
    for name in SECURITY_HEADERS.keys() - {"Cache-Control"}:
        assert response.headers[name] == SECURITY_HEADERS[name]


def test_the_docs_page_has_a_policy_of_its_own(client: FlaskClient) -> None:
    response = client.get("/docs", buffered=True)

    policy = dict(
        directive.split(maxsplit=1)
        for directive in response.headers["Content-Security-Policy"].split("; ")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"


# Methods


@pytest.mark.parametrize("path", [f"{API}/users/me", "/healthz", "/nowhere"])
def test_trace_never_echoes(client: FlaskClient, path: str) -> None:
    response = client.open(path, method="TRACE", headers={"X-Secret": "hunter2"})

    assert response.status_code in (404, 405)
    assert response.mimetype == "application/problem+json"
    assert "hunter2" not in response.text


def test_options_says_what_is_allowed(client: FlaskClient) -> None:
    response = client.options(f"{API}/users/me")

    assert response.status_code == 200
    assert set(response.headers["Allow"].split(", ")) == {
        *("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "PUT")
    }
    assert response.data == b""
    assert security_headers_of(response) == SECURITY_HEADERS


def test_head_has_the_headers_of_get(client: FlaskClient, ada: User) -> None:
    headers = bearer(log_in(client, ada)["access_token"]) | {"X-Request-ID": "the-same"}

    head = client.head(f"{API}/users/me", headers=headers)
    get = client.get(f"{API}/users/me", headers=headers)

    assert dict(head.headers) == dict(get.headers)
    assert head.data == b""


def test_head_of_an_error_has_no_body(client: FlaskClient) -> None:
    response = client.head(f"{API}/users/me")

    assert response.status_code == 401
    assert response.data == b""
    assert response.headers["WWW-Authenticate"] == "Bearer"


# No redirects


@each(
    "path",
    [
        "//api//v1/users/me",
        "/api//v1/users/me",
        "/api/v1//users/me",
        "/api/v1/users/me/",
        "/api/v1/users//me",
        "/api/v1/auth/login/",
        "/api/v1/auth/../users/me",
        "/api/v1/./users/me",
        "/API/v1/users/me",
        "/docs/",
        "/healthz/",
        "//evil.example.com/docs",
        "//metrics",
        "///healthz",
        "//",
        "/./metrics",
        "/docs/../metrics",
        "/metrics;a=b",
    ],
)
@each("method", ["GET", "POST"])
def test_a_path_that_is_written_otherwise_is_another_path(
    client: FlaskClient, method: str, path: str
) -> None:
    response = client.open(
        method=method, environ_overrides={"PATH_INFO": path}, json={} if method == "POST" else None
    )

    assert problem(response) == (404, "not_found")


@each(
    "path",
    [
        "/%2Fmetrics",
        "/%2fmetrics",
        "//metrics",
        "/%2e/metrics",
        "/m%65trics",
        "/%6D%65trics",
        "/metrics%2F",
        "/%5Cmetrics",
        "/metrics#here",
        "http://localhost/%2Fmetrics",
        f"{API}/users%2Fme",
        f"{API}/users/%6de",
        f"{API}/users/%31",
        "/docs/assets%2Fswagger-ui.css",
        "/docs/assets/swagger%2Dui.css",
        "/docs/assets/swagger-ui%2Ecss?%41",
    ],
)
def test_a_path_that_is_encoded_without_need_is_another_path(
    client: FlaskClient, path: str
) -> None:
    # What a server hands over: the path decoded, and the target as it was sent.
    decoded = unquote(path.partition("?")[0].partition("#")[0]).removeprefix("http://localhost")

    response = client.get(environ_overrides={"PATH_INFO": decoded, "RAW_URI": path})

    assert problem(response) == (404, "not_found")


@pytest.mark.parametrize("target", ["/healthz?%41=%2F", "/healthz?a=#b", "http://a/healthz?%2F"])
def test_what_follows_the_path_may_be_encoded(client: FlaskClient, target: str) -> None:
    response = client.get(environ_overrides={"PATH_INFO": "/healthz", "RAW_URI": target})

    assert response.status_code == 200


def test_a_path_may_have_what_cannot_be_written_otherwise(new_app: Callable[..., Flask]) -> None:
    app = new_app()
    app.add_url_rule("/files/<name>", view_func=lambda name: {"name": name})

    response = app.test_client().get("/files/B%C3%BCcher%20%25")

    assert response.json == {"name": "Bücher %"}


def test_slashes_in_front_are_no_redirect_to_another_server(client: FlaskClient) -> None:
    response = client.get(environ_overrides={"PATH_INFO": "//evil.example/healthz"})

    assert problem(response) == (404, "not_found")
    assert "Location" not in response.headers


# CORS


def preflight(client: FlaskClient, origin: str, method: str = "PATCH") -> TestResponse:
    return client.options(
        f"{API}/users/me",
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "authorization, content-type",
        },
    )


def cors_headers(response: TestResponse) -> set[str]:
    return {name for name in response.headers.keys() if name.startswith("Access-Control-")}  # noqa: SIM118 — pairs otherwise


@pytest.mark.parametrize("origin", [ORIGIN, "null", "http://localhost:3000"])
def test_cors_is_off_by_default(client: FlaskClient, origin: str) -> None:
    responses = [
        preflight(client, origin),
        client.get(f"{API}/users/me", headers={"Origin": origin}),
        client.get("/healthz", headers={"Origin": origin}),
    ]

    assert [cors_headers(response) for response in responses] == [set()] * 3


def test_an_origin_that_is_listed_may_ask(make_app: Callable[..., Flask]) -> None:
    client = make_app(CORS_ORIGINS=f"{ORIGIN},http://localhost:3000").test_client()

    response = preflight(client, ORIGIN)

    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "PATCH" in response.headers["Access-Control-Allow-Methods"]
    allowed = response.headers["Access-Control-Allow-Headers"].lower()
    assert {"authorization", "content-type"} <= set(allowed.split(", "))
    assert "Access-Control-Allow-Credentials" not in response.headers
    assert "Origin" in response.headers["Vary"]


def test_an_origin_that_is_listed_reads_answers_and_errors(
    make_app: Callable[..., Flask],
) -> None:
    client = make_app(CORS_ORIGINS=ORIGIN).test_client()
    headers = {"Origin": ORIGIN}

    responses = [
        client.get("/healthz", headers=headers),
        client.get(f"{API}/users/me", headers=headers),
        client.get("/nowhere", headers=headers),
        client.post(f"{API}/auth/login", data="{", headers=headers),
    ]

    assert [response.status_code for response in responses] == [200, 401, 404, 415]
    for response in responses:
        assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert "X-Request-ID" in response.headers["Access-Control-Expose-Headers"]


@each(
    "origin",
    [
        "https://evil.example.com",
        "null",
        "*",
        "http://app.example.com",
        "https://app.example.com:8443",
        "https://app.example.com.evil.example",
        "https://appxexample.com",
        "https://evil-app.example.com",
        "https://app.example.com/",
        f"{ORIGIN} https://evil.example.com",
    ],
)
def test_any_other_origin_is_told_nothing(with_origin: FlaskClient, origin: str) -> None:
    client = with_origin
    responses = [
        preflight(client, origin),
        client.get("/healthz", headers={"Origin": origin}),
    ]

    for response in responses:
        assert "Access-Control-Allow-Origin" not in response.headers


# Hosts


@each(
    ("origins", "origin"),
    [
        ("https://app.example.com:443", "https://app.example.com"),
        ("https://app.example.com", "https://app.example.com:443"),
        ("http://app.example.com", "http://app.example.com:80"),
        ("HTTPS://APP.example.com.", "https://app.example.com"),
        ("https://app.example.com", "HTTPS://App.Example.Com."),
        ("http://[0:0:0:0:0:0:0:1]:3000", "http://[::1]:3000"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("ionic://localhost", "ionic://localhost"),
        ("tauri://localhost", "tauri://localhost"),
        ("com.example.app://main", "com.example.app://main"),
        ("chrome-extension://abcdefgh", "chrome-extension://abcdefgh"),
        ("app://bundle:80", "app://bundle:80"),
    ],
)
def test_origins_are_compared_by_what_they_mean(
    make_app: Callable[..., Flask], origins: str, origin: str
) -> None:
    client = make_app(CORS_ORIGINS=origins).test_client()

    response = client.get("/healthz", headers={"Origin": origin})

    # As it was sent: that is what a browser compares it with.
    assert response.headers["Access-Control-Allow-Origin"] == origin


@each(
    ("origins", "origin"),
    [
        ("http://app.example.com", "http://app.example.com:443"),
        ("https://app.example.com", "capacitor://app.example.com"),
        ("capacitor://localhost", "http://localhost"),
        ("capacitor://localhost", "capacitor://localhost.evil.example"),
        ("app://bundle", "app://bundle:80"),
        ("http://[::1]", "http://[::2]"),
        ("https://app.example.com", "https://app.example.com.."),
    ],
)
def test_origins_that_only_look_alike_are_told_nothing(
    make_app: Callable[..., Flask], origins: str, origin: str
) -> None:
    client = make_app(CORS_ORIGINS=origins).test_client()

    response = client.get("/healthz", headers={"Origin": origin})

    assert cors_headers(response) == set()


def test_a_browser_may_send_more_headers_where_they_are_named(
    make_app: Callable[..., Flask],
) -> None:
    client = make_app(CORS_ORIGINS=ORIGIN, CORS_HEADERS="traceparent,tracestate").test_client()

    allowed = preflight(client, ORIGIN).headers["Access-Control-Allow-Headers"].split(", ")

    assert allowed == [
        "Authorization",
        "Content-Type",
        "Idempotency-Key",
        "If-Match",
        "If-None-Match",
        "X-Request-ID",
        "traceparent",
        "tracestate",
    ]


@each("origin", [None, ORIGIN, "https://evil.example"])
@each(
    "path", ["/.well-known/jwks.json", "/healthz", "/nowhere", f"{API}/users/me", "/openapi.json"]
)
def test_a_cache_keeps_the_answers_to_different_origins_apart(
    with_origin: FlaskClient, path: str, origin: str | None
) -> None:
    response = with_origin.get(path, headers={"Origin": origin} if origin else {}, buffered=True)

    assert "Origin" in response.vary


def test_the_keys_vary_even_where_no_origin_is_named(client: FlaskClient) -> None:
    assert client.get("/.well-known/jwks.json").headers["Vary"] == "Origin"


@each(
    "host",
    [
        "evil.example",
        "api.example.com.evil.example",
        "xapi.example.com",
        "",
        "a b",
        "example.com",
        "api.example.com..",
        "api.example.com:0",
        "api.example.com:99999",
        "api.example.com:80:80",
        "api.example.com@evil.example",
        "[::1]",
    ],
)
@each("path", ["/docs", f"{API}/users/me", "/nowhere"])
def test_an_untrusted_host_is_a_bad_request(
    with_trusted_host: FlaskClient, path: str, host: str
) -> None:
    response = with_trusted_host.get(path, headers={"Host": host})

    assert problem(response) == (400, "bad_request")
    assert security_headers_of(response) == SECURITY_HEADERS


def test_the_log_names_an_untrusted_host_once_a_minute_and_cut(
    new_app: Callable[..., Flask], caplog: pytest.LogCaptureFixture
) -> None:
    client = new_app(TRUSTED_HOSTS="api.example.com").test_client()
    with time_machine.travel("2026-11-22T08:00:00Z", tick=False) as now:
        for seconds in (0, 59, 2):
            now.shift(seconds)
            client.get("/docs", headers={"Host": "h" * 200})

    told = [each.getMessage() for each in caplog.records if each.name == "app.http.addressing"]
    assert told == [f"host '{'h' * 100}' is not in TRUSTED_HOSTS"] * 2


def test_the_log_names_each_untrusted_host_but_not_endlessly_many(
    new_app: Callable[..., Flask], caplog: pytest.LogCaptureFixture
) -> None:
    client = new_app(TRUSTED_HOSTS="api.example.com").test_client()
    with time_machine.travel("2026-11-22T08:00:00Z", tick=False):
        for number in range(20):
            client.get("/docs", headers={"Host": f"\x1b[31m{number}.example.com"})

    told = [each.getMessage() for each in caplog.records if each.name == "app.http.addressing"]
    assert told == [
        f"host '\\x1b[31m{number}.example.com' is not in TRUSTED_HOSTS" for number in range(10)
    ]


@each(
    ("trusted", "host"),
    [
        ("api.example.com", "api.example.com"),
        ("api.example.com", "api.example.com:8000"),
        ("api.example.com", "api.example.com:443"),
        ("api.example.com", "api.example.com:"),
        ("api.example.com", "API.Example.COM."),
        ("API.Example.COM.", "api.example.com"),
        ("api.example.com:443", "api.example.com"),
        ("[::1]", "[0:0:0:0:0:0:0:1]:8000"),
        ("::1", "[::1]"),
        ("2001:DB8::A", "[2001:db8:0::a]"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("bücher.example", "XN--BCHER-KVA.example."),
        (".example.com", "api.example.com"),
        (".example.com", "a.b.EXAMPLE.com."),
        (".example.com", "example.com"),
        ("127.0.0.1", "127.0.0.1:8000"),
        ("user_system", "user_system:8000"),
    ],
)
def test_a_trusted_host_is_served(make_app: Callable[..., Flask], trusted: str, host: str) -> None:
    client = make_app(TRUSTED_HOSTS=trusted).test_client()

    response = client.get("/nowhere", headers={"Host": host})

    assert problem(response) == (404, "not_found")


@each("host", ["10.0.0.11:8000", "evil.example", "", "a b"])
@each("path", ["/healthz", "/readyz", "/metrics"])
def test_what_watches_a_server_may_call_it_anything(
    with_trusted_host: FlaskClient, path: str, host: str
) -> None:
    response = with_trusted_host.get(path, headers={"Host": host})

    assert response.status_code == 200


def test_no_header_moves_a_location_elsewhere(client: FlaskClient) -> None:
    account = {"email": "ada@example.com", "username": "ada", "password": "correct horse"}
    elsewhere = {
        "Host": "evil.example",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Prefix": "/evil",
        "Forwarded": "host=evil.example",
    }

    response = client.post(f"{API}/auth/register", json=account, headers=elsewhere)

    assert response.status_code == 201
    assert response.headers["Location"] == f"{API}/users/{response.json['id']}"
