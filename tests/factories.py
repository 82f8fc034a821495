"""Users straight into the database, and what clients do again and again."""

from functools import cache
from typing import Any
from uuid import uuid4

import jwt
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, update
from werkzeug.test import TestResponse

from app.extensions import db
from app.models import Role, RolePermission, User, UserRole
from app.security.identifiers import username_key
from app.security.passwords import hashing

API = "/api/v1"
OAUTH_PATHS = (f"{API}/auth/token", f"{API}/auth/revoke")
PASSWORD = "correct horse battery staple"


def make_user(
    app: Flask,
    *,
    username: str,
    email: str,
    password_hash: str | None = "",
    superuser: bool = False,
    active: bool = True,
    **columns: Any,
) -> User:
    """A user whose password is ``PASSWORD`` unless a hash (or ``None``) is given. Commits."""
    with app.app_context():
        user = User(
            username=username,
            username_key=username_key(username),
            email=email,
            hashed_password=_hash_of_password() if password_hash == "" else password_hash,
            is_superuser=superuser,
            is_active=active,
            **columns,
        )
        db.session.add(user)
        db.session.commit()
        db.session.expunge(user)
    return user


def confirm(app: Flask, user: User) -> User:
    """Let the address of a user be confirmed. Commits."""
    with app.app_context():
        confirmation = update(User).where(User.id == user.id).values(email_verified=True)
        db.session.execute(confirmation)
        db.session.commit()
    return user


def make_role(app: Flask, name: str, *permissions: str) -> Role:
    """A role with these permissions. Commits."""
    with app.app_context():
        role = Role(name=name, grants=[RolePermission(permission=one) for one in permissions])
        db.session.add(role)
        db.session.commit()
        db.session.expunge_all()
    return role


def give_role(app: Flask, user: User, role: Role) -> None:
    """Let a user have a role. Commits."""
    with app.app_context():
        db.session.add(UserRole(user_id=user.id, role_id=role.id))
        db.session.commit()


def take_roles(app: Flask, user: User) -> None:
    """Let a user have no role. Commits."""
    with app.app_context():
        db.session.execute(delete(UserRole).where(UserRole.user_id == user.id))
        db.session.commit()


def permit(app: Flask, user: User, *permissions: str) -> None:
    """Let a user have these permissions, by a role of their own. Commits."""
    give_role(app, user, make_role(app, f"role-{uuid4()}", *permissions))


@cache
def _hash_of_password() -> str:
    return hashing.hash(PASSWORD)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def log_in(client: FlaskClient, user: User, password: str = PASSWORD) -> dict[str, Any]:
    """A new session of the user: the token pair."""
    response = client.post(
        f"{API}/auth/login", json={"username": user.username, "password": password}
    )
    assert response.status_code == 200, response.text
    pair: dict[str, Any] = response.json
    return pair


def claims_of(token: str) -> dict[str, Any]:
    """What a token says, whoever signed it."""
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def me(client: FlaskClient, access_token: str) -> TestResponse:
    return client.get(f"{API}/users/me", headers=bearer(access_token))


def refresh(client: FlaskClient, refresh_token: str) -> TestResponse:
    return client.post(f"{API}/auth/refresh", json={"refresh_token": refresh_token})


def problem(response: TestResponse) -> tuple[int, str]:
    """Status and code of an error in the contract's shape."""
    is_for_oauth_clients = response.request.path in OAUTH_PATHS
    expected = "application/json" if is_for_oauth_clients else "application/problem+json"
    assert response.mimetype == expected, response.data
    assert response.json["status"] == response.status_code
    assert response.json["request_id"] == response.headers["X-Request-ID"]
    return response.status_code, response.json["code"]


def refused_fields(response: TestResponse) -> dict[str, str]:
    """Place → code of the fields that a 422 names."""
    assert problem(response) == (422, "validation_failed")
    return {
        error.get("pointer") or error["parameter"]: error["code"]
        for error in response.json["errors"]
    }
