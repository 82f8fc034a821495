"""Forms, queries, content types and ids in paths."""

import io
from typing import Any
from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.models import User
from tests.cases import each
from tests.factories import API, PASSWORD, bearer, log_in, problem, refused_fields

FORM = "application/x-www-form-urlencoded"
CREDENTIALS = urlencode({"username": "ada", "password": PASSWORD})


def send_form(
    client: FlaskClient, form: str | bytes, content_type: str = FORM, **options: Any
) -> TestResponse:
    return client.post(f"{API}/auth/login", data=form, content_type=content_type, **options)


# Forms


@pytest.mark.parametrize(
    "more",
    [
        "",
        "&grant_type=password",
        "&grant_type=password&scope=&client_id=&client_secret=",
        "&scope=read+write",
        "&client_id=web",
        "&grant_type=",
        "&anything=else",
        "&empty",
        "&",
        "&email=bob%40example.com",
        "&__proto__=x",
    ],
)
def test_a_form_logs_in_and_its_unknown_fields_are_ignored(
    client: FlaskClient, ada: User, more: str
) -> None:
    response = send_form(client, CREDENTIALS + more)

    assert response.status_code == 200, response.text
    assert response.json["token_type"] == "bearer"


@pytest.mark.parametrize(
    "content_type",
    [
        FORM.upper(),
        f"{FORM}; charset=utf-8",
        f"{FORM}; charset=utf8",
        f'{FORM}; charset="UTF8"',
        f"{FORM};",
    ],
)
def test_a_form_may_say_that_it_is_utf_8(client: FlaskClient, ada: User, content_type: str) -> None:
    response = send_form(client, CREDENTIALS, content_type)

    assert response.status_code == 200


def test_a_form_reads_percent_signs_and_pluses(client: FlaskClient, ada: User) -> None:
    response = send_form(client, f"username=%61da&password={PASSWORD.replace(' ', '+')}")

    assert response.status_code == 200


@each(
    ("again", "places"),
    [
        ("&username=ada", {"#/username"}),
        ("&username=", {"#/username"}),
        ("&%75sername=bob", {"#/username"}),
        ("&password=x", {"#/password"}),
        ("&password=x&username=bob", {"#/username", "#/password"}),
        ("&grant_type=password&grant_type=password", {"#/grant_type"}),
        ("&scope=a&scope=b", {"#/scope"}),
    ],
)
def test_a_form_field_given_twice_is_refused(
    client: FlaskClient, ada: User, again: str, places: set[str]
) -> None:
    response = send_form(client, CREDENTIALS + again)

    assert refused_fields(response) == dict.fromkeys(places, "repeated")


@pytest.mark.parametrize(
    ("form", "refused"),
    [
        ("", {"#/username": "required", "#/password": "required"}),
        ("username=ada", {"#/password": "required"}),
        ("password=x", {"#/username": "required"}),
        ("username=a%00&password=x", {"#/username": "invalid_characters"}),
        ("username=ada&password=x%00", {"#/password": "invalid_characters"}),
    ],
)
def test_a_form_without_what_is_needed_is_refused(
    client: FlaskClient, form: str, refused: dict[str, str]
) -> None:
    response = send_form(client, form)

    assert refused_fields(response) == refused


@pytest.mark.parametrize(
    "form",
    [
        "username=%ff&password=x",
        "username=ada&password=%c3%28",
        "username=ada&password=%ed%a0%80",
        "%ff=1",
        b"username=\xff&password=x",
        "&".join(f"field{number}=1" for number in range(1000)),
    ],
    ids=lambda form: repr(form[:40]),
)
def test_a_form_that_cannot_be_read_is_a_bad_request(
    client: FlaskClient, form: str | bytes
) -> None:
    response = send_form(client, form)

    assert problem(response) == (400, "bad_request")


def test_credentials_in_the_query_are_not_read(client: FlaskClient, ada: User) -> None:
    response = client.post(f"{API}/auth/login?{CREDENTIALS}", data="", content_type=FORM)

    assert problem(response) == (422, "validation_failed")


def test_a_form_beyond_64_kib_is_refused(client: FlaskClient, ada: User) -> None:
    response = send_form(client, f"{CREDENTIALS}&x={'x' * 70_000}")

    assert problem(response) == (413, "body_too_large")


# Content types


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "APPLICATION/JSON",
        "application/json; charset=utf-8",
        'application/json; charset="UTF-8"',
        "application/json;charset=UTF-8",
        "application/json; charset=utf8",
        'application/json; charset="UTF8"',
        "application/json; Charset=Utf8",
    ],
)
def test_json_may_say_that_it_is_utf_8(client: FlaskClient, ada: User, content_type: str) -> None:
    body = f'{{"username": "ada", "password": "{PASSWORD}"}}'

    response = client.post(f"{API}/auth/login", data=body, content_type=content_type)

    assert response.status_code == 200


