"""ETag, If-Match and If-None-Match (RFC 9110 §13)."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update
from werkzeug.test import TestResponse

from app import clock
from app.administration.role_schemas import RoleSchema
from app.auth.schemas import UserSchema
from app.extensions import db
from app.models import Role, RolePermission, User
from app.users import profile
from tests.auth.sessions.test_races import outcomes, times
from tests.cases import each
from tests.factories import API, PASSWORD, bearer, log_in, make_role, make_user, problem

Call = Callable[..., TestResponse]
OLDER = '"0123456789abcdef0123456789abcdef"'


@pytest.fixture
def paths(app: Flask, grace: User, bob: User) -> list[str]:
    """Everything that has a tag. Another superuser lets this one close the account."""
    make_user(app, username="heidi", email="heidi@example.com", superuser=True)
    return ["users/me", f"users/{bob.id}", f"roles/{make_role(app, 'readers').id}"]


@pytest.fixture
def call(client: FlaskClient, grace: User) -> Call:
    """A call of the superuser. Names of headers are written with underscores."""
    token = bearer(log_in(client, grace)["access_token"])

    def make(call: str, json: Any = None, **headers: str) -> TestResponse:
        method, path = call.split()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return client.open(f"{API}/{path}", method=method, json=json, headers=token | named)

    return make


def tag_of(answer: TestResponse) -> str:
    assert answer.status_code == 200, answer.text
    return answer.headers["ETag"]


# What a tag is


CHANGED = {
    "email": "other@example.com",
    "username": "other",
    "full_name": "Other",
    "bio": "Other",
    "avatar_url": "https://example.com/other.png",
    "is_active": False,
    "is_superuser": False,
    "email_verified": True,
    "locale": "zh",
    "created_at": clock.now() - timedelta(days=1),
    "updated_at": clock.now(),
}


def test_each_field_that_an_account_shows_changes_the_tag(
    app: Flask, call: Call, grace: User, bob: User
) -> None:
    assert CHANGED.keys() == UserSchema().fields.keys() - {"id"}
    make_superuser = update(User).where(User.id == bob.id).values(is_superuser=True)
    tags = [tag_of(call(f"GET users/{bob.id}"))]

    for changes in [{"is_superuser": True}, *({name: v} for name, v in CHANGED.items())]:
        with app.app_context():
            db.session.execute(make_superuser.values(**changes))
            db.session.commit()
        # The fields stay changed, so each tag is new.
        make_superuser = update(User).where(User.id == bob.id)
        tags.append(tag_of(call(f"GET users/{bob.id}")))

    assert len(set(tags)) == len(tags)


def test_each_field_that_a_role_shows_changes_the_tag(app: Flask, call: Call) -> None:
    role_id = make_role(app, "readers").id
    changes = {
        "name": "others",
        "description": "Others.",
        "require_mfa": True,
        "created_at": clock.now() - timedelta(days=1),
    }
    assert {*changes, "permissions"} == RoleSchema().fields.keys() - {"id"}
    tags = [tag_of(call(f"GET roles/{role_id}"))]

    for name, value in changes.items():
        with app.app_context():
            change = update(Role).where(Role.id == role_id).values({name: value})
            db.session.execute(change)
            db.session.commit()
        tags.append(tag_of(call(f"GET roles/{role_id}")))
    with app.app_context():
        db.session.add(RolePermission(role_id=role_id, permission="users:read"))
        db.session.commit()
    tags.append(tag_of(call(f"GET roles/{role_id}")))

    assert len(set(tags)) == len(tags)


def test_the_tag_of_an_edit_is_that_of_the_next_read(call: Call, paths: list[str]) -> None:
    for path in paths:
        changes = {"description": "New."} if "roles" in path else {"bio": "New."}
        edited = call(f"PATCH {path}", changes)
        assert tag_of(edited) == tag_of(call(f"GET {path}")), path


def test_the_answer_to_a_put_has_no_tag_since_the_body_is_not_stored_as_it_is(call: Call) -> None:
    assert "ETag" not in call("PUT users/me", {"bio": "New."}).headers


# Reading


def test_who_has_the_answer_is_not_sent_it_again(call: Call, paths: list[str]) -> None:
    for path in paths:
        tag = tag_of(call(f"GET {path}"))

        for known in (tag, f"W/{tag}", f"{OLDER}, {tag}", f'"", {tag} , "x"', "*"):
            answer = call(f"GET {path}", If_None_Match=known)
            assert (answer.status_code, answer.data) == (304, b""), known
            assert answer.headers["ETag"] == tag
            assert answer.headers["Cache-Control"] == "no-store"
            assert not {"Content-Type", "Content-Length"} & {*answer.headers.keys()}


@each("other", [OLDER, "", "0123", '"', "W/*", '"*"', '"x" *'])
def test_who_has_another_one_gets_it(call: Call, other: str) -> None:
    assert call("GET users/me", If_None_Match=other).status_code == 200


def test_a_head_is_answered_like_a_get(call: Call) -> None:
    tag = call("HEAD users/me").headers["ETag"]

    assert tag == tag_of(call("GET users/me"))
    assert call("HEAD users/me", If_None_Match=tag).status_code == 304


def test_an_error_has_no_tag_and_is_not_304(call: Call, grace: User) -> None:
    answer = call(f"GET users/{grace.id + 1000}", If_None_Match="*")

    assert problem(answer) == (404, "not_found")
    assert "ETag" not in answer.headers


# Changing


def test_a_change_of_what_was_read_goes_through(call: Call, paths: list[str]) -> None:
    for path in paths:
        changes = {"description": "New."} if "roles" in path else {"bio": "New."}
        for number, match in enumerate(["{}", "*", f"{OLDER}, {{}}", '"", {}']):
            tag = tag_of(call(f"GET {path}"))
            changes = dict.fromkeys(changes, f"{number}")
            assert call(f"PATCH {path}", changes, If_Match=match.format(tag)).status_code == 200


def test_a_change_of_something_older_is_refused(call: Call, paths: list[str]) -> None:
    for path in paths:
        tag = tag_of(call(f"GET {path}"))
        changes = {"description": "New."} if "roles" in path else {"bio": "New."}
        methods = ["PATCH", "DELETE", *(["PUT"] if path == "users/me" else [])]

        for method in methods:
            body = {"password": PASSWORD} if path == "users/me" and method == "DELETE" else changes
            body = {} if method == "DELETE" and path != "users/me" else body
            # A weak tag is never the same (§8.8.3.2).
            for match in (OLDER, f"W/{tag}", "", "x", tag.strip('"')):
                answer = call(f"{method} {path}", body, If_Match=match)
                assert problem(answer) == (412, "precondition_failed"), (method, path, match)
            answer = call(f"{method} {path}", body, If_None_Match=f"W/{tag}")
            assert problem(answer) == (412, "precondition_failed"), (method, path)

        assert tag_of(call(f"GET {path}")) == tag


def test_a_deletion_of_what_was_read_goes_through(call: Call, paths: list[str]) -> None:
    statuses = []
    for path in reversed(paths):
        tag = tag_of(call(f"GET {path}"))
        body = {"password": PASSWORD} if path == "users/me" else None
        statuses.append(call(f"DELETE {path}", body, If_Match=tag))

    assert [answer.status_code for answer in statuses] == [204, 204, 202]


def test_rights_and_existence_come_first(client: FlaskClient, call: Call, ada: User) -> None:
    by_ada = bearer(log_in(client, ada)["access_token"]) | {"If-Match": OLDER}

    assert problem(client.patch(f"{API}/users/{ada.id}", json={}, headers=by_ada))[0] == 403
    assert problem(client.patch(f"{API}/users/me", json={}, headers={"If-Match": OLDER}))[0] == 401
    assert problem(call(f"PATCH users/{ada.id + 1000}", {}, If_Match=OLDER)) == (404, "not_found")
    assert problem(call("PATCH users/me", {"bio": 1}, If_Match=OLDER)) == (
        *(422, "validation_failed"),
    )


# At once


@pytest.mark.parametrize("path", ["users/me", "users/{}", "roles/{}"])
def test_of_twenty_who_change_what_they_read_one_does(
    app: Flask, client: FlaskClient, grace: User, bob: User, path: str
) -> None:
    headers = bearer(log_in(client, grace)["access_token"])
    path = path.format(make_role(app, "readers").id if "roles" in path else bob.id)
    field = "description" if "roles" in path else "bio"
    tag = tag_of(client.get(f"{API}/{path}", headers=headers))

    def edit(mine: FlaskClient) -> TestResponse:
        return mine.patch(
            f"{API}/{path}", json={field: f"by {id(mine)}"}, headers=headers | {"If-Match": tag}
        )

    answers = times(20, edit, app)

    assert outcomes(answers) == {200: 1, (412, "precondition_failed"): 19}
    [changed] = [answer.json[field] for answer in answers if answer.status_code == 200]
    assert client.get(f"{API}/{path}", headers=headers).json[field] == changed


def test_what_an_edit_compares_is_all_that_may_change() -> None:
    assert set(profile.SHOWN) == UserSchema().fields.keys() - {"id", "created_at"}
