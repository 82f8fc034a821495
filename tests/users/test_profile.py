"""PUT and PATCH /users/me"""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, select
from werkzeug.test import TestResponse

from app import clock
from app.errors import PreconditionFailed, SessionEnded
from app.extensions import db
from app.models import Session, User
from app.users import profile
from tests.cases import each
from tests.factories import API, bearer, log_in, make_user, me, problem, refused_fields

FIELDS = {
    "id",
    "email",
    "username",
    "full_name",
    "bio",
    "avatar_url",
    "is_active",
    "is_superuser",
    "email_verified",
    "locale",
    "created_at",
    "updated_at",
}

both_methods = pytest.mark.parametrize("method", ["PUT", "PATCH"])


def edit(client: FlaskClient, token: str, changes: Any, method: str = "PATCH") -> TestResponse:
    return client.open(f"{API}/users/me", method=method, json=changes, headers=bearer(token))


@pytest.fixture
def token(client: FlaskClient, ada: User) -> str:
    """Ada's."""
    token: str = log_in(client, ada)["access_token"]
    return token


@both_methods
def test_edits_are_answered_and_kept(client: FlaskClient, token: str, method: str) -> None:
    changes = {
        "full_name": "Ada Lovelace",
        "bio": "First\nprogrammer.",
        "avatar_url": "https://example.com/ada.png",
        "username": "countess",
        "locale": "zh",
    }

    response = edit(client, token, changes, method)

    assert response.status_code == 200
    assert response.json.keys() == FIELDS
    assert response.json.items() >= changes.items()
    assert me(client, token).json == response.json


@both_methods
def test_what_is_left_out_stays(client: FlaskClient, token: str, method: str) -> None:
    edit(client, token, {"full_name": "Ada Lovelace", "bio": "First programmer."})

    response = edit(client, token, {"bio": "Countess."}, method)

    assert (response.json["full_name"], response.json["bio"]) == ("Ada Lovelace", "Countess.")


@both_methods
def test_null_clears(client: FlaskClient, token: str, method: str) -> None:
    edit(
        client,
        token,
        {"full_name": "Ada", "bio": "Countess.", "avatar_url": "https://example.com"},
    )

    response = edit(client, token, {"full_name": None, "bio": None, "avatar_url": None}, method)

    assert response.status_code == 200
    assert {response.json[name] for name in ("full_name", "bio", "avatar_url")} == {None}


@pytest.mark.parametrize("field", ["username", "locale"])
def test_what_everybody_has_cannot_be_cleared(client: FlaskClient, token: str, field: str) -> None:
    response = edit(client, token, {field: None})

    assert refused_fields(response) == {f"#/{field}": "null"}


@both_methods
def test_no_change_at_all_is_fine(client: FlaskClient, token: str, method: str) -> None:
    before = me(client, token).json

    response = edit(client, token, {}, method)

    assert (response.status_code, response.json) == (200, before)


def test_the_time_of_the_edit_is_kept(client: FlaskClient, ada: User, token: str) -> None:
    assert me(client, token).json["updated_at"] is None

    with time_machine.travel(clock.now() + timedelta(minutes=5), tick=False):
        response = edit(client, token, {"bio": "Countess."})
        expected = f"{clock.now():%Y-%m-%dT%H:%M:%SZ}"

    assert response.json["updated_at"] == expected
    assert response.json["created_at"] == me(client, token).json["created_at"]


@pytest.mark.parametrize("taken", ["bob", "BOB", "ｂｏｂ"])
def test_a_taken_username_is_refused(
    client: FlaskClient, token: str, bob: User, taken: str
) -> None:
    response = edit(client, token, {"username": taken, "bio": "Never kept."})

    assert problem(response) == (400, "username_taken")
    assert response.json["detail"] == "Username already taken"
    assert me(client, token).json["username"] == "ada"
    assert me(client, token).json["bio"] is None


