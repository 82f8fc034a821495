"""What administrators do with accounts: POST, PATCH and DELETE under /users."""

from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from app.extensions import db
from app.models import AuditEvent, OneTimeToken, Session, User
from tests.cases import each
from tests.factories import (
    API,
    PASSWORD,
    bearer,
    log_in,
    make_user,
    me,
    permit,
    problem,
    refresh,
    refused_fields,
)
from tests.mailbox import Mailbox

NEW_PASSWORD = "another horse and battery"
INVITED = {"email": "New@Example.com", "username": "newcomer"}


class Admin:
    """Somebody who administers, with a fresh token."""

    def __init__(self, client: FlaskClient, user: User) -> None:
        self.client, self.user = client, user
        self.pair = log_in(client, user)

    @property
    def headers(self) -> dict[str, str]:
        return bearer(self.pair["access_token"])

    def open(self, method: str, path: str, **options: Any) -> TestResponse:
        return self.client.open(f"{API}{path}", method=method, headers=self.headers, **options)

    def invite(self, **account: Any) -> TestResponse:
        return self.open("POST", "/users", json=account)

    def edit(self, user: User, /, **changes: Any) -> TestResponse:
        return self.open("PATCH", f"/users/{user.id}", json=changes)

    def delete(self, user: User) -> TestResponse:
        return self.open("DELETE", f"/users/{user.id}")

    def end_sessions(self, user: User) -> TestResponse:
        return self.open("DELETE", f"/users/{user.id}/sessions")

    def send_reset(self, user: User) -> TestResponse:
        return self.open("POST", f"/users/{user.id}/password-reset")


@pytest.fixture
def admin(client: FlaskClient, grace: User) -> Admin:
    """Grace, the superuser."""
    return Admin(client, grace)


@pytest.fixture
def alan(app: Flask) -> User:
    """Another superuser."""
    return make_user(app, username="alan", email="alan@example.com", superuser=True)


@pytest.fixture
def clerk(app: Flask, client: FlaskClient) -> Admin:
    """Somebody who may do everything that a role can permit but with roles and the audit log."""
    user = make_user(app, username="clerk", email="clerk@example.com")
    permit(
        app,
        user,
        *("users:read", "users:write", "users:delete", "sessions:read", "sessions:revoke"),
    )
    return Admin(client, user)


def stored(app: Flask, user: User) -> User | None:
    with app.app_context():
        found = db.session.get(User, user.id)
        db.session.expunge_all()
        return found


def events(app: Flask) -> list[tuple[str, int | None, int | None, dict[str, Any]]]:
    """Event, actor, subject and details, the oldest first."""
    with app.app_context():
        # Logging in to do it is on record as well.
        done = select(AuditEvent).where(AuditEvent.event != "login_succeeded")
        rows = db.session.scalars(done.order_by(AuditEvent.id)).all()
        return [(row.event, row.actor_id, row.subject_id, row.details) for row in rows]


def count(app: Flask, model: type, *which: Any) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(model).where(*which)) or 0


# Inviting


def test_an_invitation_makes_an_account_without_a_password(app: Flask, admin: Admin) -> None:
    response = admin.invite(**INVITED, full_name="A Newcomer")

    assert response.status_code == 201
    user = response.json
    assert (user["email"], user["username"], user["full_name"]) == (
        "new@example.com",
        "newcomer",
        "A Newcomer",
    )
    assert (user["is_active"], user["is_superuser"], user["email_verified"]) == (True, False, False)
    assert response.headers["Location"] == f"{API}/users/{user['id']}"
    assert admin.open("GET", f"/users/{user['id']}").json == user
    with app.app_context():
        assert db.session.get(User, user["id"]).hashed_password is None


def test_the_invited_choose_their_password_and_have_confirmed_the_address(
    admin: Admin, client: FlaskClient, mailbox: Mailbox
) -> None:
    admin.invite(**INVITED)
    token = mailbox.token("accept-invitation", to="new@example.com")

    chosen = client.post(
        f"{API}/auth/password/reset", json={"token": token, "new_password": NEW_PASSWORD}
    )

    assert chosen.status_code == 204
    pair = client.post(
        f"{API}/auth/login", json={"username": "newcomer", "password": NEW_PASSWORD}
    ).json
    assert me(client, pair["access_token"]).json["email_verified"] is True


