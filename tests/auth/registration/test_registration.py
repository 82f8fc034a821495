"""POST /auth/register"""

import logging
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from app.extensions import db
from app.models import User
from tests.cases import each
from tests.factories import API, PASSWORD, log_in, problem, refused_fields

ADA = {"email": "ada@example.com", "username": "ada", "password": PASSWORD}


def register(client: FlaskClient, **fields: Any) -> TestResponse:
    """Register Ada, but for the given fields."""
    return client.post(f"{API}/auth/register", json=ADA | fields)


def stored_users(app: Flask) -> list[User]:
    with app.app_context():
        return list(db.session.scalars(select(User).order_by(User.id)))


def test_makes_an_account_and_shows_it(client: FlaskClient) -> None:
    account = {"email": "test@example.com", "username": "testuser", "password": "password123"}

    response = client.post(f"{API}/auth/register", json=account)

    user = response.json
    assert response.status_code == 201
    assert user.pop("id") > 0
    assert user.pop("created_at").endswith("Z")
    assert user == {
        "email": "test@example.com",
        "username": "testuser",
        "full_name": None,
        "bio": None,
        "avatar_url": None,
        "is_active": True,
        "is_superuser": False,
        "email_verified": False,
        "locale": "en",
        "updated_at": None,
    }


def test_names_the_place_of_the_new_account(client: FlaskClient) -> None:
    response = register(client)

    assert response.headers["Location"] == f"{API}/users/{response.json['id']}"
    assert response.headers["Cache-Control"] == "no-store"


def test_keeps_name_and_biography(client: FlaskClient) -> None:
    response = register(client, full_name="Ada Lovelace 👩‍💻", bio="Numbers,\nand what they mean.")

    assert response.json["full_name"] == "Ada Lovelace 👩‍💻"
    assert response.json["bio"] == "Numbers,\nand what they mean."


def test_null_is_no_name_and_no_biography(client: FlaskClient) -> None:
    response = register(client, full_name=None, bio=None)

    assert (response.json["full_name"], response.json["bio"]) == (None, None)


def test_the_new_account_can_log_in(client: FlaskClient) -> None:
    register(client)

    response = client.post(f"{API}/auth/login", json={"email": ADA["email"], "password": PASSWORD})

    assert response.status_code == 200


