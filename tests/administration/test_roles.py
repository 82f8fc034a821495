"""Roles: making them, giving them, and what nobody gives."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.extensions import db
from app.models import AuditEvent, Role, User
from tests.auth.mfa.phone import enrol_with
from tests.cases import each
from tests.factories import (
    API,
    bearer,
    give_role,
    log_in,
    make_role,
    permit,
    problem,
    refused_fields,
)


class Admin:
    """Somebody who administers roles, with a fresh token."""

    def __init__(self, client: FlaskClient, user: User) -> None:
        self.client, self.user = client, user
        self.headers = bearer(log_in(client, user)["access_token"])

    def open(self, method: str, path: str, **options: Any) -> TestResponse:
        return self.client.open(f"{API}{path}", method=method, headers=self.headers, **options)

    def create(self, name: str, *permissions: str, **more: Any) -> TestResponse:
        role = {"name": name, "permissions": list(permissions), **more}
        return self.open("POST", "/roles", json=role)

    def edit(self, role_id: int, /, **changes: Any) -> TestResponse:
        return self.open("PATCH", f"/roles/{role_id}", json=changes)

    def delete(self, role_id: int) -> TestResponse:
        return self.open("DELETE", f"/roles/{role_id}")

    def assign(self, user: User, *role_ids: int) -> TestResponse:
        return self.open("PUT", f"/users/{user.id}/roles", json={"roles": list(role_ids)})


@pytest.fixture
def admin(client: FlaskClient, grace: User) -> Admin:
    """Grace, the superuser."""
    return Admin(client, grace)


@pytest.fixture
def clerk(app: Flask, client: FlaskClient, bob: User) -> Admin:
    """Bob, who may write roles, and see accounts and sessions."""
    permit(app, bob, "roles:read", "roles:write", "users:read", "sessions:read")
    return Admin(client, bob)


def events(app: Flask) -> list[tuple[str, int | None, int | None, dict[str, Any]]]:
    with app.app_context():
        # Logging in to do it is on record as well.
        done = select(AuditEvent).where(AuditEvent.event != "login_succeeded")
        rows = db.session.scalars(done.order_by(AuditEvent.id)).all()
        return [(row.event, row.actor_id, row.subject_id, row.details) for row in rows]


# Making


def test_a_role_is_made_and_found(admin: Admin) -> None:
    made = admin.create("support", "users:read", "sessions:read", description="First level")

    assert made.status_code == 201
    assert made.headers["Location"] == f"{API}/roles/{made.json['id']}"
    assert admin.open("GET", f"/roles/{made.json['id']}").json == made.json
    assert admin.open("GET", "/roles").json == {"items": [made.json], "next_cursor": None}
    assert made.json["description"] == "First level"
    assert made.json["permissions"] == ["sessions:read", "users:read"]


def test_a_role_may_allow_nothing(admin: Admin) -> None:
    response = admin.open("POST", "/roles", json={"name": "nothing"})

    assert response.json["permissions"] == []
    assert response.json["description"] is None


def test_a_permission_that_is_named_twice_is_one(admin: Admin) -> None:
    assert admin.create("reader", "users:read", "users:read").json["permissions"] == ["users:read"]


def test_roles_come_in_pages(admin: Admin) -> None:
    names = [admin.create(f"role{number}").json["name"] for number in range(3)]

    first = admin.open("GET", "/roles?limit=2").json
    second = admin.open("GET", f"/roles?limit=2&cursor={first['next_cursor']}").json

    assert [role["name"] for role in first["items"] + second["items"]] == names
    assert second["next_cursor"] is None


def test_every_permission_can_be_looked_up(admin: Admin) -> None:
    listed = admin.open("GET", "/roles/permissions").json["items"]

    assert [one["name"] for one in listed] == sorted(one["name"] for one in listed)
    assert {"users:read", "roles:write", "audit:read"} <= {one["name"] for one in listed}
    assert all(one["description"].endswith(".") for one in listed)


def test_a_name_is_taken_once(admin: Admin) -> None:
    admin.create("support")
    other = admin.create("other").json["id"]

    assert problem(admin.create("support")) == (400, "role_name_taken")
    assert problem(admin.edit(other, name="support")) == (400, "role_name_taken")


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"name": "Support"}, {"#/name": "invalid_name"}),
        ({"name": ""}, {"#/name": "invalid_name"}),
        ({"name": "a b"}, {"#/name": "invalid_name"}),
        ({"name": "-a"}, {"#/name": "invalid_name"}),
        ({"name": "a\n"}, {"#/name": "invalid_name"}),
        ({"name": "é"}, {"#/name": "invalid_name"}),
        ({"name": "a" * 51}, {"#/name": "too_long"}),
        ({"name": None}, {"#/name": "null"}),
        ({"name": 1}, {"#/name": "invalid"}),
        ({"description": "x" * 201}, {"#/description": "too_long"}),
        ({"description": "x\u202ey"}, {"#/description": "invalid_characters"}),
        ({"permissions": ["users:everything"]}, {"#/permissions/0": "unknown_permission"}),
        ({"permissions": ["users:read", ""]}, {"#/permissions/1": "unknown_permission"}),
        ({"permissions": [1]}, {"#/permissions/0": "invalid"}),
        ({"permissions": "users:read"}, {"#/permissions": "invalid"}),
        ({"permissions": {"users:read": True}}, {"#/permissions": "invalid"}),
        ({"permissions": None}, {"#/permissions": "null"}),
        ({"permissions": ["users:read"] * 101}, {"#/permissions": "too_many"}),
        ({"id": 1}, {"#/id": "unknown_field"}),
        ({"users": [1]}, {"#/users": "unknown_field"}),
    ],
    ids=str,
)
def test_what_a_role_cannot_be_is_refused(
    admin: Admin, changes: dict[str, Any], refused: dict[str, str]
) -> None:
    role = {"name": "support", "permissions": []}
    role_id = admin.create("another").json["id"]

    assert refused_fields(admin.open("POST", "/roles", json=role | changes)) == refused
    assert refused_fields(admin.edit(role_id, **changes)) == refused


# Editing and deleting


def test_what_is_left_out_of_an_edit_stays(admin: Admin) -> None:
    role_id = admin.create("support", "users:read", description="First level").json["id"]

    renamed = admin.edit(role_id, name="helpdesk").json
    cleared = admin.edit(role_id, description=None).json
    replaced = admin.edit(role_id, permissions=["sessions:read"]).json

    assert (renamed["name"], renamed["permissions"]) == ("helpdesk", ["users:read"])
    assert (cleared["name"], cleared["description"]) == ("helpdesk", None)
    assert replaced["permissions"] == ["sessions:read"]
    assert admin.open("GET", f"/roles/{role_id}").json == replaced


def test_what_a_role_allows_counts_from_the_next_request_on(
    admin: Admin, client: FlaskClient, ada: User
) -> None:
    role_id = admin.create("support").json["id"]
    admin.assign(ada, role_id)
    adas = Admin(client, ada)

    answers = []
    for permissions in ([], ["users:read"], []):
        admin.edit(role_id, permissions=permissions)
        answers.append(adas.open("GET", "/users").status_code)

    assert answers == [403, 200, 403]


def test_a_deleted_role_allows_nothing_any_more(
    admin: Admin, client: FlaskClient, ada: User
) -> None:
    role_id = admin.create("support", "users:read").json["id"]
    admin.assign(ada, role_id)
    adas = Admin(client, ada)
    before = adas.open("GET", "/users")

    response = admin.delete(role_id)

    assert (before.status_code, response.status_code) == (200, 204)
    assert problem(adas.open("GET", "/users")) == (403, "not_enough_permissions")
    assert adas.open("GET", f"/users/{ada.id}/roles").json == {"items": []}
    assert problem(admin.open("GET", f"/roles/{role_id}")) == (404, "not_found")


@pytest.mark.parametrize("role_id", ["0", "999999", "9223372036854775808", "1" + "0" * 30])
def test_a_role_that_is_not_there_is_not_found(admin: Admin, role_id: str) -> None:
    for response in (
        admin.open("GET", f"/roles/{role_id}"),
        admin.open("PATCH", f"/roles/{role_id}", json={}),
        admin.open("DELETE", f"/roles/{role_id}"),
    ):
        assert problem(response) == (404, "not_found")


# Giving


def test_a_user_gets_exactly_the_roles_that_are_sent(admin: Admin, ada: User) -> None:
    one, two, three = (admin.create(name).json for name in ("one", "two", "three"))

    first = admin.assign(ada, one["id"], two["id"], two["id"])
    second = admin.assign(ada, three["id"], two["id"])
    read = admin.open("GET", f"/users/{ada.id}/roles")
    none = admin.assign(ada)

    assert first.json == {"items": [one, two]}
    assert second.json == read.json == {"items": [two, three]}
    assert none.json == {"items": []}


def test_one_reads_ones_own_roles_and_nobody_elses(
    admin: Admin, client: FlaskClient, ada: User, bob: User
) -> None:
    role = admin.create("support", "users:read").json
    admin.assign(ada, role["id"])
    adas = Admin(client, ada)

    own, others = (adas.open("GET", f"/users/{user.id}/roles") for user in (ada, bob))

    assert own.json == {"items": [role]}
    assert problem(others) == (403, "not_enough_permissions")


@each(
    ("roles", "refused"),
    [
        ([999999], {"#/roles/0": "unknown_role"}),
        ([2**63 - 1], {"#/roles/0": "unknown_role"}),
        ([2**63], {"#/roles/0": "out_of_range"}),
        ([10**30], {"#/roles/0": "out_of_range"}),
        ([0], {"#/roles/0": "out_of_range"}),
        ([-1], {"#/roles/0": "out_of_range"}),
        ([True], {"#/roles/0": "invalid"}),
        (["1"], {"#/roles/0": "invalid"}),
        ([1.5], {"#/roles/0": "invalid"}),
        ([None], {"#/roles/0": "null"}),
        (1, {"#/roles": "invalid"}),
        (None, {"#/roles": "null"}),
        ([1] * 101, {"#/roles": "too_many"}),
    ],
    ids=lambda value: str(value)[:30],
)
def test_roles_that_are_none_are_refused(
    admin: Admin, ada: User, roles: Any, refused: dict[str, str]
) -> None:
    response = admin.open("PUT", f"/users/{ada.id}/roles", json={"roles": roles})

    assert refused_fields(response) == refused


def test_of_several_roles_the_unknown_ones_are_named_and_none_is_given(
    admin: Admin, ada: User
) -> None:
    known = admin.create("known").json["id"]

    response = admin.assign(ada, known, known + 7, known + 8)

    assert refused_fields(response) == {"#/roles/1": "unknown_role", "#/roles/2": "unknown_role"}
    assert admin.open("GET", f"/users/{ada.id}/roles").json == {"items": []}


def test_a_deleted_user_leaves_the_roles_alone(admin: Admin, ada: User) -> None:
    role_id = admin.create("support").json["id"]
    admin.assign(ada, role_id)

    admin.open("DELETE", f"/users/{ada.id}")

    assert admin.open("GET", f"/roles/{role_id}").status_code == 200


# Nobody gives what they do not have


def test_nobody_makes_a_role_that_allows_more_than_they_may(app: Flask, clerk: Admin) -> None:
    refused = clerk.create("too-much", "users:read", "users:write")
    made = clerk.create("just-right", "users:read", "roles:write")

    assert problem(refused) == (403, "not_enough_permissions")
    assert made.status_code == 201


def test_nobody_adds_to_a_role_what_they_may_not(clerk: Admin) -> None:
    role_id = clerk.create("reader", "users:read").json["id"]

    refused = clerk.edit(role_id, permissions=["users:read", "audit:read"])

    assert problem(refused) == (403, "not_enough_permissions")
    assert clerk.open("GET", f"/roles/{role_id}").json["permissions"] == ["users:read"]


def test_nobody_changes_a_role_that_allows_more_than_they_may(app: Flask, clerk: Admin) -> None:
    auditor = make_role(app, "auditor", "audit:read")

    for response in (
        clerk.edit(auditor.id, permissions=[]),
        clerk.edit(auditor.id, name="other"),
        clerk.edit(auditor.id),
        clerk.delete(auditor.id),
    ):
        assert problem(response) == (403, "not_enough_permissions")
    assert clerk.open("GET", f"/roles/{auditor.id}").json["permissions"] == ["audit:read"]


def test_nobody_gives_or_takes_a_role_that_allows_more_than_they_may(
    app: Flask, clerk: Admin, admin: Admin, ada: User
) -> None:
    auditor = make_role(app, "auditor", "audit:read")
    given = clerk.assign(ada, auditor.id)
    to_oneself = clerk.assign(clerk.user, auditor.id)
    admin.assign(ada, auditor.id)
    taken = clerk.assign(ada)

    for response in (given, to_oneself, taken):
        assert problem(response) == (403, "not_enough_permissions")
    assert len(admin.open("GET", f"/users/{ada.id}/roles").json["items"]) == 1


def test_nobody_gives_roles_to_who_may_do_more(
    app: Flask, clerk: Admin, ada: User, grace: User
) -> None:
    permit(app, ada, "audit:read")
    reader = clerk.create("reader", "users:read").json["id"]

    for user in (ada, grace):
        assert problem(clerk.assign(user, reader)) == (403, "not_enough_permissions")


def test_within_what_one_may_one_gives_and_takes(clerk: Admin, ada: User) -> None:
    reader = clerk.create("reader", "users:read").json["id"]

    assert clerk.assign(ada, reader).status_code == 200
    assert clerk.assign(ada).json == {"items": []}


def test_two_roles_add_up(app: Flask, client: FlaskClient, clerk: Admin, ada: User) -> None:
    give_role(app, ada, make_role(app, "one", "users:read"))
    give_role(app, ada, make_role(app, "two", "sessions:read", "users:read"))

    adas = Admin(client, ada)

    assert adas.open("GET", "/users").status_code == 200
    assert adas.open("GET", f"/users/{clerk.user.id}/sessions").status_code == 200
    assert adas.open("GET", "/users/audit").status_code == 403


def test_the_permissions_of_a_role_that_needs_a_factor_count_at_the_second_level_alone(
    admin: Admin, client: FlaskClient, ada: User
) -> None:
    strict = admin.create("strict", "users:read", require_mfa=True).json
    lax = admin.create("lax", "sessions:read").json
    admin.assign(ada, strict["id"], lax["id"])
    adas = Admin(client, ada)

    assert strict["require_mfa"] is True
    assert lax["require_mfa"] is False
    assert problem(adas.open("GET", "/users")) == (403, "mfa_enrollment_required")
    assert adas.open("GET", f"/users/{admin.user.id}/sessions").status_code == 200
    enrol_with(client, adas.headers["Authorization"].removeprefix("Bearer "))
    assert adas.open("GET", "/users").status_code == 200


def test_nobody_drops_the_need_of_a_factor_who_lacks_the_permissions_without_one(
    app: Flask, admin: Admin, client: FlaskClient, bob: User
) -> None:
    """Bob edits roles with a password alone, and has accounts only with a second factor."""
    permit(app, bob, "roles:read", "roles:write")
    strict = admin.create("strict", "users:read", require_mfa=True).json["id"]
    give_role(app, bob, stored_role(app, strict))

    refusal = Admin(client, bob).edit(strict, require_mfa=False)

    assert problem(refusal) == (403, "mfa_enrollment_required")
    assert admin.open("GET", f"/roles/{strict}").json["require_mfa"] is True


def stored_role(app: Flask, role_id: int) -> Role:
    with app.app_context():
        role = db.session.get_one(Role, role_id)
        db.session.expunge_all()
        return role


def test_a_permission_that_nobody_declares_any_more_opens_nothing(
    app: Flask, admin: Admin, client: FlaskClient, ada: User
) -> None:
    old = make_role(app, "old", "notes:read")
    give_role(app, ada, old)

    assert problem(Admin(client, ada).open("GET", "/users")) == (403, "not_enough_permissions")
    assert admin.open("GET", f"/roles/{old.id}").json["permissions"] == ["notes:read"]
    assert admin.edit(old.id, permissions=[]).json["permissions"] == []


# What is recorded


def test_what_becomes_of_roles_is_recorded(app: Flask, admin: Admin, ada: User) -> None:
    role_id = admin.create("support", "users:read").json["id"]
    admin.assign(ada, role_id)
    admin.assign(ada, role_id)
    admin.edit(role_id, name="helpdesk", permissions=["users:read", "audit:read"])
    admin.edit(role_id, name="helpdesk")
    admin.delete(role_id)

    grace = admin.user.id
    assert events(app) == [
        ("role_created", grace, None, {"role": "support", "permissions": ["users:read"]}),
        ("roles_changed", grace, ada.id, {"roles": {"from": [], "to": ["support"]}}),
        (
            "role_changed",
            grace,
            None,
            {
                "role": "helpdesk",
                "fields": ["name"],
                "permissions": {"from": ["users:read"], "to": ["audit:read", "users:read"]},
            },
        ),
        (
            "role_deleted",
            grace,
            None,
            {"role": "helpdesk", "permissions": ["audit:read", "users:read"]},
        ),
    ]


def test_whether_a_role_needs_a_second_factor_is_recorded(app: Flask, admin: Admin) -> None:
    role_id = admin.create("support", "users:read", require_mfa=True).json["id"]
    admin.edit(role_id, require_mfa=True)
    weaker = admin.edit(role_id, require_mfa=False)
    admin.edit(role_id, description="x")

    assert weaker.json["require_mfa"] is False
    assert [details for _, _, _, details in events(app)] == [
        {"role": "support", "permissions": ["users:read"], "require_mfa": True},
        {
            "role": "support",
            "fields": ["require_mfa"],
            "require_mfa": {"from": True, "to": False},
        },
        {"role": "support", "fields": ["description"]},
    ]


def test_what_is_refused_changes_nothing(app: Flask, clerk: Admin, ada: User) -> None:
    clerk.create("too-much", "users:write")
    clerk.assign(ada, 999999)

    assert events(app) == []
    with app.app_context():
        names = db.session.scalars(select(Role.name)).all()
    assert "too-much" not in names
