"""One shape for every error, whoever raised it; nothing internal in it."""

import io
import json
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr
from typing import Any

import pytest
from flask import Blueprint, Flask, abort, request
from flask.testing import FlaskClient
from flask_jwt_extended import jwt_required
from flask_smorest import abort as smorest_abort
from marshmallow import Schema, ValidationError, fields
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from webargs.flaskparser import use_args
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

from app.models import User
from tests.cases import each
from tests.factories import API, bearer, log_in, problem

MEMBERS = {"type", "title", "status", "detail", "code", "request_id"}
SECRET = "hunter2 in /srv/app/secret.py"


class QuantitySchema(Schema):
    quantity = fields.Integer(required=True)


def add_other(app: Flask) -> None:
    """Routes of another part of the application, which knows nothing of this one's errors."""
    bp = Blueprint("other", __name__, url_prefix="/other")

    @bp.get("/abort/<int:status>")
    def give_up(status: int) -> None:
        abort(status)

    @bp.get("/abort-in-own-words")
    def give_up_in_own_words() -> None:
        abort(409, "The shelf is full.")

    @bp.get("/smorest")
    def give_up_as_smorest_does() -> None:
        smorest_abort(404, message="No such shelf.")

    @bp.post("/json")
    def read_json() -> dict[str, Any]:
        return {"got": request.get_json()}

    @bp.get("/query")
    @use_args(QuantitySchema, location="query")
    def read_query(query: dict[str, Any]) -> dict[str, Any]:
        return query

    @bp.get("/form")
    def read_missing_key() -> str:
        return request.form["missing"]

    @bp.get("/protected")
    @jwt_required()
    def read_protected() -> dict[str, Any]:
        return {}

    @bp.get("/protected/fresh")
    @jwt_required(fresh=True)
    def read_fresh() -> dict[str, Any]:
        return {}

    @bp.get("/raise/<name>")
    def fail(name: str) -> None:
        raise FAILURES[name]

    @bp.get("/no-response")
    def answer_nothing() -> None:
        return None

    @bp.get("/no-json")
    def answer_what_is_no_json() -> dict[str, Any]:
        return {"nothing": object()}

    app.register_blueprint(bp)


FAILURES: dict[str, BaseException] = {
    "bug": RuntimeError(SECRET),
    "key": KeyError(SECRET),
    "recursion": RecursionError(SECRET),
    "marshmallow": ValidationError({"field": [SECRET]}),
    "sql": ProgrammingError("SELECT secret FROM users", {}, Exception(SECRET)),
    "dbapi": DBAPIError("SELECT secret FROM users", {}, Exception(SECRET)),
    "away": OperationalError("SELECT secret FROM users", {}, Exception(SECRET)),
    "pool": PoolTimeout(SECRET),
}


@pytest.fixture
def other(make_app: Callable[..., Flask]) -> FlaskClient:
    return make_app(add=add_other).test_client()


@pytest.fixture
def logging_restored() -> Iterator[None]:
    """Each application sends the process's log to where it was made; this takes it back."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)


def assert_is_problem(response: TestResponse) -> None:
    """RFC 9457, with this API's members and no others."""
    status, _ = problem(response)
    extra = {"errors"} if status == 422 else set()
    assert response.json.keys() == MEMBERS | extra
    assert response.json["type"] == "about:blank"
    assert all(isinstance(response.json[name], str) for name in MEMBERS - {"status"})
    assert response.headers["Cache-Control"] == "no-store"


# On the API's own paths


