"""What happens to API keys at once: real threads, on PostgreSQL."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app.administration import roles
from app.api_keys.models import ApiKey
from app.extensions import db
from app.models import Role, User
from tests.api_keys.calls import create, rotate
from tests.auth.sessions.test_races import at_once, outcomes
from tests.factories import API, bearer, give_role, log_in, make_role, me, problem, take_roles

pytestmark = pytest.mark.postgresql

Make = Callable[..., dict[str, Any]]
ROUNDS = 6


def number_of_keys(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(ApiKey)) or 0


def test_of_many_keys_at_once_fifty_are_made(
    app: Flask, client: FlaskClient, ada: User, make_key: Make
) -> None:
    make_key(ada)
    with app.app_context():
        [one] = db.session.scalars(select(ApiKey)).all()
        values = {
            column.key: getattr(one, column.key)
            for column in ApiKey.__table__.columns
            if column.key not in ("id", "key_hash")
        }
        db.session.add_all(ApiKey(**values, key_hash=f"{number:064}") for number in range(46))
        db.session.commit()
    token = log_in(client, ada)["access_token"]

    answers = at_once(*(partial(create, app.test_client(), token) for _ in range(6)))

    assert outcomes(answers) == {201: 3, (409, "too_many_keys"): 3}
    assert number_of_keys(app) == 50


def test_two_rotations_at_once_leave_one_key_that_works(
    app: Flask, client: FlaskClient, ada: User, make_key: Make
) -> None:
    made = make_key(ada)
    token = log_in(client, ada)["access_token"]

    answers = at_once(*(partial(rotate, app.test_client(), token, made["id"]) for _ in range(2)))

    new = [answer.json["key"] for answer in answers]
    assert sorted(me(client, key).status_code for key in new) == [200, 401]
    assert me(client, made["key"]).status_code == 401


def test_who_loses_a_right_at_this_moment_invites_nobody_afterwards(
    app: Flask, client: FlaskClient, ada: User, make_key: Make
) -> None:
    """Whatever the key does is done before the right is gone, or refused."""
    role = make_role(app, "clerk", "users:write")
    give_role(app, ada, role)
    key = make_key(ada, "users:write")["key"]

    def invite(number: int) -> Any:
        body = {"email": f"vera{number}@example.com", "username": f"vera{number}"}
        return app.test_client().post(f"{API}/users", headers=bearer(key), json=body)

    def demote() -> None:
        with app.app_context():
            roles.change_roles(ada.id, take=[db.session.get_one(Role, role.id)], actor=None)

    def last_event_is_not_an_invitation() -> bool:
        with app.app_context():
            newest = "SELECT event FROM audit_events ORDER BY id DESC LIMIT 1"
            return db.session.scalar(db.text(newest)) == "roles_changed"

    for number in range(ROUNDS):
        answer, _ = at_once(partial(invite, number), demote)

        assert answer.status_code == 201 or problem(answer) == (403, "not_enough_permissions")
        assert last_event_is_not_an_invitation()
        assert problem(invite(100 + number)) == (403, "not_enough_permissions")
        take_roles(app, ada)
        give_role(app, ada, role)


def test_a_key_that_is_revoked_at_this_moment_changes_nothing_afterwards(
    app: Flask, client: FlaskClient, ada: User, make_key: Make
) -> None:
    token = log_in(client, ada)["access_token"]
    for number in range(ROUNDS):
        made = make_key(ada)

        def write(key: str = made["key"], number: int = number) -> Any:
            body = {"bio": f"Round {number}"}
            return app.test_client().patch(f"{API}/users/me", headers=bearer(key), json=body)

        def revoke(key_id: str = made["id"]) -> Any:
            path = f"{API}/auth/keys/{key_id}"
            return app.test_client().delete(path, headers=bearer(token))

        written, revoked = at_once(write, revoke)

        assert revoked.status_code == 204
        bio = me(client, token).json["bio"]
        assert (written.status_code == 200) == (bio == f"Round {number}")
        assert written.status_code in (200, 401)
        with app.app_context():
            newest = "SELECT event FROM audit_events ORDER BY id DESC LIMIT 1"
            assert db.session.scalar(db.text(newest)) == "key_revoked"
