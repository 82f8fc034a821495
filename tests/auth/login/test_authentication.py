"""POST /auth/login"""

import json
import logging
from typing import Any

import jwt
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.extensions import db
from app.models import Session, User
from tests.cases import each
from tests.factories import API, PASSWORD, bearer, log_in, make_user, me, problem, refused_fields

FORM = "application/x-www-form-urlencoded"


def log_in_by_json(client: FlaskClient, **fields: Any) -> TestResponse:
    return client.post(f"{API}/auth/login", json={"password": PASSWORD} | fields)


def log_in_by_form(client: FlaskClient, **fields: str) -> TestResponse:
    return client.post(f"{API}/auth/login", data={"password": PASSWORD} | fields)


# What comes out


def test_answers_with_a_token_pair_and_nothing_else(client: FlaskClient, ada: User) -> None:
    response = log_in_by_json(client, username="ada")

    assert response.status_code == 200
    assert response.json.keys() == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert response.json["token_type"] == "bearer"
    assert response.json["expires_in"] == 15 * 60
    assert response.headers["Cache-Control"] == "no-store"


def test_the_access_token_is_good_for_the_own_account(client: FlaskClient, ada: User) -> None:
    pair = log_in_by_json(client, username="ada").json

    response = me(client, pair["access_token"])

    assert response.json["id"] == ada.id


def test_every_login_is_a_session_of_its_own(client: FlaskClient, ada: User) -> None:
    first = log_in(client, ada)

    second = client.post(
        f"{API}/auth/login",
        json={"username": "ada", "password": PASSWORD},
        headers=bearer(first["access_token"]),
    ).json

    sids = {
        jwt.decode(pair[name], options={"verify_signature": False})["sid"]
        for pair in (first, second)
        for name in ("access_token", "refresh_token")
    }
    assert len(sids) == 2


def test_a_token_that_is_no_good_keeps_nobody_from_logging_in(
    client: FlaskClient, ada: User
) -> None:
    response = client.post(
        f"{API}/auth/login",
        json={"username": "ada", "password": PASSWORD},
        headers=bearer("stale"),
    )

    assert response.status_code == 200


def test_the_session_remembers_the_device(app: Flask, client: FlaskClient, ada: User) -> None:
    agent = "Difference Engine/1.0 " + "x" * 400

    client.post(
        f"{API}/auth/login",
        json={"username": "ada", "password": PASSWORD},
        headers={"User-Agent": agent, "X-Forwarded-For": "203.0.113.9"},
        environ_base={"REMOTE_ADDR": "192.0.2.7"},
    )

    with app.app_context():
        session = db.session.scalars(select(Session)).one()
    assert (session.ip, session.user_agent) == ("192.0.2.7", agent[:300])


# By what one may be known


@pytest.mark.parametrize("email", ["ada@example.com", "ADA@Example.COM", "ada@ｅxample.com"])
def test_by_email_however_it_is_spelt(client: FlaskClient, ada: User, email: str) -> None:
    response = log_in_by_json(client, email=email)

    assert response.status_code == 200


@pytest.mark.parametrize("username", ["ada", "ADA", "ａｄａ"])
def test_by_username_however_it_is_spelt(client: FlaskClient, ada: User, username: str) -> None:
    response = log_in_by_json(client, username=username)

    assert response.status_code == 200


@pytest.mark.parametrize("name", ["ada", "Ada", "ada@example.com", "ADA@EXAMPLE.COM"])
def test_the_form_takes_either_as_username(client: FlaskClient, ada: User, name: str) -> None:
    response = log_in_by_form(client, username=name)

    assert response.status_code == 200


@pytest.mark.parametrize("grant_type", ["password", ""])
def test_the_form_tolerates_what_oauth_clients_add(
    client: FlaskClient, ada: User, grant_type: str
) -> None:
    response = log_in_by_form(
        client,
        username="ada",
        grant_type=grant_type,
        scope="read write",
        client_id="browser",
        client_secret="",
        anything="else",
    )

    assert response.status_code == 200


def test_the_form_may_name_its_charset(client: FlaskClient, ada: User) -> None:
    response = client.post(
        f"{API}/auth/login",
        data=f"username=ada&password={PASSWORD.replace(' ', '+')}",
        content_type=f"{FORM}; charset=UTF-8",
    )

    assert response.status_code == 200


def test_the_password_is_not_taken_from_the_query(client: FlaskClient, ada: User) -> None:
    response = client.post(
        f"{API}/auth/login", query_string={"username": "ada", "password": PASSWORD}, json={}
    )

    assert response.status_code == 422


