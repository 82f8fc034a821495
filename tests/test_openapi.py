"""The OpenAPI document says what the contract says."""

import json
import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.factories import API

TOKEN = {"not_authenticated", "invalid_token", "token_expired", "session_ended"}
BODY = {
    "malformed_json",
    "bad_request",
    "body_too_large",
    "unsupported_media_type",
    "validation_failed",
}
FORM = {"body_too_large", "unsupported_media_type", "invalid_request"}
LIMITED = {"rate_limited"}
QUERY = {"validation_failed", "bad_request"}
MAY_NOT = {"not_enough_permissions"}
FRESH = MAY_NOT | {"fresh_token_required"}
ANYWHERE = {"internal_error", "unavailable"}

# call: (success, the codes that a client may meet)
CALLS = {
    f"post {API}/auth/register": (
        "201",
        LIMITED | BODY | {"email_taken", "username_taken", "overloaded"},
    ),
    f"post {API}/auth/login": (
        "200",
        LIMITED
        | BODY
        | {"invalid_credentials", "inactive_user", "email_not_verified", "overloaded"},
    ),
    f"post {API}/auth/refresh": (
        "200",
        LIMITED | BODY | {"not_authenticated", "invalid_refresh_token", "refresh_token_reused"},
    ),
    f"post {API}/auth/logout": ("204", BODY | TOKEN | {"invalid_refresh_token"}),
    f"get {API}/auth/sessions": ("200", TOKEN),
    f"delete {API}/auth/sessions/{{session_id}}": ("204", TOKEN | {"not_found"}),
    f"post {API}/auth/reauthenticate": (
        "200",
        LIMITED | BODY | TOKEN | {"wrong_password", "overloaded"},
    ),
    f"post {API}/auth/token": (
        "200",
        LIMITED | FORM | {"invalid_grant", "unsupported_grant_type", "overloaded"},
    ),
    f"post {API}/auth/revoke": ("200", LIMITED | FORM),
    f"post {API}/auth/password/change": (
        "200",
        LIMITED | BODY | TOKEN | {"wrong_password", "overloaded"},
    ),
    f"post {API}/auth/password/forgot": ("202", LIMITED | BODY),
    f"post {API}/auth/password/reset": ("204", LIMITED | BODY | {"invalid_link", "overloaded"}),
    f"post {API}/auth/not-me": ("204", LIMITED | BODY | {"invalid_link"}),
    f"post {API}/auth/email/resend": ("202", LIMITED | BODY),
    f"post {API}/auth/email/verify": ("204", LIMITED | BODY | {"invalid_link"}),
    f"post {API}/auth/email/change": ("202", LIMITED | BODY | TOKEN | {"fresh_token_required"}),
    f"post {API}/auth/email/change/confirm": ("204", LIMITED | BODY | {"invalid_link"}),
    f"post {API}/auth/email/change/cancel": ("204", LIMITED | BODY | {"invalid_link"}),
    f"get {API}/users/me": ("200", TOKEN),
    f"put {API}/users/me": ("200", BODY | TOKEN | {"username_taken", "rate_limited"}),
    f"patch {API}/users/me": ("200", BODY | TOKEN | {"username_taken", "rate_limited"}),
    f"delete {API}/users/me": (
        "202",
        LIMITED | BODY | TOKEN | {"wrong_password", "last_superuser", "overloaded"},
    ),
    f"get {API}/users/me/export": ("200", TOKEN | {"fresh_token_required", "rate_limited"}),
    f"get {API}/users/{{user_id}}": ("200", TOKEN | {"not_enough_permissions", "not_found"}),
    f"get {API}/users/me/activity": ("200", TOKEN | QUERY),
    f"get {API}/users": ("200", TOKEN | QUERY | MAY_NOT),
    f"post {API}/users": (
        "201",
        BODY | TOKEN | MAY_NOT | {"fresh_token_required", "email_taken", "username_taken"},
    ),
    f"patch {API}/users/{{user_id}}": (
        "200",
        BODY | TOKEN | FRESH | {"not_found", "username_taken", "last_superuser"},
    ),
    f"delete {API}/users/{{user_id}}": ("204", TOKEN | FRESH | {"not_found", "last_superuser"}),
    f"get {API}/users/{{user_id}}/sessions": ("200", TOKEN | MAY_NOT | {"not_found"}),
    f"delete {API}/users/{{user_id}}/sessions": ("204", TOKEN | MAY_NOT | {"not_found"}),
    f"post {API}/users/{{user_id}}/password-reset": ("202", TOKEN | MAY_NOT | {"not_found"}),
    f"get {API}/users/{{user_id}}/audit": ("200", TOKEN | QUERY | MAY_NOT | {"not_found"}),
    f"get {API}/users/audit": ("200", TOKEN | QUERY | MAY_NOT),
    f"get {API}/users/{{user_id}}/roles": ("200", TOKEN | MAY_NOT | {"not_found"}),
    f"put {API}/users/{{user_id}}/roles": ("200", BODY | TOKEN | FRESH | {"not_found"}),
    f"get {API}/roles": ("200", TOKEN | QUERY | MAY_NOT),
    f"get {API}/roles/permissions": ("200", TOKEN | MAY_NOT),
    f"post {API}/roles": ("201", BODY | TOKEN | FRESH | {"role_name_taken"}),
    f"get {API}/roles/{{role_id}}": ("200", TOKEN | MAY_NOT | {"not_found"}),
    f"patch {API}/roles/{{role_id}}": (
        "200",
        BODY | TOKEN | FRESH | {"not_found", "role_name_taken"},
    ),
    f"delete {API}/roles/{{role_id}}": ("204", TOKEN | FRESH | {"not_found"}),
    "get /healthz": ("200", set()),
    "get /readyz": ("200", set()),
    "get /.well-known/jwks.json": ("200", set()),
    "get /metrics": ("200", {"not_authenticated", "invalid_token", "not_found"}),
}
# Where registration does not tell who has an account, it answers otherwise.
ALSO = {f"post {API}/auth/register": "202"}
# The pages for people are no part of it.
UNDOCUMENTED = {
    *("/openapi.json", "/docs", "/docs/start.js", "/docs/assets/<path:name>"),
    "/account/<name>",
}

