"""A call or a command that changes nothing writes nothing, and nothing is put on record"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import clock
from app.extensions import db
from app.models import Role, User
from app.security import one_time_tokens
from app.security.one_time_tokens import Purpose
from tests.factories import API, bearer, give_role, log_in, make_role, make_user

PROFILE = {
    "full_name": "Ada Lovelace",
    "bio": None,
    "avatar_url": "https://example.com/ada.png",
    "username": "ada",
    "locale": "en",
}


@pytest.fixture
def ada(app: Flask) -> User:
    return make_user(
        app,
        email="ada@example.com",
        **{name: value for name, value in PROFILE.items() if value is not None},
    )


@pytest.fixture
def role(app: Flask, ada: User) -> Role:
    """Ada's."""
    role = make_role(app, "reader", "users:read", "roles:read")
    give_role(app, ada, role)
    return role


def everything(app: Flask) -> dict[str, list[tuple[Any, ...]]]:
    """What all tables hold."""
    with app.app_context():
        return {
            table.name: sorted(map(tuple, db.session.execute(sqlalchemy.select(table))), key=str)
            for table in db.metadata.sorted_tables
        }


Open = Callable[..., TestResponse]


@pytest.fixture
def opens(client: FlaskClient, ada: User, grace: User) -> Open:
    """Ask as ada about herself, and as grace about everything else."""
    tokens = {user.id: log_in(client, user)["access_token"] for user in (ada, grace)}

    def open(method: str, path: str, body: dict[str, Any]) -> TestResponse:
        token = tokens[ada.id if "/me" in path else grace.id]
        return client.open(f"{API}{path}", method=method, json=body, headers=bearer(token))

    return open


CALLS: dict[str, tuple[str, str, dict[str, Any]]] = {
    **{f"PATCH me {name}": ("PATCH", "/users/me", {name: PROFILE[name]}) for name in PROFILE},
    "PATCH me everything": ("PATCH", "/users/me", PROFILE),
    "PATCH me nothing": ("PATCH", "/users/me", {}),
    "PUT me": ("PUT", "/users/me", PROFILE),
    "PATCH an account": ("PATCH", "/users/{user}", {"full_name": "Ada Lovelace", "bio": None}),
    "PATCH its flags": ("PATCH", "/users/{user}", {"is_active": True, "is_superuser": False}),
    "PATCH a role": ("PATCH", "/roles/{role}", {"name": "reader", "description": None}),
    "PATCH its permissions": (
        *("PATCH", "/roles/{role}"),
        {"permissions": ["roles:read", "users:read", "users:read"]},
    ),
    "PUT roles": ("PUT", "/users/{user}/roles", {"roles": ["{role}"]}),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_changes_nothing_writes_nothing(
    app: Flask, opens: Open, ada: User, role: Role, name: str
) -> None:
    method, path, body = CALLS[name]
    body = {key: [role.id] if key == "roles" else value for key, value in body.items()}
    before = everything(app)

    answer = opens(method, path.format(user=ada.id, role=role.id), body)

    assert answer.status_code == 200, answer.text
    assert everything(app) == before


def test_it_costs_the_owner_one_statement(opens: Open, statements: list[str]) -> None:
    statements.clear()

    answer = opens("PATCH", "/users/me", PROFILE)

    assert answer.json["updated_at"] is None
    assert len(statements) == 1


def test_of_several_fields_those_that_change_are_on_record(
    app: Flask, opens: Open, ada: User
) -> None:
    opens("PATCH", "/users/me", {**PROFILE, "bio": "First programmer."})

    [(details, personal)] = [
        (row[8], row[9]) for row in everything(app)["audit_events"] if row[2] == "user_updated"
    ]
    assert details == {"fields": ["bio"]}
    assert personal is None


@pytest.mark.parametrize(
    "arguments",
    [
        ("users", "activate", "ada@example.com"),
        ("users", "demote", "ada@example.com"),
        ("users", "promote", "grace@example.com"),
        ("roles", "assign", "ada@example.com", "reader"),
        ("roles", "grant", "reader", "users:read"),
        ("roles", "revoke", "reader", "users:write"),
    ],
    ids=" ".join,
)
def test_a_command_that_changes_nothing_writes_nothing(
    app: Flask, role: Role, grace: User, arguments: tuple[str, ...]
) -> None:
    before = everything(app)

    result = app.test_cli_runner().invoke(args=arguments)

    assert result.exit_code == 0, result.output
    assert everything(app) == before


def test_deactivating_twice_is_on_record_once(app: Flask, ada: User) -> None:
    deactivate = ("users", "deactivate", ada.email)
    app.test_cli_runner().invoke(args=deactivate)
    before = everything(app)

    result = app.test_cli_runner().invoke(args=deactivate)

    assert result.exit_code == 0
    assert everything(app) == before


@pytest.fixture(params=["the call", "the command"])
def ends_sessions(request: Any, app: Flask, opens: Open, ada: User) -> Callable[[], None]:
    """Sign ada out everywhere, as an administrator or as an operator."""

    def end() -> None:
        if request.param == "the call":
            assert opens("DELETE", f"/users/{ada.id}/sessions", {}).status_code == 204
        else:
            command = ("users", "end-sessions", ada.email, "--yes")
            assert app.test_cli_runner().invoke(args=command).exit_code == 0

    return end


def test_signing_out_twice_is_on_record_once(app: Flask, ends_sessions: Callable[[], None]) -> None:
    ends_sessions()
    before = everything(app)

    ends_sessions()

    assert [row[2] for row in before["audit_events"]].count("sessions_ended") == 1
    assert everything(app) == before


@pytest.mark.parametrize(("age", "recorded"), [(0, 1), (25, 0)], ids=["good", "expired"])
def test_a_link_that_ends_without_a_session_is_on_record(
    app: Flask, ends_sessions: Callable[[], None], ada: User, age: int, recorded: int
) -> None:
    ends_sessions()
    issue(app, ada, Purpose.EMAIL_VERIFICATION, hours_ago=age)

    ends_sessions()

    names = [row[2] for row in everything(app)["audit_events"]]
    assert names.count("sessions_ended") == 1 + recorded


def issue(app: Flask, user: User, purpose: Purpose, *, hours_ago: int) -> None:
    with time_machine.travel(clock.now() - timedelta(hours=hours_ago)), app.app_context():
        one_time_tokens.issue(user.id, purpose, email=user.email)
        db.session.commit()