def test_nobody_logs_in_before_the_invitation_was_accepted(
    admin: Admin, client: FlaskClient
) -> None:
    admin.invite(**INVITED)

    for password in ("", PASSWORD, "None"):
        refused = client.post(
            f"{API}/auth/login", json={"username": "newcomer", "password": password}
        )
        assert problem(refused) == (401, "invalid_credentials")


def test_the_invited_are_written_to_in_the_language_of_who_invites(
    app: Flask, client: FlaskClient, mailbox: Mailbox
) -> None:
    lin = make_user(app, username="lin", email="lin@example.com", superuser=True, locale="zh")

    response = Admin(client, lin).invite(**INVITED)

    assert response.json["locale"] == "zh"
    assert [mail.subject for mail in mailbox.deliver()] == ["lin 邀请您加入 User System"]


def test_an_invitation_says_who_invites(
    app: Flask, client: FlaskClient, grace: User, mailbox: Mailbox
) -> None:
    with app.app_context():
        inviter = db.session.get_one(User, grace.id)
        inviter.full_name, inviter.email_verified = "Grace Hopper", True
        db.session.commit()

    Admin(client, grace).invite(**INVITED)

    (mail,) = mailbox.deliver()
    assert mail.subject == "Grace Hopper invited you to User System"
    assert "Grace Hopper (grace@example.com) invited you to User System" in mail.text
    assert "Username: newcomer" in mail.text


def test_an_invitation_shows_no_link_of_the_inviter_and_no_address_that_is_not_confirmed(
    app: Flask, client: FlaskClient, grace: User, mailbox: Mailbox
) -> None:
    with app.app_context():
        db.session.get_one(User, grace.id).full_name = "Log in at http://evil.example"
        db.session.commit()

    Admin(client, grace).invite(**INVITED)

    (mail,) = mailbox.deliver()
    assert mail.subject == "grace invited you to User System"
    assert "evil" not in mail.text
    assert "grace@example.com" not in mail.text


def test_what_is_taken_is_told(admin: Admin, ada: User) -> None:
    address = admin.invite(email="ADA@example.com", username="other")
    name = admin.invite(email="other@example.com", username="ADA")

    assert problem(address) == (400, "email_taken")
    assert problem(name) == (400, "username_taken")


def test_what_is_taken_is_told_where_registration_hides_it_too(
    admin: Admin, ada: User, set_settings: Callable[..., None]
) -> None:
    set_settings(hide_account_existence=True)

    assert problem(admin.invite(email=ada.email, username="other")) == (400, "email_taken")


@each(
    ("field", "value", "code"),
    [
        ("password", PASSWORD, "unknown_field"),
        ("hashed_password", "$2b$", "unknown_field"),
        ("id", 7, "unknown_field"),
        ("email_verified", True, "unknown_field"),
        ("is_active", False, "unknown_field"),
        ("roles", [1], "unknown_field"),
        ("bio", "x", "unknown_field"),
        ("isSuperuser", True, "unknown_field"),
        ("is_superuser", "true", "invalid"),
        ("is_superuser", 1, "invalid"),
        ("is_superuser", None, "null"),
        ("username", "admin", "username_reserved"),
        ("email", "nonsense", "invalid_email"),
        ("full_name", "x\u202ey", "invalid_characters"),
    ],
)
def test_an_invitation_takes_its_own_fields_alone(
    app: Flask, admin: Admin, field: str, value: Any, code: str
) -> None:
    response = admin.invite(**INVITED | {field: value})

    assert refused_fields(response) == {f"#/{field}": code}
    assert count(app, User) == 1


def test_a_superuser_invites_a_superuser(admin: Admin) -> None:
    assert admin.invite(**INVITED, is_superuser=True).json["is_superuser"] is True


