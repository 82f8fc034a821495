"""What administrators do at once: real threads, on PostgreSQL."""

from collections.abc import Callable
from functools import partial
from itertools import count
from threading import Thread
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from app.access import permissions
from app.administration import accounts, roles
from app.extensions import db
from app.models import Role, Session, User
from tests.auth.sessions.test_races import at_once, elsewhere, outcomes
from tests.factories import (
    API,
    PASSWORD,
    bearer,
    give_role,
    log_in,
    make_role,
    make_user,
    me,
    problem,
    refused_fields,
)

pytestmark = pytest.mark.postgresql

ROUNDS = 20
FEWER = 8

Act = Callable[[FlaskClient, dict[str, str], User], TestResponse]


def send(
    client: FlaskClient, headers: dict[str, str], user: User, method: str, **body: Any
) -> TestResponse:
    return client.open(f"{API}/users/{user.id}", method=method, headers=headers, json=body or None)


demote: Act = partial(send, method="PATCH", is_superuser=False)
deactivate: Act = partial(send, method="PATCH", is_active=False)
delete: Act = partial(send, method="DELETE")


@pytest.fixture
def people(app: Flask) -> Callable[..., User]:
    """New people, each with a name of their own."""
    numbers = count()

    def make(**columns: Any) -> User:
        name = f"user{next(numbers)}"
        return make_user(app, username=name, email=f"{name}@example.com", **columns)

    return make


def signed_in(app: Flask, user: User) -> tuple[FlaskClient, dict[str, str]]:
    client = app.test_client()
    return client, bearer(log_in(client, user)["access_token"])


def active_superusers(app: Flask) -> int:
    with app.app_context():
        those = User.is_superuser & User.is_active & User.deletion_due_at.is_(None)
        return db.session.scalar(select(func.count()).select_from(User).where(those)) or 0


def clear(app: Flask) -> None:
    with app.app_context():
        db.session.execute(db.delete(User))
        db.session.commit()


# Superusers


@pytest.mark.parametrize(
    "act", [demote, deactivate, delete], ids=["demote", "deactivate", "delete"]
)
@pytest.mark.parametrize("stand_by", [0, 1])
def test_of_two_who_take_each_others_rights_at_once_one_keeps_them(
    app: Flask, people: Callable[..., User], act: Act, stand_by: int
) -> None:
    for _ in range(ROUNDS if act is demote else FEWER):
        clear(app)
        pair = [people(superuser=True) for _ in range(2)]
        for _ in range(stand_by):
            people(superuser=True)
        doing = [partial(act, *signed_in(app, who), whom) for who, whom in (pair, reversed(pair))]

        answers = at_once(*doing)

        # The other's rights, or whole session, were gone by then.
        assert sorted(answer.status_code for answer in answers)[0] in (200, 204)
        assert len([answer for answer in answers if answer.status_code < 400]) == 1
        assert active_superusers(app) == 1 + stand_by


def test_of_two_superusers_who_leave_at_once_one_stays(
    app: Flask, people: Callable[..., User]
) -> None:
    def leave(client: FlaskClient, headers: dict[str, str]) -> TestResponse:
        return client.delete(f"{API}/users/me", headers=headers, json={"password": PASSWORD})

    for _ in range(FEWER):
        clear(app)
        doing = [partial(leave, *signed_in(app, people(superuser=True))) for _ in range(2)]

        answers = at_once(*doing)

        assert outcomes(answers) == {202: 1, (409, "last_superuser"): 1}
        assert active_superusers(app) == 1


def test_who_steps_down_and_who_is_taken_down_in_the_shell_do_not_leave_nobody(
    app: Flask, people: Callable[..., User]
) -> None:
    def in_the_shell(user: User) -> object:
        result = app.test_cli_runner().invoke(args=["users", "demote", user.email])
        return result.exit_code

    for _ in range(FEWER):
        clear(app)
        one, other = people(superuser=True), people(superuser=True)

        at_once(partial(demote, *signed_in(app, one), one), partial(in_the_shell, other))

        assert active_superusers(app) == 1


# Beside logins


@pytest.mark.parametrize("act", [deactivate, delete], ids=["deactivate", "delete"])
def test_no_login_survives_beside_an_end_of_the_account(
    app: Flask, people: Callable[..., User], act: Act
) -> None:
    admin = signed_in(app, people(superuser=True))

    def login(client: FlaskClient, user: User) -> TestResponse:
        return client.post(f"{API}/auth/login", json={"email": user.email, "password": PASSWORD})

    for _ in range(FEWER):
        user = people()
        logins = [partial(login, app.test_client(), user) for _ in range(3)]

        *answers, ended = at_once(*logins, partial(act, *admin, user))

        assert ended.status_code in (200, 204)
        for answer in answers:
            assert answer.status_code in (200, 400, 401), answer.text
            if answer.status_code == 200:
                dead = me(app.test_client(), answer.json["access_token"])
                assert problem(dead) == (401, "session_ended")


def test_edits_of_different_fields_at_once_are_both_kept(
    app: Flask, people: Callable[..., User]
) -> None:
    admin, user = people(superuser=True), people()
    for number in range(FEWER):
        changes = [{"full_name": f"Name {number}"}, {"bio": f"Bio {number}"}]
        doing = [partial(send, *signed_in(app, admin), user, "PATCH", **one) for one in changes]

        answers = at_once(*doing)

        assert outcomes(answers) == {200: 2}
        with app.app_context():
            stored = db.session.get(User, user.id)
        assert (stored.full_name, stored.bio) == (f"Name {number}", f"Bio {number}")