@pytest.mark.parametrize(
    ("method", "path", "options", "answer"),
    [
        ("POST", "/auth/register", {"data": "{", "content_type": "application/json"}, 400),
        ("POST", "/auth/login", {"data": "a=%ff", "content_type": "application/json"}, 400),
        ("POST", "/auth/login", {"json": {"username": "ada", "password": "wrong"}}, 401),
        ("POST", "/auth/refresh", {"json": {"refresh_token": "garbage"}}, 401),
        ("POST", "/auth/logout", {}, 401),
        ("GET", "/users/me", {}, 401),
        ("GET", "/users/me", {"headers": {"Authorization": "Bearer garbage"}}, 401),
        ("GET", "/users/me", {"headers": {"Authorization": "Basic YTpi"}}, 401),
        ("GET", "/nowhere", {}, 404),
        ("POST", "/nowhere", {"data": "{"}, 404),
        ("GET", "/auth/login", {}, 405),
        ("DELETE", "/auth/register", {}, 405),
        ("POST", "/users/me", {}, 405),
        ("POST", "/auth/login", {"data": b"x" * 70_000, "content_type": "application/json"}, 413),
        ("POST", "/auth/register", {"data": "hello", "content_type": "text/plain"}, 415),
        ("POST", "/auth/register", {}, 415),
        ("POST", "/auth/register", {"json": {}}, 422),
    ],
)
def test_every_refusal_is_a_problem_document(
    client: FlaskClient, method: str, path: str, options: dict[str, Any], answer: int
) -> None:
    response = client.open(API + path, method=method, **options)

    assert response.status_code == answer
    assert_is_problem(response)


@pytest.mark.parametrize(
    ("status", "title"),
    [
        (400, "Bad Request"),
        (401, "Unauthorized"),
        (404, "Not Found"),
        (405, "Method Not Allowed"),
        (413, "Content Too Large"),
        (415, "Unsupported Media Type"),
        (500, "Internal Server Error"),
        (503, "Service Unavailable"),
    ],
)
def test_the_title_is_that_of_rfc_9110(other: FlaskClient, status: int, title: str) -> None:
    response = other.get(f"/other/abort/{status}")

    assert response.json["title"] == title