def test_making_a_superuser_wants_a_fresh_login(admin: Admin, client: FlaskClient) -> None:
    admin.pair = refresh(client, admin.pair["refresh_token"]).json

    refused = admin.invite(**INVITED, is_superuser=True)
    made = admin.invite(**INVITED)

    assert problem(refused) == (401, "fresh_token_required")
    assert made.status_code == 201


def test_nobody_but_a_superuser_makes_one(app: Flask, clerk: Admin) -> None:
    refused = clerk.invite(**INVITED, is_superuser=True)

    assert problem(refused) == (403, "not_enough_permissions")
    assert count(app, User) == 1
    assert clerk.invite(**INVITED).status_code == 201


# Editing


def test_an_administrator_edits_what_people_say_about_themselves(
    app: Flask, admin: Admin, ada: User
) -> None:
    changes = {
        "full_name": "Ada Lovelace",
        "bio": "Notes.",
        "avatar_url": "https://example.com/ada.png",
        "username": "lovelace",
    }

    response = admin.edit(ada, **changes)

    assert response.status_code == 200
    assert {name: response.json[name] for name in changes} == changes
    assert response.json["updated_at"] is not None
    assert stored(app, ada).username_key == "lovelace"


def test_null_clears_what_may_be_empty(app: Flask, admin: Admin) -> None:
    user = make_user(app, username="ada", email="ada@example.com", full_name="Ada", bio="x")

    response = admin.edit(user, full_name=None)

    assert (response.json["full_name"], response.json["bio"]) == (None, "x")


def test_what_is_the_same_already_is_no_change(app: Flask, admin: Admin, ada: User) -> None:
    response = admin.edit(ada, username="ada", is_active=True, is_superuser=False)

    assert response.status_code == 200
    assert response.json["updated_at"] is None
    assert events(app) == []


@each(
    ("field", "value", "code"),
    [
        ("password", PASSWORD, "unknown_field"),
        ("hashed_password", "$2b$", "unknown_field"),
        ("id", 7, "unknown_field"),
        ("email", "other@example.com", "unknown_field"),
        ("email_verified", True, "unknown_field"),
        ("locale", "zh", "unknown_field"),
        ("created_at", "2026-11-22T08:00:00Z", "unknown_field"),
        ("deletion_due_at", None, "unknown_field"),
        ("username_key", "x", "unknown_field"),
        ("roles", [1], "unknown_field"),
        ("user", {"is_superuser": True}, "unknown_field"),
        ("isSuperuser", True, "unknown_field"),
        ("__class__", "x", "unknown_field"),
        ("is_active", "false", "invalid"),
        ("is_active", 0, "invalid"),
        ("is_active", None, "null"),
        ("is_superuser", 1, "invalid"),
        ("is_superuser", [True], "invalid"),
        ("username", None, "null"),
        ("username", "root", "username_reserved"),
    ],
)
def test_no_other_field_can_be_written(
    app: Flask, admin: Admin, ada: User, field: str, value: Any, code: str
) -> None:
    response = admin.edit(ada, **{field: value})

    assert refused_fields(response) == {f"#/{field}": code}
    assert stored(app, ada).updated_at is None


def test_a_taken_name_is_refused(admin: Admin, ada: User, bob: User) -> None:
    assert problem(admin.edit(ada, username="BOB")) == (400, "username_taken")


def test_deactivating_ends_every_session_at_once(
    admin: Admin, client: FlaskClient, ada: User
) -> None:
    laptop, phone = log_in(client, ada), log_in(client, ada)

    response = admin.edit(ada, is_active=False)

    assert response.json["is_active"] is False
    for pair in (laptop, phone):
        assert problem(me(client, pair["access_token"])) == (401, "session_ended")
        assert problem(refresh(client, pair["refresh_token"])) == (401, "invalid_refresh_token")
    login = client.post(f"{API}/auth/login", json={"username": "ada", "password": PASSWORD})
    assert problem(login) == (400, "inactive_user")


def test_activating_again_revives_no_session(admin: Admin, client: FlaskClient, ada: User) -> None:
    old = log_in(client, ada)
    admin.edit(ada, is_active=False)

    response = admin.edit(ada, is_active=True)

    assert response.json["is_active"] is True
    assert problem(me(client, old["access_token"])) == (401, "session_ended")
    assert log_in(client, ada)