# A variable in a Flask rule, and in OpenAPI.
VARIABLE, CURLY = r"<(?:[a-z]+:)?([a-z_]+)>", r"{\1}"

every_call = pytest.mark.parametrize("call", CALLS)


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    document: dict[str, Any] = client.get("/openapi.json").json
    return document


def operation(document: dict[str, Any], call: str) -> dict[str, Any]:
    method, path = call.split()
    found: dict[str, Any] = document["paths"][path][method]
    return found


def codes_in(answer: dict[str, Any]) -> set[str]:
    (content,) = answer["content"].values()
    schema = content["schema"]
    return {
        code
        for part in schema["allOf"]
        for code in part.get("properties", {}).get("code", {}).get("enum", [])
    }


def test_it_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(document).validate()


def test_it_is_json(client: FlaskClient) -> None:
    response = client.get("/openapi.json")

    assert response.mimetype == "application/json"


def test_every_route_is_in_it(app: Flask, document: dict[str, Any]) -> None:
    routes = {
        f"{method.lower()} {re.sub(VARIABLE, CURLY, str(rule))}"
        for rule in app.url_map.iter_rules()
        if str(rule) not in UNDOCUMENTED
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    documented = {
        f"{method} {path}"
        for path, item in document["paths"].items()
        for method in item.keys() - {"parameters"}
    }

    assert documented == routes == set(CALLS)


@every_call
def test_each_call_names_its_success_and_its_codes(document: dict[str, Any], call: str) -> None:
    success, codes = CALLS[call]
    responses = dict(operation(document, call)["responses"])

    successes = {status for status in responses if int(status) < 400}
    assert successes == {success, ALSO.get(call, success)}
    for status in successes:
        del responses[status]
    assert set().union(*map(codes_in, responses.values())) == codes | ANYWHERE


@every_call
def test_each_call_says_in_a_sentence_what_it_does(document: dict[str, Any], call: str) -> None:
    assert operation(document, call)["summary"].endswith(".")


@pytest.mark.parametrize("call", [call for call, (_, codes) in CALLS.items() if codes >= TOKEN])
def test_a_call_that_reads_an_access_token_says_so(document: dict[str, Any], call: str) -> None:
    security = operation(document, call)["security"]

    assert {"access_token": []} in security


@pytest.mark.parametrize(
    "call",
    [
        f"post {API}/auth/register",
        f"post {API}/auth/login",
        f"post {API}/auth/token",
        f"post {API}/auth/revoke",
        f"post {API}/auth/password/forgot",
        f"post {API}/auth/password/reset",
        f"post {API}/auth/not-me",
        f"post {API}/auth/email/resend",
        f"post {API}/auth/email/verify",
        f"post {API}/auth/email/change/confirm",
        f"post {API}/auth/email/change/cancel",
        "get /healthz",
        "get /readyz",
        "get /.well-known/jwks.json",
    ],
)
def test_a_call_that_is_open_to_everybody_asks_for_no_token(
    document: dict[str, Any], call: str
) -> None:
    assert "security" not in document
    assert not operation(document, call).get("security")


def test_login_takes_both_a_form_and_json(document: dict[str, Any]) -> None:
    content = operation(document, f"post {API}/auth/login")["requestBody"]["content"]

    assert set(content) == {"application/json", "application/x-www-form-urlencoded"}


@pytest.mark.parametrize("call", ["token", "revoke"])
def test_the_calls_of_oauth_take_a_form_alone(document: dict[str, Any], call: str) -> None:
    content = operation(document, f"post {API}/auth/{call}")["requestBody"]["content"]

    assert set(content) == {"application/x-www-form-urlencoded"}


def test_login_by_json_wants_exactly_one_identifier(document: dict[str, Any]) -> None:
    login = Draft202012Validator(document["components"]["schemas"]["Login"])
    email, username = {"email": "ada@example.com"}, {"username": "ada"}

    accepted = [
        login.is_valid(identifier | {"password": "x"})
        for identifier in (email, username, {}, email | username)
    ]

    assert accepted == [True, True, False, False]


@pytest.mark.parametrize("name", ["LoginForm", "TokenForm", "RevokeForm"])
def test_a_form_does_not_forbid_what_is_ignored(document: dict[str, Any], name: str) -> None:
    form = document["components"]["schemas"][name]

    assert form.get("additionalProperties", True) is not False


@pytest.mark.parametrize(
    "name",
    [
        *("Register", "Login", "Refresh", "Password", "Profile"),
        *("PasswordChange", "PasswordReset", "MailedToken", "Address", "NewAddress"),
    ],
)
def test_a_json_body_forbids_unknown_fields(document: dict[str, Any], name: str) -> None:
    assert document["components"]["schemas"][name]["additionalProperties"] is False


def test_a_user_is_the_one_of_the_contract(document: dict[str, Any]) -> None:
    user = document["components"]["schemas"]["User"]

    nullable = {
        name for name, schema in user["properties"].items() if schema["type"] == ["string", "null"]
    }
    assert set(user["required"]) == set(user["properties"])
    assert nullable == {"full_name", "bio", "avatar_url", "updated_at"}
    assert user["properties"]["locale"]["enum"] == ["en", "zh"]


def test_a_session_is_the_one_of_the_contract(document: dict[str, Any]) -> None:
    session = document["components"]["schemas"]["Session"]

    nullable = {name for name, schema in session["properties"].items() if "null" in schema["type"]}
    assert set(session["required"]) == set(session["properties"])
    assert set(session["properties"]) == {
        *("id", "ip", "user_agent", "device"),
        *("created_at", "last_seen_at", "expires_at", "is_current"),
    }
    assert nullable == {"ip", "user_agent"}


@pytest.mark.parametrize(
    ("schema", "field", "bounds"),
    [
        ("Register", "email", (None, 254)),
        ("Register", "username", (3, 50)),
        ("Register", "password", (8, 100)),
        ("Register", "full_name", (None, 100)),
        ("Register", "bio", (None, 5000)),
        ("PasswordChange", "current_password", (None, None)),
        ("PasswordChange", "new_password", (8, 100)),
        ("PasswordReset", "new_password", (8, 100)),
        ("NewAddress", "new_email", (None, 254)),
        ("Profile", "avatar_url", (None, 500)),
        ("Profile", "username", (3, 50)),
        ("Profile", "full_name", (None, 100)),
        ("Profile", "bio", (None, 5000)),
    ],
)
def test_the_bounds_are_those_of_the_contract(
    document: dict[str, Any], schema: str, field: str, bounds: tuple[int | None, int | None]
) -> None:
    documented = document["components"]["schemas"][schema]["properties"][field]

    assert (documented.get("minLength"), documented.get("maxLength")) == bounds


def test_no_password_is_ever_answered(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        for field, described in schema.get("properties", {}).items():
            assert "password" not in field or described["writeOnly"], f"{name}.{field}"


def test_it_defines_no_schema_that_nothing_uses(document: dict[str, Any]) -> None:
    text = json.dumps(document)

    unused = {
        name
        for name in document["components"]["schemas"]
        if f'"#/components/schemas/{name}"' not in text
    }
    assert unused == set()


def test_a_created_user_is_located(document: dict[str, Any]) -> None:
    created = operation(document, f"post {API}/auth/register")["responses"]["201"]

    assert created["headers"]["Location"]["schema"]["type"] == "string"