def test_the_title_of_422_is_that_of_rfc_9110(client: FlaskClient) -> None:
    response = client.post(f"{API}/auth/register", json={})

    assert response.json["title"] == "Unprocessable Content"


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/auth/login", {"POST", "OPTIONS"}),
        ("/auth/register", {"POST", "OPTIONS"}),
        ("/users/me/export", {"GET", "HEAD", "OPTIONS"}),
        ("/users/1/audit", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_405_says_what_is_allowed(client: FlaskClient, path: str, allowed: set[str]) -> None:
    response = client.delete(API + path)

    assert problem(response) == (405, "method_not_allowed")
    assert set(response.headers["Allow"].split(", ")) == allowed


@pytest.mark.parametrize(
    ("headers", "challenge"),
    [
        ({}, "Bearer"),
        ({"Authorization": "Basic YTpi"}, "Bearer"),
        ({"Authorization": "Bearer garbage"}, 'Bearer error="invalid_token"'),
        ({"Authorization": "Bearer"}, 'Bearer error="invalid_token"'),
    ],
)
def test_401_challenges(client: FlaskClient, headers: dict[str, str], challenge: str) -> None:
    response = client.get(f"{API}/users/me", headers=headers)

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == challenge


def test_a_wrong_password_is_challenged_without_an_error(client: FlaskClient, ada: User) -> None:
    response = client.post(f"{API}/auth/login", json={"username": "ada", "password": "wrong"})

    assert problem(response) == (401, "invalid_credentials")
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_errors_name_each_field_once_with_its_code(client: FlaskClient) -> None:
    response = client.post(
        f"{API}/auth/register",
        json={"email": "no address", "username": 1, "a/b~c": 1, "password": "long enough"},
    )

    assert problem(response) == (422, "validation_failed")
    assert sorted((error["pointer"], error["code"]) for error in response.json["errors"]) == [
        ("#/a~1b~0c", "unknown_field"),
        ("#/email", "invalid_email"),
        ("#/username", "invalid"),
    ]
    assert all(error["detail"] for error in response.json["errors"])


def test_errors_name_parameters_of_the_query(client: FlaskClient, ada: User) -> None:
    headers = bearer(log_in(client, ada)["access_token"])

    response = client.post(f"{API}/auth/logout?scope=nonsense", headers=headers)

    assert problem(response) == (422, "validation_failed")
    assert [error["parameter"] for error in response.json["errors"]] == ["scope"]
    assert "pointer" not in response.json["errors"][0]


def test_a_refused_password_is_never_echoed(client: FlaskClient) -> None:
    response = client.post(
        f"{API}/auth/register",
        json={"email": "ada@example.com", "username": "ada", "password": "s3cr3t"},
    )

    assert response.status_code == 422
    assert "s3cr3t" not in response.text


def test_a_body_beyond_64_kib_is_refused_without_a_length_too(client: FlaskClient) -> None:
    response = client.post(
        f"{API}/auth/login",
        input_stream=io.BytesIO(b'{"password": "' + b"x" * 70_000 + b'"}'),
        content_type="application/json",
        headers={"Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True},
    )

    assert problem(response) == (413, "body_too_large")


def test_a_body_of_exactly_64_kib_is_read(client: FlaskClient) -> None:
    body = b'{"username": "ada", "password": "%s"}'
    padded = body % (b"x" * (64 * 1024 - len(body) + 2))

    at_bound = client.post(f"{API}/auth/login", data=padded, content_type="application/json")
    over = client.post(f"{API}/auth/login", data=padded + b" ", content_type="application/json")

    assert len(padded) == 64 * 1024
    assert problem(at_bound) == (401, "invalid_credentials")
    assert problem(over) == (413, "body_too_large")


# Who may is asked before what was sent


UNACCEPTABLE_BODIES = {
    "malformed": {"data": "{", "content_type": "application/json"},
    "a list": {"json": []},
    "too large": {"data": b"x" * 70_000, "content_type": "application/json"},
    "another type": {"data": "hello", "content_type": "text/plain"},
    "refused fields": {"json": {"is_superuser": True, "full_name": 1}},
    "NUL": {"data": rb'{"full_name": "\u0000"}', "content_type": "application/json"},
    "nothing": {},
}


@each("body", UNACCEPTABLE_BODIES.values(), ids=UNACCEPTABLE_BODIES)
@each("method", ["PUT", "PATCH"])
def test_401_comes_before_anything_about_the_body(
    client: FlaskClient, method: str, body: dict[str, Any]
) -> None:
    response = client.open(f"{API}/users/me", method=method, **body)

    assert problem(response) == (401, "not_authenticated")


@each("body", UNACCEPTABLE_BODIES.values(), ids=UNACCEPTABLE_BODIES)
def test_a_bad_token_comes_before_anything_about_the_body(
    client: FlaskClient, body: dict[str, Any]
) -> None:
    response = client.patch(f"{API}/users/me", headers=bearer("garbage"), **body)

    assert problem(response) == (401, "invalid_token")


@pytest.mark.parametrize("query", ["scope=nonsense", "scope=local&scope=local", "x=1", "x=%ff"])
def test_401_comes_before_anything_about_the_query(client: FlaskClient, query: str) -> None:
    response = client.post(f"{API}/auth/logout?{query}")

    assert problem(response) == (401, "not_authenticated")


@each("body", UNACCEPTABLE_BODIES.values(), ids=UNACCEPTABLE_BODIES)
def test_403_comes_before_anything_about_the_body(
    client: FlaskClient, ada: User, bob: User, body: dict[str, Any]
) -> None:
    headers = bearer(log_in(client, ada)["access_token"])

    response = client.get(f"{API}/users/{bob.id}", headers=headers, **body)

    assert problem(response) == (403, "not_enough_permissions")


def test_a_path_without_a_route_is_404_for_everybody(client: FlaskClient, ada: User) -> None:
    headers = bearer(log_in(client, ada)["access_token"])

    assert problem(client.get(f"{API}/users/nobody")) == (404, "not_found")
    assert problem(client.get(f"{API}/users/nobody", headers=headers)) == (404, "not_found")


# What libraries and other blueprints say


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "bad_request"),
        (401, "not_authenticated"),
        (403, "not_enough_permissions"),
        (404, "not_found"),
        (405, "method_not_allowed"),
        (406, "not_acceptable"),
        (409, "conflict"),
        (410, "gone"),
        (413, "body_too_large"),
        (415, "unsupported_media_type"),
        (418, "i'm_a_teapot"),
        (422, "validation_failed"),
        (500, "internal_error"),
        (501, "not_implemented"),
        (503, "unavailable"),
    ],
)
def test_abort_answers_in_the_one_shape(other: FlaskClient, status: int, code: str) -> None:
    response = other.get(f"/other/abort/{status}")

    assert problem(response) == (status, code)
    assert response.json.keys() >= MEMBERS
    assert "<" not in response.text