def test_rights_count_from_the_next_request_on(
    admin: Admin, client: FlaskClient, ada: User
) -> None:
    adas = Admin(client, ada)
    assert problem(adas.open("GET", "/users")) == (403, "not_enough_permissions")

    admin.edit(ada, is_superuser=True)
    promoted = adas.open("GET", "/users")
    admin.edit(ada, is_superuser=False)
    demoted = adas.open("GET", "/users")

    assert promoted.status_code == 200
    assert problem(demoted) == (403, "not_enough_permissions")


def test_nobody_but_a_superuser_promotes(app: Flask, clerk: Admin, ada: User) -> None:
    for user in (ada, clerk.user):
        assert problem(clerk.edit(user, is_superuser=True)) == (403, "not_enough_permissions")
        assert not stored(app, user).is_superuser


def test_who_is_not_there_is_not_found(admin: Admin, ada: User) -> None:
    admin.delete(ada)

    for response in (
        admin.edit(ada, full_name="Ada"),
        admin.delete(ada),
        admin.end_sessions(ada),
        admin.send_reset(ada),
        admin.open("GET", f"/users/{ada.id}/sessions"),
        admin.open("GET", f"/users/{ada.id}/roles"),
    ):
        assert problem(response) == (404, "not_found")


# Nobody changes somebody who may do more


@pytest.mark.parametrize(
    "act",
    [
        lambda clerk, user: clerk.edit(user, full_name="x"),
        lambda clerk, user: clerk.edit(user, is_active=False),
        lambda clerk, user: clerk.edit(user),
        lambda clerk, user: clerk.delete(user),
        lambda clerk, user: clerk.end_sessions(user),
        lambda clerk, user: clerk.send_reset(user),
    ],
    ids=["edit", "deactivate", "no change", "delete", "end sessions", "reset"],
)
def test_who_may_do_more_is_out_of_reach(
    app: Flask,
    clerk: Admin,
    client: FlaskClient,
    ada: User,
    grace: User,
    act: Callable[[Admin, User], TestResponse],
) -> None:
    permit(app, ada, "users:read", "audit:read")
    sessions = {user.id: log_in(client, user)["access_token"] for user in (ada, grace)}

    for user in (ada, grace):
        assert problem(act(clerk, user)) == (403, "not_enough_permissions")
        assert me(client, sessions[user.id]).status_code == 200
        assert stored(app, user).updated_at is None
    assert count(app, OneTimeToken) == 0


def test_who_may_do_the_same_or_less_is_within_reach(
    app: Flask, clerk: Admin, client: FlaskClient, ada: User, bob: User
) -> None:
    permit(app, ada, "users:read", "users:write", "users:delete", "sessions:revoke")

    for user in (ada, bob):
        assert clerk.edit(user, full_name="x").status_code == 200
        assert clerk.end_sessions(user).status_code == 204
        assert clerk.send_reset(user).status_code == 202
        assert clerk.delete(user).status_code == 204


def test_one_edits_oneself_whatever_one_may(app: Flask, client: FlaskClient, ada: User) -> None:
    permit(app, ada, "users:write")

    assert Admin(client, ada).edit(ada, full_name="Ada").json["full_name"] == "Ada"


# The last superuser


@pytest.mark.parametrize(
    "act",
    [
        lambda admin: admin.edit(admin.user, is_superuser=False),
        lambda admin: admin.edit(admin.user, is_active=False),
        lambda admin: admin.edit(admin.user, is_active=False, is_superuser=False),
        lambda admin: admin.delete(admin.user),
        lambda admin: admin.open("DELETE", "/users/me", json={"password": PASSWORD}),
    ],
    ids=["demote", "deactivate", "both", "delete", "leave"],
)
def test_the_last_active_superuser_stays(
    app: Flask, admin: Admin, ada: User, act: Callable[[Admin], TestResponse]
) -> None:
    # Neither of these could take over.
    make_user(app, username="idle", email="idle@example.com", superuser=True, active=False)

    response = act(admin)

    assert problem(response) == (409, "last_superuser")
    assert me(admin.client, admin.pair["access_token"]).json["is_superuser"] is True
    assert events(app) == []


