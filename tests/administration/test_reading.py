"""GET /users/me and GET /users/{id}"""

import re

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.models import User
from tests.factories import API, bearer, log_in, me, problem

BEYOND_ANY_ID = [
    "9223372036854775807",  # the largest that a database can hold
    "9223372036854775808",
    "99999999999999999999",
    "1" + "0" * 100,
    "9" * 5000,
]


def read(client: FlaskClient, reader: User, user_id: object) -> TestResponse:
    headers = bearer(log_in(client, reader)["access_token"])
    return client.get(f"{API}/users/{user_id}", headers=headers)


def test_me_is_the_one_shape_of_a_user(client: FlaskClient, ada: User) -> None:
    response = me(client, log_in(client, ada)["access_token"])

    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    user = response.json
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", user.pop("created_at"))
    assert user == {
        "id": ada.id,
        "email": "ada@example.com",
        "username": "ada",
        "full_name": None,
        "bio": None,
        "avatar_url": None,
        "is_active": True,
        "is_superuser": False,
        "email_verified": True,
        "locale": "en",
        "updated_at": None,
    }


def test_one_reads_oneself_by_id(client: FlaskClient, ada: User) -> None:
    response = read(client, ada, ada.id)

    assert response.status_code == 200
    assert response.json == me(client, log_in(client, ada)["access_token"]).json


def test_a_superuser_reads_anybody(client: FlaskClient, ada: User, grace: User) -> None:
    response = read(client, grace, ada.id)

    assert response.status_code == 200
    assert response.json == me(client, log_in(client, ada)["access_token"]).json


def test_others_are_refused_alike_whether_or_not_the_id_exists(
    client: FlaskClient, ada: User, bob: User
) -> None:
    existing = read(client, ada, bob.id)
    missing = read(client, ada, bob.id + 1_000_000)

    assert problem(existing) == problem(missing) == (403, "not_enough_permissions")
    assert existing.json["detail"] == missing.json["detail"] == "Not enough permissions"


def test_a_superuser_is_told_that_an_id_does_not_exist(client: FlaskClient, grace: User) -> None:
    response = read(client, grace, grace.id + 1_000_000)

    assert problem(response) == (404, "not_found")


@pytest.mark.parametrize("user_id", ["0", *BEYOND_ANY_ID], ids=lambda text: text[:24])
def test_an_id_that_nobody_can_have_is_like_any_other(
    client: FlaskClient, ada: User, grace: User, user_id: str
) -> None:
    as_ada, as_grace = read(client, ada, user_id), read(client, grace, user_id)

    assert problem(as_ada) == (403, "not_enough_permissions")
    assert problem(as_grace) == (404, "not_found")


@pytest.mark.parametrize("user_id", ["0", *BEYOND_ANY_ID], ids=lambda text: text[:24])
def test_without_a_token_every_id_is_401(client: FlaskClient, user_id: str) -> None:
    response = client.get(f"{API}/users/{user_id}")

    assert problem(response) == (401, "not_authenticated")


def test_head_says_the_same_without_a_body(client: FlaskClient, ada: User) -> None:
    headers = bearer(log_in(client, ada)["access_token"])

    response = client.head(f"{API}/users/me", headers=headers)

    assert response.status_code == 200
    assert response.data == b""
    assert int(response.headers["Content-Length"]) > 0
