"""The OpenAPI document says what the contract says."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import OpenAPIV31SpecValidator

from app import create_app, read_settings
from app.http.openapi import api_of
from app.version import VERSION
from docs import write_refusals
from docs.write_refusals import codes, operations
from tests.factories import API
from tests.pages.routes import is_page

# The pages for people are no part of it.
UNDOCUMENTED = {
    *("/openapi.json", "/docs", "/docs/start.js", "/docs/page.css", "/docs/assets/<path:name>"),
}

# A variable in a Flask rule, and in OpenAPI.
VARIABLE, CURLY = r"<(?:[a-z]+:)?([a-z_]+)>", r"{\1}"

TOKEN = {error.code for error in write_refusals.GROUPS["token"]}


@pytest.fixture(scope="module")
def described_app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """The application, to look at; nothing connects to its database."""
    return create_app(read_settings({}, instance=tmp_path_factory.mktemp("instance")))


@pytest.fixture(scope="module")
def document(described_app: Flask) -> dict[str, Any]:
    document: dict[str, Any] = described_app.test_client().get("/openapi.json").json
    return document


def operation(document: dict[str, Any], call: str) -> dict[str, Any]:
    method, path = call.split()
    found: dict[str, Any] = document["paths"][path][method]
    return found


def test_it_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(document).validate()


def test_it_is_json(described_app: Flask) -> None:
    response = described_app.test_client().get("/openapi.json")

    assert response.mimetype == "application/json"


def test_every_route_is_in_it(described_app: Flask, document: dict[str, Any]) -> None:
    routes = {
        f"{method.lower()} {re.sub(VARIABLE, CURLY, str(rule))}"
        for rule in described_app.url_map.iter_rules()
        if str(rule) not in UNDOCUMENTED and not is_page(described_app, rule)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    documented = {
        f"{method} {path}"
        for path, item in document["paths"].items()
        for method in item.keys() - {"parameters"}
    }

    assert documented == routes


def test_each_call_names_what_may_go_wrong_anywhere(document: dict[str, Any]) -> None:
    silent = [
        call
        for call, operation in operations(document)
        if not {"internal_error", "unavailable"} <= set(codes(operation))
    ]

    assert silent == []


def test_each_call_says_in_a_sentence_what_it_does(document: dict[str, Any]) -> None:
    silent = [
        call for call, operation in operations(document) if not operation["summary"].endswith(".")
    ]

    assert silent == []


def test_a_call_that_reads_an_access_token_says_so_and_no_other(document: dict[str, Any]) -> None:
    reading, saying = (
        {call for call, operation in operations(document) if holds(operation)}
        for holds in (
            lambda operation: set(codes(operation)) >= TOKEN,
            lambda operation: {"access_token": []} in operation.get("security", []),
        )
    )

    assert "GET /api/v1/users/me" in reading
    assert saying == reading


def test_a_call_that_asks_for_a_token_refuses_who_has_none(document: dict[str, Any]) -> None:
    guarded, saying = (
        {call for call, operation in operations(document) if holds(operation)}
        for holds in (
            lambda operation: "not_authenticated" in codes(operation),
            lambda operation: operation.get("security"),
        )
    )

    assert "POST /api/v1/auth/login" not in guarded
    assert saying <= guarded
    assert "security" not in document


def test_login_takes_a_form_too_and_says_so_in_words(document: dict[str, Any]) -> None:
    """Generators write broken code for a call with two kinds of bodies."""
    login = operation(document, f"post {API}/auth/login")

    assert set(login["requestBody"]["content"]) == {"application/json"}
    assert "application/x-www-form-urlencoded" in login["description"]


@pytest.mark.parametrize("call", ["token", "revoke"])
def test_the_calls_of_oauth_take_a_form_alone(document: dict[str, Any], call: str) -> None:
    content = operation(document, f"post {API}/auth/{call}")["requestBody"]["content"]

    assert set(content) == {"application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        ("Login", ["email", "username"]),
        ("Mfa", ["otp", "recovery_code", "credential"]),
        ("Reauthentication", ["password", "otp", "recovery_code", "credential"]),
    ],
)
def test_what_excludes_each_other_is_said_in_words_and_for_tests(
    document: dict[str, Any], name: str, choices: list[str]
) -> None:
    """Generators make a model without types of ``oneOf``."""
    schema = document["components"]["schemas"][name]

    assert schema["x-exactly-one"] == choices
    assert all(f"`{choice}`" in schema["description"] for choice in choices)


def test_a_call_is_named_after_its_view_and_no_other_has_the_name(document: dict[str, Any]) -> None:
    names = [described["operationId"] for _, described in operations(document)]

    assert sorted(names) == sorted(set(names))
    assert {"register", "login", "read_me", "edit_me", "edit_me_put", "refresh"} <= set(names)


def test_every_error_is_the_same_schema(document: dict[str, Any]) -> None:
    """Generators write a model for each other one."""
    schemas = [
        content["schema"]
        for _, described in operations(document)
        for status, answer in described["responses"].items()
        if int(status) >= 400
        for content in answer["content"].values()
    ]

    assert len(schemas) > 300
    assert all(schema == {"$ref": "#/components/schemas/Problem"} for schema in schemas)


@pytest.mark.parametrize("word", ["oneOf", "allOf", "readOnly", "writeOnly"])
def test_no_schema_has_a_word_that_generators_stumble_over(
    document: dict[str, Any], word: str
) -> None:
    assert f'"{word}"' not in json.dumps(document)


def test_no_schema_is_both_sent_and_answered(document: dict[str, Any]) -> None:
    sent, answered = set(), set()
    for _, described in operations(document):
        sent |= named_in(described.get("requestBody"))
        answered |= named_in(described["responses"])

    assert "Login" in sent
    # The empty object.
    assert sent & answered == {"Nothing"}


def named_in(described: Any) -> set[str]:
    return set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(described)))


def test_it_says_what_it_is_and_where(document: dict[str, Any]) -> None:
    info = document["info"]

    assert (info["title"], info["version"]) == ("User System API", VERSION)
    assert "**To authorize**, call `POST /api/v1/auth/login`" in info["description"]
    assert document["servers"] == [{"url": "http://localhost:8000"}]
    assert all(tag["description"] for tag in document["tags"])


@pytest.mark.parametrize(
    ("field", "format_"),
    [
        ("User.email", "email"),
        ("User.avatar_url", "uri"),
        ("User.created_at", "date-time"),
        ("Register.email", "email"),
        ("Profile.avatar_url", "uri"),
        ("Enrolment.uri", "uri"),
        ("Endpoints.enroll", "uri"),
        ("Session.id", "uuid"),
    ],
)
def test_texts_of_a_known_format_say_which(
    document: dict[str, Any], field: str, format_: str
) -> None:
    schema, _, name = field.partition(".")

    assert document["components"]["schemas"][schema]["properties"][name]["format"] == format_


@pytest.mark.parametrize("name", ["TokenForm", "RevokeForm"])
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


def test_the_calls_that_take_the_answer_to_a_ceremony_may_refuse_it(
    document: dict[str, Any],
) -> None:
    schemas = document["components"]["schemas"]
    taking = {name for name, schema in schemas.items() if "ceremony" in schema["properties"]}

    refusing = {
        reference.rpartition("/")[2]
        for _, operation in operations(document)
        if "ceremony_invalid" in codes(operation)
        for body in operation["requestBody"]["content"].values()
        if (reference := body["schema"]["$ref"])
    }

    # One schema is an answer: it holds the ceremony that begins.
    assert refusing == taking - {"Ceremony"}


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
        *("aal", "amr", "signed_in_by", "kind", "fresh_until"),
    }
    assert nullable == {"ip", "user_agent", "fresh_until"}


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
    sent = {
        name
        for _, described in operations(document)
        for name in named_in(described.get("requestBody"))
    }

    with_password = {
        name
        for name, schema in document["components"]["schemas"].items()
        for field in schema["properties"]
        if "password" in field
    }
    assert "Login" in with_password
    assert with_password <= sent


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


# What an account reaches that must have a second factor and has none.
BEFORE_SECOND_STEP = {
    *("GET /users/me", "POST /auth/reauthenticate", "POST /auth/password/change"),
    *("POST /auth/logout", "GET /auth/sessions", "GET /auth/sessions/current"),
    *("DELETE /auth/sessions/{id}", "POST /auth/reauthenticate/passkey-options"),
    *("GET /auth/factors", "PUT /auth/factors/second-step", "POST /auth/factors/recovery-codes"),
    *("POST /auth/factors/totp", "POST /auth/factors/totp/confirm", "DELETE /auth/factors/totp"),
    *("POST /auth/passkeys/options", "POST /auth/passkeys", "PATCH /auth/passkeys/{id}"),
    *("DELETE /auth/passkeys/{id}", "GET /auth/remembered-devices"),
    *("DELETE /auth/remembered-devices", "DELETE /auth/remembered-devices/{id}"),
}


def test_all_other_calls_with_a_token_may_want_a_second_factor(document: dict[str, Any]) -> None:
    with_token = {
        call: codes(described)
        for call, described in operations(document)
        if set(codes(described)) >= TOKEN
    }

    silent = {call for call, found in with_token.items() if "mfa_enrollment_required" not in found}
    assert silent == {call.replace(" ", f" {API}", 1) for call in BEFORE_SECOND_STEP}
    assert len(with_token) > len(silent)


def test_the_calls_are_described_when_somebody_asks(new_app: Callable[..., Flask]) -> None:
    api = api_of(new_app())
    described_at_the_start = list(api.spec.to_dict()["paths"])

    described = api.document()["paths"]

    assert described_at_the_start == []
    assert f"{API}/users/me" in described


def test_each_application_has_a_document_of_its_own(
    client: FlaskClient, new_app: Callable[..., Flask]
) -> None:
    other = new_app(BRAND_NAME="Acme").test_client()

    titles = [one.get("/openapi.json").json["info"]["title"] for one in (client, other, client)]

    assert titles == ["User System API", "Acme API", "User System API"]
