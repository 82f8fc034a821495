"""Exports of other systems, as those write them."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.moving.systems import SYSTEMS
from tests.factories import API
from tests.moving.conftest import Write, everybody, outcomes
from tests.security.passwords.test_foreign_hashes import SIGNER_KEY, VECTORS
from tests.security.passwords.test_hashing import plain_bcrypt

Report = Callable[..., list[dict[str, Any]]]

PASSWORD = "correct horse battery staple"


def vector(made_by: str) -> dict[str, Any]:
    """A hash that the library of that system made, and its password."""
    found: dict[str, Any] = next(v for v in VECTORS if v["made_by"].startswith(made_by))
    return found


def can_log_in(client: FlaskClient, username: str, password: str) -> bool:
    credentials = {"username": username, "password": password}
    return client.post(f"{API}/auth/login", json=credentials).status_code == 200


# fastapi-users


def test_fastapi_users_as_json(
    app: Flask, client: FlaskClient, write: Write, report: Report
) -> None:
    made = vector("pwdlib")
    row = {
        "id": "a8bd9ff5-6f0d-4b0c-9f0c-8f2a4e0e8f11",
        "email": "Ada@example.com",
        "hashed_password": made["stored"],
        "is_active": True,
        "is_superuser": False,
        "is_verified": True,
    }

    (told,) = report(write(row), "--from", "fastapi-users")

    (user,) = everybody(app)
    assert told["source_id"] == row["id"]
    assert (told["username"], user["username"], user["email_verified"]) == ("ada", "ada", True)
    assert can_log_in(client, "ada", made["password"])


def test_fastapi_users_as_postgresql_writes_csv(app: Flask, write: Write, report: Report) -> None:
    file = write(
        "id,email,hashed_password,is_active,is_superuser,is_verified",
        f"a8bd9ff5-6f0d-4b0c-9f0c-8f2a4e0e8f11,ada@example.com,{plain_bcrypt('x')},f,f,t",
        "b8bd9ff5-6f0d-4b0c-9f0c-8f2a4e0e8f11,bob@example.com,,t,f,maybe",
        name="user.csv",
    )

    told = report(file, "--from", "fastapi-users")

    (ada,) = everybody(app)
    assert (ada["is_active"], ada["email_verified"]) == (False, True)
    assert outcomes(told)[1] == ("refused", "malformed")


# Flask-Security


def test_flask_security(
    app: Flask,
    client: FlaskClient,
    write: Write,
    report: Report,
    set_settings: Callable[..., None],
) -> None:
    made = vector("Flask-Security")
    set_settings(**made["settings"])
    file = write(
        "id,email,username,password,active,fs_uniquifier,confirmed_at,create_datetime",
        f'7,ada@example.com,ada,"{made["stored"].removeprefix("flask-security$")}",1,'
        "5f3c,2021-05-01 10:00:00.000000,2021-04-30 09:00:00.000000",
        "8,bob@example.com,,,0,6f3c,,2021-04-30 09:00:00.000000",
        name="user.csv",
    )

    report(file, "--from", "flask-security")

    ada, bob = everybody(app)
    assert (ada["email_verified"], ada["created_at"]) == (
        True,
        datetime(2021, 4, 30, 9, tzinfo=UTC),
    )
    assert (bob["email_verified"], bob["is_active"], bob["username"]) == (False, False, "bob")
    assert can_log_in(client, "ada", made["password"])


def test_flask_security_without_its_salt_is_refused(write: Write, report: Report) -> None:
    row = {"id": 1, "email": "ada@example.com", "password": plain_bcrypt(PASSWORD)}

    told = report(write(row), "--from", "flask-security")

    assert outcomes(told) == [("refused", "setting_missing")]


def test_flask_security_with_single_hashes(
    client: FlaskClient, write: Write, report: Report
) -> None:
    # It hashes the NFKD form of what was typed.
    row = {"id": 1, "email": "ada@example.com", "password": plain_bcrypt("cafe\u0301 au lait")}

    report(write(row), "--from", "flask-security", "--single-hash")

    assert can_log_in(client, "ada", "caf\u00e9 au lait")


# Django


@pytest.mark.parametrize("made", ["Django 5.2.19, make_password(hasher='argon2')"])
def test_django_as_dumpdata_writes_it(
    app: Flask, client: FlaskClient, write: Write, report: Report, made: str
) -> None:
    fields = {
        "password": vector(made)["stored"],
        "last_login": "2024-05-01T10:00:00Z",
        "is_superuser": False,
        "username": "ada",
        "first_name": "Ada",
        "last_name": "Lovelace",
        "email": "ada@example.com",
        "is_staff": True,
        "is_active": True,
        "date_joined": "2020-05-01T10:00:00.123Z",
        "groups": [],
        "user_permissions": [],
    }
    rows = [
        {"model": "auth.group", "pk": 1, "fields": {"name": "editors", "permissions": []}},
        {"model": "auth.user", "pk": 5, "fields": fields},
        {
            "model": "auth.user",
            "pk": 6,
            "fields": fields
            | {"username": "bob", "email": "bob@example.com", "password": "!" + "x" * 40},
        },
        {"model": "auth.user", "pk": 7, "fields": fields | {"email": "", "username": "eve"}},
    ]

    told = report(write(json.dumps(rows, indent=2), name="dump.json"), "--from", "django")

    ada, bob = everybody(app)
    assert outcomes(told) == [
        ("refused", "no_account"),
        ("created", None),
        ("created", None),
        ("refused", "invalid"),
    ]
    assert [row["source_id"] for row in told] == [None, 5, 6, 7]
    assert (ada["full_name"], ada["email_verified"]) == ("Ada Lovelace", False)
    assert ada["created_at"] == datetime(2020, 5, 1, 10, 0, 0, 123000, UTC)
    assert bob["hashed_password"] is None
    assert can_log_in(client, "ada", vector(made)["password"])


def test_django_as_csv_of_the_table(app: Flask, write: Write, report: Report) -> None:
    file = write(
        "id,password,last_login,is_superuser,username,last_name,email,is_staff,is_active,"
        "date_joined,first_name",
        f"1,{vector('Django')['stored']},,t,grace,Hopper,grace@example.com,t,t,"
        "2020-05-01 10:00:00+00,Grace",
        name="auth_user.csv",
    )

    refused = report(file, "--from", "django")
    told = report(file, "--from", "django", "--allow-superusers")

    assert outcomes(refused) == [("refused", "superuser")]
    assert outcomes(told) == [("created", None)]
    assert everybody(app)[0]["full_name"] == "Grace Hopper"


# Supabase


def supabase_row(**values: Any) -> dict[str, Any]:
    return {
        "instance_id": "00000000-0000-0000-0000-000000000000",
        "id": "c8bd9ff5-6f0d-4b0c-9f0c-8f2a4e0e8f11",
        "aud": "authenticated",
        "email": "ada@example.com",
        "encrypted_password": plain_bcrypt(PASSWORD, b"2a"),
        "email_confirmed_at": "2023-05-01 10:00:00.123456+00",
        "raw_app_meta_data": {"provider": "email"},
        "raw_user_meta_data": {"full_name": "Ada Lovelace", "avatar_url": "https://a.example/a"},
        "created_at": "2023-04-30 09:00:00.5+00",
        "banned_until": None,
        "deleted_at": None,
        "is_super_admin": None,
    } | values


def test_supabase_as_json(app: Flask, client: FlaskClient, write: Write, report: Report) -> None:
    rows = [
        supabase_row(),
        supabase_row(email="bob@example.com", banned_until="2999-01-01T00:00:00Z"),
        supabase_row(email="eve@example.com", deleted_at="2024-01-01T00:00:00Z"),
        supabase_row(email=None),
    ]

    told = report(write(*rows), "--from", "supabase")

    ada, bob = everybody(app)
    assert outcomes(told)[2:] == [("refused", "deleted"), ("refused", "invalid")]
    assert (ada["full_name"], ada["avatar_url"]) == ("Ada Lovelace", "https://a.example/a")
    assert (ada["email_verified"], ada["is_active"], bob["is_active"]) == (True, True, False)
    assert ada["created_at"] == datetime(2023, 4, 30, 9, 0, 0, 500000, UTC)
    assert can_log_in(client, "ada", PASSWORD)


def test_supabase_as_csv(app: Flask, write: Write, report: Report) -> None:
    told_there = '{""user_name"": ""countess"", ""name"": ""Ada""}'
    file = write(
        "id,email,encrypted_password,email_confirmed_at,raw_user_meta_data,banned_until,deleted_at,"
        "created_at",
        f'c8bd,ada@example.com,{plain_bcrypt("x")},,"{told_there}",,,2023-04-30 09:00:00+00',
        'c8be,bob@example.com,,,"{oops",,,',
        name="users.csv",
    )

    told = report(file, "--from", "supabase")

    (ada,) = everybody(app)
    assert (ada["username"], ada["full_name"], ada["email_verified"]) == ("countess", "Ada", False)
    assert outcomes(told)[1] == ("refused", "malformed")


def test_what_an_account_can_do_without_is_left_out_and_told(
    app: Flask, write: Write, report: Report
) -> None:
    told_there = {"full_name": "x" * 101, "avatar_url": "no address"}

    (told,) = report(write(supabase_row(raw_user_meta_data=told_there)), "--from", "supabase")

    assert told["outcome"] == "created"
    assert told["left_out"] == ["avatar_url", "full_name"]
    assert everybody(app)[0]["full_name"] is None


# Auth0


def test_auth0_password_hashes_alone(
    app: Flask, client: FlaskClient, write: Write, report: Report
) -> None:
    row = {
        "_id": {"$oid": "60425dc43519d90068f82973"},
        "email_verified": True,
        "email": "ada@example.com",
        "passwordHash": plain_bcrypt(PASSWORD),
        "password_set_date": {"$date": "2021-03-05T16:34:28.502Z"},
        "tenant": "dev-rwsbs6ym",
        "connection": "Username-Password-Authentication",
        "_tmp_is_unique": True,
    }

    (told,) = report(write(row), "--from", "auth0")

    assert told["source_id"] == "auth0|60425dc43519d90068f82973"
    assert everybody(app)[0]["email_verified"]
    assert can_log_in(client, "ada", PASSWORD)


def test_auth0_users_with_the_password_hashes_beside_them(
    app: Flask, client: FlaskClient, write: Write, report: Report
) -> None:
    hashes = write(
        {
            "_id": {"$oid": "60425dc43519d90068f82973"},
            "email": "ada@example.com",
            "passwordHash": plain_bcrypt(PASSWORD),
        },
        "nonsense",
        name="hashes.json.jsonl",
    )
    users = write(
        {
            "user_id": "auth0|60425dc43519d90068f82973",
            "email": "ada@example.com",
            "email_verified": False,
            "name": "ada@example.com",
            "nickname": "ada",
            "picture": "https://s.gravatar.com/avatar/1",
            "created_at": "2021-03-05T16:34:28.502Z",
        },
        {
            "user_id": "google-oauth2|1",
            "email": "bob@example.com",
            "email_verified": True,
            "name": "Bob",
            "blocked": True,
        },
    )

    report(users, "--from", "auth0", "--password-hashes", str(hashes))

    ada, bob = everybody(app)
    assert (ada["full_name"], ada["avatar_url"]) == (None, "https://s.gravatar.com/avatar/1")
    assert (bob["full_name"], bob["is_active"], bob["hashed_password"]) == ("Bob", False, None)
    assert can_log_in(client, "ada", PASSWORD)


# Firebase


def test_firebase(
    app: Flask,
    client: FlaskClient,
    write: Write,
    report: Report,
    set_settings: Callable[..., None],
) -> None:
    set_settings(firebase_signer_key=SIGNER_KEY)
    made = vector("published")
    *_, separator, salt, stored = made["stored"].split("$")
    web_safe = stored.replace("+", "-").replace("/", "_")
    users = [
        {
            "localId": "u1",
            "email": "ada@example.com",
            "emailVerified": True,
            "passwordHash": web_safe,
            "salt": salt,
            "displayName": "Ada Lovelace",
            "createdAt": "1588327200123",
            "disabled": False,
            "providerUserInfo": [],
        },
        {"localId": "u2", "phoneNumber": "+44", "createdAt": "1588327200123"},
    ]

    told = report(
        write(json.dumps({"users": users}), name="users.json"),
        *("--from", "firebase", "--firebase-salt-separator", separator),
    )

    (ada,) = everybody(app)
    assert outcomes(told)[1] == ("refused", "invalid")
    assert (ada["full_name"], ada["email_verified"]) == ("Ada Lovelace", True)
    assert ada["created_at"] == datetime(2020, 5, 1, 10, 0, 0, 123000, UTC)
    assert can_log_in(client, "ada", made["password"])


# All of them


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize(
    "row",
    [{}, {"fields": []}, {"email": 7}, {"_id": 7, "email": {}}, {"raw_user_meta_data": [1]}],
    ids=str,
)
def test_a_row_that_makes_no_sense_is_refused_and_breaks_nothing(
    write: Write, report: Report, system: str, row: dict[str, Any]
) -> None:
    (told,) = report(write(row), "--from", system)

    assert told["outcome"] == "refused"