def test_abort_may_use_its_own_words(other: FlaskClient) -> None:
    response = other.get("/other/abort-in-own-words")

    assert problem(response) == (409, "conflict")
    assert response.json["detail"] == "The shelf is full."


def test_an_abort_with_401_challenges(other: FlaskClient) -> None:
    response = other.get("/other/abort/401")

    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_an_abort_with_503_says_when_to_come_back(other: FlaskClient) -> None:
    response = other.get("/other/abort/503")

    assert response.headers["Retry-After"].isdecimal()


def test_flask_smorests_abort_answers_in_the_one_shape(other: FlaskClient) -> None:
    response = other.get("/other/smorest")

    assert problem(response) == (404, "not_found")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"",
        b"[1]",
        b"null",
        b'"a"',
        b'{"a": NaN}',
        b'{"a": 1, "a": 2}',
        b"\xff",
        b"[" * 20_000,
    ],
)
def test_get_json_is_strict_everywhere(other: FlaskClient, body: bytes) -> None:
    response = other.post("/other/json", data=body, content_type="application/json")

    assert problem(response) == (400, "malformed_json")


def test_get_json_of_another_type_is_415(other: FlaskClient) -> None:
    response = other.post("/other/json", data="<hello/>", content_type="application/xml")

    assert problem(response) == (415, "unsupported_media_type")


def test_a_missing_form_field_is_a_bad_request(other: FlaskClient) -> None:
    response = other.get("/other/form")

    assert problem(response) == (400, "bad_request")


def test_webargs_own_refusal_is_a_validation_failure(other: FlaskClient) -> None:
    response = other.get("/other/query?quantity=many")

    assert problem(response) == (422, "validation_failed")


def test_flask_jwt_extended_answers_in_the_one_shape(other: FlaskClient) -> None:
    response = other.get("/other/protected")

    assert problem(response) == (401, "not_authenticated")
    assert_is_problem(response)


def test_flask_jwt_extended_asks_for_a_fresh_token_in_the_one_shape(
    other: FlaskClient, ada: User
) -> None:
    refreshed = other.post(
        f"{API}/auth/refresh", json={"refresh_token": log_in(other, ada)["refresh_token"]}
    ).json

    response = other.get("/other/protected/fresh", headers=bearer(refreshed["access_token"]))

    assert problem(response) == (401, "fresh_token_required")
    assert response.headers["WWW-Authenticate"] == (
        'Bearer error="insufficient_user_authentication", max_age=600'
    )


# What nobody foresaw


@pytest.mark.parametrize("name", ["bug", "key", "recursion", "marshmallow", "sql", "dbapi"])
def test_an_unforeseen_exception_tells_nothing_but_the_request_id(
    other: FlaskClient, name: str
) -> None:
    response = other.get(f"/other/raise/{name}")

    assert problem(response) == (500, "internal_error")
    assert_is_problem(response)
    assert not re.search("hunter2|secret|Traceback|Error:|SELECT", response.text)