@pytest.mark.parametrize(
    ("act", "status"),
    [
        (lambda admin: admin.edit(admin.user, is_superuser=False), 200),
        (lambda admin: admin.edit(admin.user, is_active=False), 200),
        (lambda admin: admin.delete(admin.user), 204),
        (lambda admin: admin.open("DELETE", "/users/me", json={"password": PASSWORD}), 202),
    ],
    ids=["demote", "deactivate", "delete", "leave"],
)
def test_one_of_two_superusers_may_go(
    admin: Admin, alan: User, act: Callable[[Admin], TestResponse], status: int
) -> None:
    assert act(admin).status_code == status


def test_a_superuser_about_to_be_erased_is_nobody_to_rely_on(
    admin: Admin, client: FlaskClient, alan: User
) -> None:
    Admin(client, alan).open("DELETE", "/users/me", json={"password": PASSWORD})

    refused = admin.edit(admin.user, is_superuser=False)
    back_again = log_in(client, alan)
    demoted = admin.edit(admin.user, is_superuser=False)

    assert problem(refused) == (409, "last_superuser")
    assert back_again
    assert demoted.status_code == 200


def test_the_last_superuser_may_change_all_else(admin: Admin) -> None:
    response = admin.edit(admin.user, full_name="Grace", is_superuser=True, is_active=True)

    assert response.json["full_name"] == "Grace"


# Deleting