def test_one_address_is_invited_once(app: Flask, people: Callable[..., User]) -> None:
    admin = people(superuser=True)

    def invite(client: FlaskClient, headers: dict[str, str], number: int) -> TestResponse:
        account = {"email": "new@example.com", "username": f"new{number}"}
        return client.post(f"{API}/users", headers=headers, json=account)

    answers = at_once(*(partial(invite, *signed_in(app, admin), n) for n in range(8)))

    assert outcomes(answers) == {201: 1, (400, "email_taken"): 7}


# Roles


def test_a_permission_that_was_taken_opens_nothing_from_then_on(
    app: Flask, people: Callable[..., User]
) -> None:
    user = people()
    role = make_role(app, "reader")
    give_role(app, user, role)
    readers = [signed_in(app, user) for _ in range(3)]

    def read(client: FlaskClient, headers: dict[str, str]) -> TestResponse:
        return client.get(f"{API}/users", headers=headers)

    def allow(*names: str) -> None:
        with app.app_context():
            roles.edit(role.id, {"permissions": names}, actor=None)

    for _ in range(FEWER):
        allow("users:read")
        assert read(*readers[0]).status_code == 200

        *answers, _ = at_once(*(partial(read, *reader) for reader in readers), allow)

        assert set(outcomes(answers)) <= {200, (403, "not_enough_permissions")}
        assert {read(*reader).status_code for reader in readers} == {403}


def test_who_loses_a_permission_at_that_moment_gives_it_no_more(
    app: Flask, people: Callable[..., User]
) -> None:
    """Whichever comes first: what was given before stays, and nothing is given after."""
    every = [one.name for one in permissions.declared()]
    for number in range(FEWER):
        clerk, friend = people(), people()
        role = make_role(app, f"all{number}", *every)
        give_role(app, clerk, role)
        client, headers = signed_in(app, clerk)
        give = partial(
            client.put,
            f"{API}/users/{friend.id}/roles",
            headers=headers,
            json={"roles": [role.id]},
        )

        def take(clerk: User = clerk) -> None:
            with app.app_context():
                roles.assign(clerk.id, [], actor=None)

        answer, _ = at_once(give, take)
        again = give()

        assert answer.status_code in (200, 403), answer.text
        assert problem(again) == (403, "not_enough_permissions")


def test_a_role_that_is_deleted_while_it_is_given_is_no_error_of_ours(
    app: Flask, people: Callable[..., User]
) -> None:
    admin, user = people(superuser=True), people()
    for number in range(FEWER):
        role = make_role(app, f"role{number}", "users:read")
        (client, headers), (other, others_headers) = signed_in(app, admin), signed_in(app, admin)

        given, deleted = at_once(
            partial(
                client.put,
                f"{API}/users/{user.id}/roles",
                headers=headers,
                json={"roles": [role.id]},
            ),
            partial(other.delete, f"{API}/roles/{role.id}", headers=others_headers),
        )

        assert given.status_code in (200, 422), given.text
        assert deleted.status_code == 204
        with app.app_context():
            assert list(permissions.roles_of(user.id)) == []


def test_a_role_that_is_about_to_be_deleted_is_waited_for(
    app: Flask, people: Callable[..., User]
) -> None:
    user, role = people(), make_role(app, "support", "users:read")
    client, headers = signed_in(app, people(superuser=True))
    answers: list[TestResponse] = []

    def give() -> None:
        answers.append(
            client.put(f"{API}/users/{user.id}/roles", headers=headers, json={"roles": [role.id]})
        )

    with app.app_context():
        db.session.execute(db.delete(Role).where(Role.id == role.id))
        giving = Thread(target=give)
        giving.start()
        giving.join(timeout=0.5)
        has_waited = giving.is_alive()
        db.session.commit()
        giving.join()

    assert has_waited
    assert refused_fields(answers[0]) == {"#/roles/0": "unknown_role"}


def test_a_role_that_was_changed_since_it_was_looked_up_is_read_anew(app: Flask) -> None:
    role = make_role(app, "support", "users:read")

    with app.app_context():
        before = roles.by_name("support")
        elsewhere(
            app, lambda: roles.change_permissions(role.id, add=["audit:read"], actor=None)
        ).join()
        changed = roles.change_permissions(role.id, add=["roles:read"], actor=None)

        assert changed.permissions == ["audit:read", "roles:read", "users:read"]
        assert changed is before


def test_changes_of_one_role_at_once_add_up(app: Flask) -> None:
    role = make_role(app, "support")
    every = [one.name for one in permissions.declared()]

    def add(name: str) -> None:
        with app.app_context():
            roles.change_permissions(role.id, add=[name], actor=None)

    at_once(*(partial(add, name) for name in every))

    with app.app_context():
        assert roles.read(role.id).permissions == every


# Locks


def test_administrators_who_change_many_at_once_wait_and_do_not_deadlock(
    app: Flask, people: Callable[..., User]
) -> None:
    superusers = [people(superuser=True) for _ in range(4)]
    for superuser in superusers:
        signed_in(app, superuser)

    def change_all(users: list[User]) -> None:
        with app.app_context():
            mine = select(Session).where(Session.user_id == users[0].id)
            actor = db.session.scalars(mine).one()
            db.session.expunge(actor)
            for user in users:
                accounts.edit(user.id, {"bio": f"by {users[0].id}"}, actor=actor)

    turns = [superusers[number:] + superusers[:number] for number in range(4)]

    at_once(*(partial(change_all, turn) for turn in turns))

    with app.app_context():
        assert db.session.scalar(select(func.count()).where(User.bio.is_not(None))) == 4