# Wrong, and wrong in the same words


WRONG = [
    {"username": "ada", "password": "wrong"},
    {"username": "ada", "password": ""},
    {"username": "ada", "password": PASSWORD.upper()},
    {"username": "ada", "password": f" {PASSWORD}"},
    {"username": "ada", "password": f"{PASSWORD} "},
    {"username": "ada", "password": PASSWORD * 40},
    {"username": "ada", "password": "😀" * 1000},
    {"username": "nobody.here", "password": PASSWORD},
    {"username": "", "password": PASSWORD},
    {"username": "admin", "password": "admin"},
    {"username": "a" * 5000, "password": PASSWORD},
    {"username": "ada' OR '1'='1", "password": PASSWORD},
    {"username": "ada%", "password": PASSWORD},
    {"username": "@", "password": PASSWORD},
    {"username": "a@b@c", "password": PASSWORD},
    {"email": "ada@example.org", "password": PASSWORD},
    {"email": "ada", "password": PASSWORD},
    {"email": "", "password": PASSWORD},
    {"email": "ada@exam ple.com", "password": PASSWORD},
    {"email": "\u0131da@example.com", "password": PASSWORD},
    {"email": "a" * 5000 + "@example.com", "password": PASSWORD},
    {"email": "ada@" + "é" * 300 + ".com", "password": PASSWORD},
    {"email": "ada@xn--\u00fc.com", "password": PASSWORD},
]


@pytest.mark.parametrize("credentials", WRONG, ids=lambda credentials: str(credentials)[:60])
def test_whatever_is_wrong_is_answered_in_the_same_words(
    client: FlaskClient, ada: User, credentials: dict[str, str]
) -> None:
    headers = {"X-Request-ID": "same"}
    unknown = {"username": "stranger", "password": "wrong"}
    expected = client.post(f"{API}/auth/login", json=unknown, headers=headers)

    response = client.post(f"{API}/auth/login", json=credentials, headers=headers)

    assert problem(response) == (401, "invalid_credentials")
    assert response.json["detail"] == "Incorrect email or password"
    assert response.data == expected.data
    assert list(response.headers) == list(expected.headers)


def test_the_form_is_refused_in_the_same_words(client: FlaskClient, ada: User) -> None:
    headers = {"X-Request-ID": "same"}
    wrong = {"username": "ada", "password": "wrong"}
    by_json = client.post(f"{API}/auth/login", json=wrong, headers=headers)

    by_form = client.post(f"{API}/auth/login", data=wrong, headers=headers)

    assert by_form.data == by_json.data


def test_a_refusal_asks_for_bearer(client: FlaskClient, ada: User) -> None:
    response = log_in_by_json(client, username="ada", password="wrong")

    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.headers["Cache-Control"] == "no-store"


@each("name", ["admin", "root", "administrator", "test", "guest"])
@each("password", ["", "admin", "root", "password", "changeme"])
def test_nobody_is_there_before_somebody_registers(
    client: FlaskClient, name: str, password: str
) -> None:
    response = log_in_by_json(client, username=name, password=password)

    assert problem(response) == (401, "invalid_credentials")