@pytest.mark.parametrize("path", ["/other/no-response", "/other/no-json"])
def test_an_answer_that_is_none_is_a_500(other: FlaskClient, path: str) -> None:
    response = other.get(path)

    assert problem(response) == (500, "internal_error")


@pytest.mark.parametrize("name", ["away", "pool"])
def test_a_database_that_is_away_is_a_503(other: FlaskClient, name: str) -> None:
    response = other.get(f"/other/raise/{name}")

    assert problem(response) == (503, "unavailable")
    assert response.headers["Retry-After"].isdecimal()
    assert_is_problem(response)
    assert not re.search("hunter2|SELECT", response.text)


@pytest.mark.usefixtures("logging_restored")
def test_the_log_has_the_traceback_under_the_request_id(
    new_app: Callable[..., Flask],
) -> None:
    with redirect_stderr(io.StringIO()) as log:
        app = new_app(LOG_FORMAT="json")
    add_other(app)

    response = app.test_client().get("/other/raise/bug")

    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    [line] = [line for line in lines if line.get("request_id") == response.json["request_id"]]
    assert line["level"] == "error"
    assert "RuntimeError: hunter2" in line["exception"]


def test_the_application_goes_on_after_a_bug(other: FlaskClient, ada: User) -> None:
    other.get("/other/raise/sql")

    response = other.get(f"{API}/users/me", headers=bearer(log_in(other, ada)["access_token"]))

    assert response.status_code == 200


@pytest.mark.parametrize("path", ["/console", "/nowhere?__debugger__=yes&cmd=printpin"])
def test_there_is_no_debugger(client: FlaskClient, path: str) -> None:
    response = client.get(path)

    assert problem(response) == (404, "not_found")


def test_every_http_exception_of_werkzeug_has_a_body_without_html(other: FlaskClient) -> None:
    statuses = {
        exception.code
        for exception in HTTPException.__subclasses__()
        if exception.code and exception.code >= 400
    }

    for status in sorted(statuses):
        response = other.get(f"/other/abort/{status}")

        assert response.status_code == status
        assert response.mimetype == "application/problem+json"


# The request's name


@pytest.mark.parametrize("sent", ["a", "A-z-0-9", "x" * 64])
def test_the_clients_request_id_is_echoed(client: FlaskClient, sent: str) -> None:
    response = client.get(f"{API}/users/me", headers={"X-Request-ID": sent})

    assert response.headers["X-Request-ID"] == sent
    assert response.json["request_id"] == sent


@each("sent", ["", "x" * 65, "x" * 2048, "a b", "a_b", "a.b", "<script>", "a\x1b[31m", "é", "a,b"])
def test_a_request_id_that_could_do_harm_is_replaced(client: FlaskClient, sent: str) -> None:
    response = client.get(
        f"{API}/users/me", environ_overrides={"HTTP_X_REQUEST_ID": sent.encode().decode("latin-1")}
    )

    assert response.headers["X-Request-ID"] != sent
    assert re.fullmatch("[0-9a-f-]{36}", response.headers["X-Request-ID"])


def test_each_request_has_an_id_of_its_own(client: FlaskClient) -> None:
    first, second = client.get("/healthz"), client.get("/healthz")

    assert first.headers["X-Request-ID"] != second.headers["X-Request-ID"]


@pytest.mark.parametrize("body", [b'{"refresh_token":"' + b"x" * 70_000 + b'"}', b"{", b"[]"])
def test_a_bad_token_at_logout_is_told_before_a_bad_body(client: FlaskClient, body: bytes) -> None:
    response = client.post(
        f"{API}/auth/logout",
        data=body,
        headers={"Authorization": "Bearer x", "Content-Type": "application/json"},
    )

    assert problem(response) == (401, "invalid_token")