@pytest.mark.parametrize(
    ("accepted", "locale"),
    [
        ("zh", "zh"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-GB,zh;q=0.5", "en"),
        ("fr", "en"),
        ("fr, zh;q=0.3, en;q=0.2", "zh"),
        ("zh;q=0", "en"),
        (";;;=,,q=x", "en"),
        ("", "en"),
    ],
)
def test_the_language_is_the_one_the_browser_asks_for(
    client: FlaskClient, accepted: str, locale: str
) -> None:
    response = client.post(f"{API}/auth/register", json=ADA, headers={"Accept-Language": accepted})

    assert response.json["locale"] == locale


@pytest.mark.parametrize(
    "spelling", ["ada@example.com", "ADA@EXAMPLE.COM", "Ada@Example.Com", "ada@ｅxample.com"]
)
def test_an_address_can_be_registered_once_however_it_is_spelt(
    client: FlaskClient, spelling: str
) -> None:
    register(client)

    response = register(client, email=spelling, username="other")

    assert problem(response) == (400, "email_taken")
    assert response.json["detail"] == "Email already registered"


@pytest.mark.parametrize("spelling", ["zoë", "ZOË", "Zoe\u0308", "ｚｏë"])
def test_a_username_can_be_registered_once_however_it_is_spelt(
    client: FlaskClient, spelling: str
) -> None:
    register(client, username="Zoë")

    response = register(client, email="other@example.com", username=spelling)

    assert problem(response) == (400, "username_taken")
    assert response.json["detail"] == "Username already taken"


def test_a_refusal_names_no_constraint_and_no_value(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    register(client)

    response = register(client, username="other")

    assert "ada@example.com" not in response.text
    assert "uq_" not in response.text
    assert "ada@example.com" not in caplog.text


def test_a_refused_account_leaves_no_row(app: Flask, client: FlaskClient) -> None:
    register(client)

    register(client, username="other")
    register(client, email="other@example.com")

    assert len(stored_users(app)) == 1


def test_the_email_is_kept_in_its_canonical_form(app: Flask, client: FlaskClient) -> None:
    response = register(client, email="Ada.Lovelace+Notes@BÜCHER.Example.COM")

    assert response.json["email"] == "ada.lovelace+notes@xn--bcher-kva.example.com"
    assert stored_users(app)[0].email == response.json["email"]


def test_the_username_is_kept_as_it_was_written_in_nfc(client: FlaskClient) -> None:
    response = register(client, username="Zoe\u0308.B")

    assert response.json["username"] == "Zo\u00eb.B"


@each(
    "field",
    [
        "id",
        "role",
        "is_admin",
        "is_superuser",
        "is_active",
        "email_verified",
        "hashed_password",
        "username_key",
        "created_at",
        "locale",
        "avatar_url",
        "__class__",
        "isSuperuser",
        "Email",
    ],
)
def test_nobody_sets_a_field_that_is_not_theirs_to_set(
    app: Flask, client: FlaskClient, field: str
) -> None:
    response = register(client, **{field: True})

    assert refused_fields(response) == {f"#/{field}": "unknown_field"}
    assert stored_users(app) == []


@pytest.mark.parametrize("field", ["email", "username", "password"])
def test_every_required_field_is_asked_for(client: FlaskClient, field: str) -> None:
    account = {name: value for name, value in ADA.items() if name != field}

    response = client.post(f"{API}/auth/register", json=account)

    assert refused_fields(response) == {f"#/{field}": "required"}


def test_all_flaws_are_named_at_once(client: FlaskClient) -> None:
    response = client.post(f"{API}/auth/register", json={"email": "ada", "password": "short"})

    assert refused_fields(response) == {
        "#/email": "invalid_email",
        "#/username": "required",
        "#/password": "password_too_short",
    }


@pytest.mark.parametrize("field", ["email", "username", "password"])
def test_null_is_no_value_for_a_required_field(client: FlaskClient, field: str) -> None:
    response = register(client, **{field: None})

    assert refused_fields(response) == {f"#/{field}": "null"}


@each("field", ["email", "username", "password", "full_name", "bio"])
@each("value", [True, 0, 12345678901234567, 1.5, ["ada@example.com"], {"$ne": ""}, []])
def test_nothing_but_a_string_is_a_string(
    app: Flask, client: FlaskClient, field: str, value: object
) -> None:
    response = register(client, **{field: value})

    assert refused_fields(response) == {f"#/{field}": "invalid"}
    assert stored_users(app) == []


@each("field", ["email", "username", "password", "full_name", "bio"])
@each("character", ["\\u0000", "\\ud800", "\\udfff"])
def test_nul_and_lone_surrogates_are_refused_in_every_string(
    client: FlaskClient, field: str, character: str
) -> None:
    fields = ADA | {field: "ada lovelace@example.com"}
    written = ", ".join(f'"{name}": "{value}"' for name, value in fields.items())
    body = "{" + written.replace("ada lovelace", f"ada{character}lovelace") + "}"

    response = client.post(f"{API}/auth/register", data=body, content_type="application/json")

    assert refused_fields(response) == {f"#/{field}": "invalid_characters"}


@pytest.mark.parametrize(("field", "longest"), [("full_name", 100), ("bio", 5000)])
def test_texts_have_a_length(client: FlaskClient, field: str, longest: int) -> None:
    response = register(client, **{field: "ä" * (longest + 1)})

    assert refused_fields(response) == {f"#/{field}": "too_long"}


@pytest.mark.parametrize(("field", "longest"), [("full_name", 100), ("bio", 5000)])
def test_a_text_may_be_as_long_as_that(client: FlaskClient, field: str, longest: int) -> None:
    response = register(client, **{field: "😀" * longest})

    assert response.json[field] == "😀" * longest


@each("character", ["\r\n", "\t", "\x1b", "\x7f", "\u202e", "\u2066", "\u200b", "\ufeff", "\u2028"])
def test_a_name_holds_no_character_that_hides_or_reorders(
    client: FlaskClient, character: str
) -> None:
    response = register(client, full_name=f"Ada{character}Lovelace")

    assert refused_fields(response) == {"#/full_name": "invalid_characters"}


@pytest.mark.parametrize("username", ["admin", "Root", "SYSTEM", "ａｄｍｉｎ", "ſupport"])
def test_nobody_registers_under_a_reserved_name(client: FlaskClient, username: str) -> None:
    response = register(client, username=username)

    assert refused_fields(response) == {"#/username": "username_reserved"}


def test_a_password_of_seven_characters_is_too_short(client: FlaskClient) -> None:
    response = register(client, password="1234567")

    assert refused_fields(response) == {"#/password": "password_too_short"}


def test_a_password_of_a_hundred_and_one_characters_is_too_long(client: FlaskClient) -> None:
    response = register(client, password="x" * 101)

    assert refused_fields(response) == {"#/password": "password_too_long"}


@pytest.mark.parametrize(
    "password",
    [
        "12345678",
        "x" * 100,
        "😀" * 8,
        "😀" * 100,
        "        ",
        "  spaces around  ",
        "quotes ' \" ` and \\ ; --",
        "tab\tand\nline",
        "\u202eright to left",
        "e\u0301" * 100,
    ],
)
def test_any_characters_make_a_password(client: FlaskClient, password: str) -> None:
    registered = register(client, password=password)

    response = client.post(f"{API}/auth/login", json={"username": "ada", "password": password})

    assert (registered.status_code, response.status_code) == (201, 200)


def test_a_password_is_counted_after_composing_its_letters(client: FlaskClient) -> None:
    response = register(client, password="e\u0301" * 7)

    assert refused_fields(response) == {"#/password": "password_too_short"}


def test_the_least_length_is_a_setting(client: FlaskClient, set_settings: Any) -> None:
    set_settings(password_min_length=15)

    fourteen = register(client, password="x" * 14)
    fifteen = register(client, password="x" * 15)

    assert refused_fields(fourteen) == {"#/password": "password_too_short"}
    assert fifteen.status_code == 201


def test_the_password_shows_nowhere(
    client: FlaskClient, app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "canary sings at dawn"

    answers = [
        register(client, password=secret),
        register(client, password=secret),
        register(client, password=secret, username="!"),
        register(client, password=secret * 10),
        register(client, password=[secret]),
        client.post(f"{API}/auth/login", json={"username": "ada", "password": secret + "!"}),
    ]

    assert [answer.status_code for answer in answers] == [201, 400, 422, 422, 422, 401]
    assert not any(secret in answer.text for answer in answers)
    assert secret not in caplog.text
    assert secret not in repr(stored_users(app))


def test_two_people_with_one_password_have_different_hashes(
    app: Flask, client: FlaskClient
) -> None:
    register(client)
    register(client, email="bob@example.com", username="bob")

    ada, bob = stored_users(app)

    assert ada.hashed_password != bob.hashed_password


def test_registering_signs_nobody_in(client: FlaskClient) -> None:
    response = register(client)

    assert "access_token" not in response.json
    assert "Set-Cookie" not in response.headers


def test_a_signed_in_user_may_register_another(client: FlaskClient, bob: User) -> None:
    token = log_in(client, bob)["access_token"]

    response = client.post(
        f"{API}/auth/register", json=ADA, headers={"Authorization": f"Bearer {token}"}
    )

    assert response.status_code == 201


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None]
)
def test_only_json_registers(app: Flask, client: FlaskClient, content_type: str | None) -> None:
    body = '{"email":"ada@example.com","username":"ada","password":"correct horse"}'

    response = client.post(f"{API}/auth/register", data=body, content_type=content_type)

    assert problem(response) == (415, "unsupported_media_type")
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(User)) == 0