@each(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "text/json",
        "text/html",
        "application/jsonp",
        "application/xml",
        "application/octet-stream",
        "application/problem+json",
        "application/merge-patch+json",
        "application/vnd.api+json",
        "application/json; charset=latin-1",
        "application/json; charset=utf-16",
        "application/json; charset=utf-7",
        "application/json; charset=utf",
        "multipart/form-data",
        "multipart/form-data; boundary=x",
        "application/json, text/plain",
        "garbage",
        "a/b/c",
        "; charset=utf-8",
    ],
)
@each("call", ["register", "login", "refresh"])
def test_any_other_type_is_unsupported(
    client: FlaskClient, call: str, content_type: str | None
) -> None:
    response = client.post(f"{API}/auth/{call}", data="{}", content_type=content_type)

    assert problem(response) == (415, "unsupported_media_type")


@pytest.mark.parametrize("call", ["register", "refresh", "logout"])
def test_a_form_is_unsupported_where_json_alone_is_taken(client: FlaskClient, call: str) -> None:
    response = client.post(f"{API}/auth/{call}", data="refresh_token=x", content_type=FORM)

    assert problem(response) == (415, "unsupported_media_type")


def test_an_upload_is_unsupported(client: FlaskClient, ada: User) -> None:
    parts = {"username": "ada", "password": PASSWORD, "file": (io.BytesIO(b"x"), "x.txt")}

    response = client.post(f"{API}/auth/login", data=parts)

    assert problem(response) == (415, "unsupported_media_type")


def test_a_body_that_may_be_left_out_needs_no_type(client: FlaskClient) -> None:
    response = client.post(f"{API}/auth/refresh")

    assert problem(response) == (401, "not_authenticated")


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity"])
def test_a_content_encoding_is_not_undone(client: FlaskClient, encoding: str) -> None:
    response = client.post(
        f"{API}/auth/login",
        data=b"\x1f\x8b\x08\x00",
        content_type="application/json",
        headers={"Content-Encoding": encoding},
    )

    assert response.status_code in (400, 415)


# Queries


@each(
    ("query", "refused"),
    [
        ("scope=nonsense", {"scope": "invalid_choice"}),
        ("scope=", {"scope": "invalid_choice"}),
        ("scope=LOCAL", {"scope": "invalid_choice"}),
        ("scope=local&scope=local", {"scope": "repeated"}),
        ("scope=local&sc%6fpe=local", {"scope": "repeated"}),
        ("unknown=1", {"unknown": "unknown_field"}),
        ("scope=local&unknown=1", {"unknown": "unknown_field"}),
        ("scope=%00", {"scope": "invalid_characters"}),
        ("scope", {"scope": "invalid_choice"}),
    ],
)
def test_a_query_that_is_not_as_documented_is_refused(
    client: FlaskClient, ada: User, query: str, refused: dict[str, str]
) -> None:
    headers = bearer(log_in(client, ada)["access_token"])

    response = client.post(f"{API}/auth/logout?{query}", headers=headers)

    assert refused_fields(response) == refused


@pytest.mark.parametrize("query", ["scope=%ff", "%ff=local", "scope=%ed%a0%80"])
def test_a_query_that_is_no_utf_8_is_a_bad_request(
    client: FlaskClient, ada: User, query: str
) -> None:
    headers = bearer(log_in(client, ada)["access_token"])

    response = client.post(f"{API}/auth/logout?{query}", headers=headers)

    assert problem(response) == (400, "bad_request")


def test_a_refused_query_has_ended_nothing(client: FlaskClient, ada: User) -> None:
    headers = bearer(log_in(client, ada)["access_token"])

    client.post(f"{API}/auth/logout?scope=nonsense", headers=headers)

    assert client.get(f"{API}/users/me", headers=headers).status_code == 200


@pytest.mark.parametrize("query", ["", "?", "?scope=local"])
def test_a_query_as_documented_is_taken(client: FlaskClient, ada: User, query: str) -> None:
    headers = bearer(log_in(client, ada)["access_token"])

    response = client.post(f"{API}/auth/logout{query}", headers=headers)

    assert response.status_code == 204


# Ids in paths


@pytest.mark.parametrize("zeros", [1, 5, 500])
def test_leading_zeros_change_nothing(client: FlaskClient, ada: User, zeros: int) -> None:
    headers = bearer(log_in(client, ada)["access_token"])

    response = client.get(f"{API}/users/{'0' * zeros}{ada.id}", headers=headers)

    assert (response.status_code, response.json["id"]) == (200, ada.id)


@each(
    "user_id",
    [
        "-1",
        "+1",
        "1.0",
        "1e0",
        "0x1",
        "1_0",
        "1,0",
        "1 ",
        "%201",
        "1%00",
        "1%0A",
        "\u0661",  # Arabic digits
        "\u06f1",
        "\uff11",
        "²",
        "one",
        "null",
        "1;drop",
        "1'",
        "ME",
        "me2",
        "%ff",
        "{user_id}",
        "1/",
        "1/2",
        "",
    ],
)
def test_an_id_that_is_not_digits_alone_is_no_route(
    client: FlaskClient, grace: User, user_id: str
) -> None:
    headers = bearer(log_in(client, grace)["access_token"])

    response = client.get(f"{API}/users/{user_id}", headers=headers)

    assert problem(response) == (404, "not_found")