def test_the_password_and_the_tokens_are_not_logged(
    client: FlaskClient, ada: User, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    pair = log_in_by_json(client, username="ada").json
    log_in_by_json(client, username="ada", password="canary sings")
    me(client, pair["access_token"])

    for secret in (PASSWORD, "canary sings", pair["access_token"], pair["refresh_token"]):
        assert secret not in caplog.text


# Deactivated accounts


def test_a_deactivated_user_is_told_so_for_the_right_password(
    app: Flask, client: FlaskClient
) -> None:
    make_user(app, username="ada", email="ada@example.com", active=False)

    response = log_in_by_json(client, username="ada")

    assert problem(response) == (400, "inactive_user")
    assert response.json["detail"] == "Inactive user"


def test_a_deactivated_user_is_nobody_for_a_wrong_password(app: Flask, client: FlaskClient) -> None:
    make_user(app, username="ada", email="ada@example.com", active=False)

    response = log_in_by_json(client, username="ada", password="wrong")

    assert problem(response) == (401, "invalid_credentials")


def test_a_deactivated_user_gets_no_session(app: Flask, client: FlaskClient) -> None:
    make_user(app, username="ada", email="ada@example.com", active=False)

    log_in_by_json(client, username="ada")

    with app.app_context():
        assert db.session.scalars(select(Session)).all() == []


# What the request must look like


@pytest.mark.parametrize(
    "identifiers", [{}, {"username": "ada", "email": "ada@example.com"}], ids=["none", "both"]
)
def test_exactly_one_identifier_is_wanted(
    client: FlaskClient, ada: User, identifiers: dict[str, str]
) -> None:
    response = log_in_by_json(client, **identifiers)

    assert set(refused_fields(response).values()) == {"one_identifier"}


def test_json_wants_a_password(client: FlaskClient) -> None:
    response = client.post(f"{API}/auth/login", json={"username": "ada"})

    assert refused_fields(response) == {"#/password": "required"}


@pytest.mark.parametrize("field", ["username", "password"])
def test_the_form_wants_both_fields(client: FlaskClient, field: str) -> None:
    fields = {"username": "ada", "password": PASSWORD}
    del fields[field]

    response = client.post(f"{API}/auth/login", data=fields)

    assert refused_fields(response) == {f"#/{field}": "required"}


@pytest.mark.parametrize("field", ["scope", "grant_type", "is_superuser"])
def test_json_takes_no_other_field(client: FlaskClient, ada: User, field: str) -> None:
    response = log_in_by_json(client, username="ada", **{field: "x"})

    assert refused_fields(response) == {f"#/{field}": "unknown_field"}


@each("field", ["username", "email", "password"])
@each("value", [True, 1, 1.5, ["ada"], {"$gt": ""}])
def test_nothing_but_a_string_is_a_credential(
    client: FlaskClient, ada: User, field: str, value: object
) -> None:
    fields = {"username": "ada"} if field == "password" else {}

    response = log_in_by_json(client, **fields, **{field: value})

    assert refused_fields(response)[f"#/{field}"] == "invalid"


@pytest.mark.parametrize("field", ["username", "email", "password"])
@pytest.mark.parametrize("character", ["\0", "\ud800"])
def test_nul_and_lone_surrogates_are_no_credential(
    client: FlaskClient, ada: User, field: str, character: str
) -> None:
    credentials = {"password": PASSWORD, field: f"ada{character}"}
    if field == "password":
        credentials["username"] = "ada"

    response = client.post(
        f"{API}/auth/login", data=json.dumps(credentials), content_type="application/json"
    )

    assert refused_fields(response) == {f"#/{field}": "invalid_characters"}


def test_the_form_takes_no_nul(client: FlaskClient, ada: User) -> None:
    response = client.post(
        f"{API}/auth/login", data="username=ada%00&password=x", content_type=FORM
    )

    assert refused_fields(response) == {"#/username": "invalid_characters"}


@pytest.mark.parametrize("body", [b"username=ada&password=%ff", b"username=\xff&password=x"])
def test_the_form_is_in_utf8(client: FlaskClient, ada: User, body: bytes) -> None:
    response = client.post(f"{API}/auth/login", data=body, content_type=FORM)

    assert problem(response) == (400, "bad_request")


@pytest.mark.parametrize("field", ["username", "password", "grant_type"])
def test_the_form_takes_each_field_once(client: FlaskClient, ada: User, field: str) -> None:
    body = f"username=ada&password={PASSWORD}&grant_type=password&{field}=again"

    response = client.post(f"{API}/auth/login", data=body, content_type=FORM)

    assert refused_fields(response) == {f"#/{field}": "repeated"}


def test_json_takes_each_key_once(client: FlaskClient, ada: User) -> None:
    body = '{"username": "ada", "username": "bob", "password": "x"}'

    response = client.post(f"{API}/auth/login", data=body, content_type="application/json")

    assert problem(response) == (400, "malformed_json")


@each("body", ["", "[]", "null", '"x"', "1", "true", "{", "{}x", "'{}'"])
def test_the_body_is_one_json_object(client: FlaskClient, body: str) -> None:
    response = client.post(f"{API}/auth/login", data=body, content_type="application/json")

    assert problem(response) == (400, "malformed_json")


@pytest.mark.parametrize("content_type", ["text/plain", "multipart/form-data", "text/json", None])
def test_only_json_and_forms_log_in(
    client: FlaskClient, ada: User, content_type: str | None
) -> None:
    body = '{"username": "ada", "password": "x"}'

    response = client.post(f"{API}/auth/login", data=body, content_type=content_type)

    assert problem(response) == (415, "unsupported_media_type")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_only_post_logs_in(client: FlaskClient, method: str) -> None:
    response = client.open(f"{API}/auth/login", method=method)

    assert problem(response) == (405, "method_not_allowed")
    assert "POST" in response.headers["Allow"]
