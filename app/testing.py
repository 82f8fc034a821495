"""Fixtures of pytest for the tests of a feature, on SQLite and PostgreSQL.

A feature's ``conftest.py`` needs these lines and nothing else of ours:

    import pytest

    pytest_plugins = ["app.testing"]

    @pytest.fixture(scope="session")
    def environment() -> dict[str, str]:
        return {"FEATURES": "notes"}

Each test that uses ``app`` or a fixture made of it runs on both databases,
each time on a new one that has all migrations. ``TEST_POSTGRES_URL`` names the
PostgreSQL server; where none answers, those runs are skipped. With
``TEST_DATABASE_URL`` the tests run on copies of that database alone, which has
all migrations, and may hold anything.
"""

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import flask_migrate
import pytest
import sqlalchemy
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.engine import URL, make_url
from werkzeug.test import TestResponse

from app import create_app, read_settings
from app.extensions import db
from app.models import Role, RolePermission, User, UserRole
from app.security.identifiers import username_key
from app.security.passwords import hashing
from config import value_of

SERVER = make_url(value_of("TEST_POSTGRES_URL") or "postgresql://postgres@127.0.0.1:5432/postgres")
# Only this database is copied, if it is set.
GIVEN = value_of("TEST_DATABASE_URL") and make_url(value_of("TEST_DATABASE_URL"))
PASSWORD = "correct horse battery staple"
# Cost 4 makes bcrypt fast, and all tests log in from one address.
DEFAULTS = {
    "APP_ENV": "testing",
    "SECRET_KEY": "the secret of the tests: 0123456789 abcdefghij",
    "BCRYPT_ROUNDS": "4",
    "RATELIMIT_ENABLED": "false",
}

MakeUser = Callable[..., User]
LogIn = Callable[[User], dict[str, str]]

# Browsers keep the cookies of the pages on https alone.
SITE = "https://localhost"


class Browser:
    """Somebody who uses the pages: ``Browser(app, "ada")`` is signed in, and keeps its cookies.

    With ``None`` in place of the username, nobody is signed in.
    """

    def __init__(self, app: Flask, username: str | None, language: str = "en") -> None:
        self.client = app.test_client()
        self.headers = {
            "Accept": "text/html",
            "Accept-Language": language,
            "Sec-Fetch-Site": "same-origin",
        }
        if username is not None:
            form = {"username": username, "password": PASSWORD}
            answer = self.send("/account/login", "/account/login", **form)
            assert answer.status_code == 303, answer.text

    def open(self, path: str) -> TestResponse:
        """Get a page."""
        return self.client.get(path, headers=self.headers, base_url=SITE)

    def send(self, page: str, action: str, **form: str) -> TestResponse:
        """Open the page, and send a form to ``action`` with the token of that page."""
        token = re.search(r'name="csrf_token" value="([^"]+)"', self.open(page).text)
        assert token, f"{page} has no form"
        data = form | {"csrf_token": token[1]}
        return self.client.post(action, data=data, headers=self.headers, base_url=SITE)


@pytest.fixture(scope="session")
def environment() -> Mapping[str, str]:
    """The settings of the application. Write a fixture of this name, with ``FEATURES`` at least."""
    return {}


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def migrated_database(
    request: pytest.FixtureRequest,
    environment: Mapping[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[URL]:
    """A database with all migrations. Each test gets a copy of it."""
    if GIVEN:
        if GIVEN.get_backend_name() != request.param:
            pytest.skip("TEST_DATABASE_URL names another kind of database")
        yield GIVEN
        return
    if request.param == "sqlite":
        url = make_url(f"sqlite:///{tmp_path_factory.mktemp('migrated') / 'app.db'}")
        _migrate(url, environment)
        yield url
        return
    if not _postgresql_answers():
        pytest.skip(f"no PostgreSQL answers at {SERVER}")
    url = SERVER.set(database=f"user_system_test_{uuid4().hex}")
    _on_the_server(f"CREATE DATABASE {url.database}")
    try:
        _migrate(url, environment)
        yield url
    finally:
        _on_the_server(f"DROP DATABASE {url.database} WITH (FORCE)")


@pytest.fixture
def database_url(migrated_database: URL, tmp_path: Path) -> Iterator[str]:
    """A database of this test, as ``DATABASE_URL`` would name it."""
    if migrated_database.get_backend_name() == "sqlite":
        file = tmp_path / "app.db"
        shutil.copy(str(migrated_database.database), file)
        yield f"sqlite:///{file}"
        return
    url = SERVER.set(database=f"user_system_test_{uuid4().hex}")
    _on_the_server(f"CREATE DATABASE {url.database} TEMPLATE {migrated_database.database}")
    try:
        yield _text(url)
    finally:
        _on_the_server(f"DROP DATABASE {url.database} WITH (FORCE)")


@pytest.fixture
def app(database_url: str, environment: Mapping[str, str]) -> Iterator[Flask]:
    """The application with the feature, on a database of this test."""
    made = create_app(read_settings({**DEFAULTS, **environment, "DATABASE_URL": database_url}))
    yield made
    with made.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A client of the application."""
    return app.test_client()


@pytest.fixture
def make_user(app: Flask) -> MakeUser:
    """A function that makes a user: ``make_user("ada", "notes:read")``.

    After the name come the permissions. ``superuser=True`` and the columns of
    ``User`` are accepted as keywords. The password is ``PASSWORD``.
    """

    def make(username: str, *permissions: str, superuser: bool = False, **columns: Any) -> User:
        with app.app_context():
            defaults = {
                "email": f"{username}@example.com",
                "email_verified": True,
                "hashed_password": hashing.hash(PASSWORD),
            }
            user = User(
                username=username,
                username_key=username_key(username),
                is_superuser=superuser,
                **defaults | columns,
            )
            grants = [RolePermission(permission=name) for name in permissions]
            role = Role(name=f"role of {username}", grants=grants)
            db.session.add_all([user, role])
            db.session.flush()
            db.session.add(UserRole(user_id=user.id, role_id=role.id))
            db.session.commit()
            db.session.expunge_all()
        return user

    return make


@pytest.fixture
def log_in(client: FlaskClient) -> LogIn:
    """A function that logs a user in, and returns the headers of their requests."""

    def log_in(user: User) -> dict[str, str]:
        answer = client.post(
            "/api/v1/auth/login", json={"username": user.username, "password": PASSWORD}
        )
        assert answer.status_code == 200, answer.text
        return {"Authorization": f"Bearer {answer.get_json()['access_token']}"}

    return log_in


def _migrate(url: URL, environment: Mapping[str, str]) -> None:
    app = create_app(read_settings({**DEFAULTS, **environment, "DATABASE_URL": _text(url)}))
    with app.app_context():
        flask_migrate.upgrade(revision="heads")
        db.engine.dispose()


def _postgresql_answers() -> bool:
    try:
        _on_the_server("SELECT 1")
    except sqlalchemy.exc.OperationalError:
        return False
    return True


def _on_the_server(statement: str) -> None:
    engine = sqlalchemy.create_engine(
        SERVER.set(drivername="postgresql+psycopg"),
        isolation_level="AUTOCOMMIT",
        connect_args={"connect_timeout": 3},
    )
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)