def test_a_deleted_account_is_gone_with_all_that_is_its(
    app: Flask, admin: Admin, client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    pair = log_in(client, ada)
    client.post(f"{API}/auth/password/forgot", json={"email": ada.email})
    token = mailbox.token("reset-password")

    response = admin.delete(ada)

    assert (response.status_code, response.data) == (204, b"")
    assert stored(app, ada) is None
    assert count(app, Session, Session.user_id == ada.id) == 0
    assert problem(me(client, pair["access_token"])) == (401, "session_ended")
    assert problem(refresh(client, pair["refresh_token"])) == (401, "invalid_refresh_token")
    used = client.post(f"{API}/auth/password/reset", json={"token": token, "new_password": "x" * 9})
    assert problem(used) == (400, "invalid_link")
    login = client.post(f"{API}/auth/login", json={"username": "ada", "password": PASSWORD})
    assert problem(login) == (401, "invalid_credentials")


def test_address_and_name_are_free_again_and_the_id_is_not(
    app: Flask, admin: Admin, ada: User
) -> None:
    admin.delete(ada)

    again = admin.invite(email=ada.email, username=ada.username)

    assert again.status_code == 201
    assert again.json["id"] > ada.id


# Sessions and passwords


def test_somebodys_sessions_are_listed_and_none_is_the_current_one(
    admin: Admin, client: FlaskClient, ada: User
) -> None:
    log_in(client, ada)
    log_in(client, ada)

    response = admin.open("GET", f"/users/{ada.id}/sessions")

    assert response.status_code == 200
    assert [session["is_current"] for session in response.json["items"]] == [False, False]
    mine = client.get(
        f"{API}/auth/sessions", headers=bearer(log_in(client, ada)["access_token"])
    ).json["items"]
    assert response.json["items"][0].keys() == mine[0].keys()


def test_somebody_is_signed_out_everywhere(
    admin: Admin, client: FlaskClient, ada: User, bob: User
) -> None:
    adas, bobs = [log_in(client, ada), log_in(client, ada)], log_in(client, bob)

    response = admin.end_sessions(ada)

    assert response.status_code == 204
    for pair in adas:
        assert problem(me(client, pair["access_token"])) == (401, "session_ended")
    assert me(client, bobs["access_token"]).status_code == 200
    assert me(client, admin.pair["access_token"]).status_code == 200
    assert log_in(client, ada)


def test_a_reset_mails_a_link_and_tells_nothing(
    admin: Admin, client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    response = admin.send_reset(ada)

    assert (response.status_code, response.json) == (202, {})
    token = mailbox.token("reset-password", to=ada.email)
    used = client.post(
        f"{API}/auth/password/reset", json={"token": token, "new_password": NEW_PASSWORD}
    )
    assert used.status_code == 204
    assert log_in(client, ada, password=NEW_PASSWORD)


def test_the_old_password_works_until_the_link_is_used(
    admin: Admin, client: FlaskClient, ada: User
) -> None:
    admin.send_reset(ada)

    assert log_in(client, ada)


def test_who_never_had_a_password_is_invited_anew(
    app: Flask, admin: Admin, client: FlaskClient, mailbox: Mailbox
) -> None:
    with time_machine.travel("2026-11-01T08:00:00Z"):
        admin.pair = log_in(client, admin.user)
        user_id = admin.invite(**INVITED).json["id"]
    admin.pair = log_in(client, admin.user)
    late = mailbox.token("accept-invitation")

    response = admin.open("POST", f"/users/{user_id}/password-reset")

    assert response.status_code == 202
    new = mailbox.token("accept-invitation")
    for token, status in ((late, 400), (new, 204)):
        used = client.post(
            f"{API}/auth/password/reset", json={"token": token, "new_password": NEW_PASSWORD}
        )
        assert used.status_code == status


# What is recorded


def test_what_administrators_do_is_recorded_with_who_and_whom(
    app: Flask, admin: Admin, ada: User
) -> None:
    made = admin.invite(**INVITED).json["id"]
    admin.edit(ada, full_name="Ada Lovelace", bio="x", is_superuser=True)
    admin.edit(ada, is_superuser=False, is_active=False)
    admin.edit(ada, is_active=True)
    admin.end_sessions(ada)
    admin.send_reset(ada)
    admin.delete(ada)

    grace = admin.user.id
    assert events(app)[:8] == [
        ("user_created", grace, made, {"is_superuser": False}),
        ("user_promoted", grace, ada.id, {"is_superuser": {"from": False, "to": True}}),
        ("user_updated", grace, ada.id, {"fields": ["bio", "full_name"]}),
        ("user_demoted", grace, ada.id, {"is_superuser": {"from": True, "to": False}}),
        (
            *("user_deactivated", grace, ada.id),
            {"is_active": {"from": True, "to": False}, "sessions_ended": 0},
        ),
        ("user_activated", grace, ada.id, {"is_active": {"from": False, "to": True}}),
        ("password_reset_asked", grace, ada.id, {}),
        ("user_deleted", grace, ada.id, {}),
    ]


def test_what_is_refused_is_not_recorded(app: Flask, clerk: Admin, grace: User, ada: User) -> None:
    clerk.edit(grace, full_name="x")
    clerk.edit(ada, is_superuser=True)
    clerk.edit(ada, username="grace")
    clerk.delete(grace)

    assert events(app) == []


# Answers


def test_no_answer_holds_more_than_its_schema_says(
    app: Flask, admin: Admin, client: FlaskClient, ada: User
) -> None:
    user_keys = set(me(client, admin.pair["access_token"]).json)
    role = admin.open("POST", "/roles", json={"name": "reader", "permissions": ["users:read"]})
    admin.open("PUT", f"/users/{ada.id}/roles", json={"roles": [role.json["id"]]})

    listed = admin.open("GET", "/users").json
    audit = admin.open("GET", "/users/audit").json
    of_ada = admin.open("GET", f"/users/{ada.id}/roles").json
    activity = Admin(client, ada).open("GET", "/users/me/activity").json

    assert all(set(user) == user_keys for user in listed["items"])
    assert set(admin.edit(ada, full_name="x").json) == user_keys
    assert set(admin.invite(**INVITED).json) == user_keys
    event_keys = {
        *("id", "at", "event", "actor_id", "subject_id", "ip", "user_agent", "request_id"),
        "details",
    }
    assert audit["items"]
    assert all(set(event) == event_keys for event in audit["items"])
    role_keys = {"id", "name", "description", "permissions", "require_mfa", "created_at"}
    assert set(role.json) == set(of_ada["items"][0]) == role_keys
    own_keys = {"id", "at", "event", "by_you", "ip", "user_agent", "details"}
    assert all(set(event) == own_keys for event in activity["items"])
    assert activity["items"]