@pytest.mark.parametrize("own", ["ada", "ADA", "Ada"])
def test_ones_own_username_may_be_spelt_otherwise(
    client: FlaskClient, token: str, own: str
) -> None:
    response = edit(client, token, {"username": own})

    assert (response.status_code, response.json["username"]) == (200, own)


def test_a_new_username_logs_in_and_the_old_one_is_free(
    app: Flask, client: FlaskClient, ada: User, token: str
) -> None:
    edit(client, token, {"username": "countess"})

    somebody = make_user(app, username="ada", email="another.ada@example.com")

    assert log_in(client, somebody)["access_token"]
    assert me(client, token).json["username"] == "countess"


def test_a_username_is_kept_in_nfc(client: FlaskClient, token: str) -> None:
    response = edit(client, token, {"username": "zoe\u0308"})

    assert response.json["username"] == "zo\u00eb"


def test_two_edits_of_different_fields_are_both_kept(client: FlaskClient, token: str) -> None:
    edit(client, token, {"full_name": "Ada Lovelace"})
    edit(client, token, {"bio": "Countess."})

    profile = me(client, token).json

    assert (profile["full_name"], profile["bio"]) == ("Ada Lovelace", "Countess.")


def test_nobody_else_is_changed(client: FlaskClient, token: str, bob: User) -> None:
    before = me(client, log_in(client, bob)["access_token"]).json

    edit(client, token, {"bio": "Countess.", "username": "countess"})

    assert me(client, log_in(client, bob)["access_token"]).json == before


@each(
    "field",
    [
        "id",
        "email",
        "email_verified",
        "is_active",
        "is_superuser",
        "isSuperuser",
        "role",
        "password",
        "hashed_password",
        "username_key",
        "created_at",
        "updated_at",
        "mfa_enabled",
        "user",
        "__class__",
        "",
    ],
)
@both_methods
def test_nothing_else_can_be_set(
    app: Flask, client: FlaskClient, ada: User, token: str, method: str, field: str
) -> None:
    response = edit(client, token, {field: True, "bio": "Never kept."}, method)

    assert refused_fields(response) == {f"#/{field}": "unknown_field"}
    with app.app_context():
        kept = db.session.get_one(User, ada.id)
        assert (kept.bio, kept.is_superuser, kept.email) == (None, False, "ada@example.com")
        assert kept.hashed_password == ada.hashed_password


def test_what_looks_like_markup_or_sql_is_only_text(client: FlaskClient, token: str) -> None:
    bio = "<script>alert(1)</script>'; DROP TABLE users; -- %s {{7*7}} \\"

    response = edit(client, token, {"bio": bio, "full_name": 'O\'Brien "Al" 😀'})

    assert response.json["bio"] == bio
    assert me(client, token).json["full_name"] == 'O\'Brien "Al" 😀'


def test_editing_needs_a_json_body(client: FlaskClient, token: str) -> None:
    response = client.patch(f"{API}/users/me", headers=bearer(token))

    assert problem(response) == (415, "unsupported_media_type")


def test_the_update_itself_compares_what_was_read(
    app: Flask, client: FlaskClient, ada: User, token: str
) -> None:
    """Somebody else writes after the account was read, and before it is written."""
    with app.app_context():
        session = db.session.scalars(select(Session)).one()
        assert session.user.bio is None
        db.session.expunge_all()
        assert edit(client, token, {"full_name": "Ada Lovelace"}).status_code == 200

        with pytest.raises(PreconditionFailed):
            profile.edit(session, {"bio": "Late"}, expected=lambda user: None)
        profile.edit(session, {"bio": "Late"})

    assert me(client, token).json["bio"] == "Late"


def test_of_an_account_that_is_gone_nothing_is_expected(
    app: Flask, client: FlaskClient, ada: User, token: str
) -> None:
    with app.app_context():
        session = db.session.scalars(select(Session)).one()
        assert session.user.bio is None
        db.session.expunge_all()
        db.session.execute(delete(User))
        db.session.commit()

        with pytest.raises(SessionEnded):
            profile.edit(session, {"bio": "Late"}, expected=lambda user: None)
