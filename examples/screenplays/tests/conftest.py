"""The tests run on SQLite and PostgreSQL, by the fixtures of the user system."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

pytest_plugins = ["app.testing"]

Headers = dict[str, str]
API = "/api/v1/screenplays"


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    return {
        "FEATURES": "screenplays",
        "SCREENPLAYS_PER_USER": "5",
        "SCREENPLAYS_PEOPLE": "5",
        "SCREENPLAYS_VERSIONS_KEPT": "3",
    }


@pytest.fixture
def ada(make_user: Any, log_in: Any) -> Headers:
    """The owner of the screenplays."""
    return log_in(make_user("ada"))


@pytest.fixture
def bob(make_user: Any, log_in: Any) -> Headers:
    return log_in(make_user("bob"))


@pytest.fixture
def carol(make_user: Any, log_in: Any) -> Headers:
    return log_in(make_user("carol"))


Write = Callable[..., dict[str, Any]]
Share = Callable[..., int]


@pytest.fixture
def write(client: FlaskClient) -> Write:
    """``write(ada, title="Big Fish")`` makes a screenplay and returns it."""

    def write(author: Headers, **fields: str) -> dict[str, Any]:
        answer = client.post(API, json={"title": "Big Fish"} | fields, headers=author)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json
        return made

    return write


@pytest.fixture
def share(client: FlaskClient) -> Share:
    """``share(ada, 1, "bob", bob, "editor")`` invites bob, who accepts; returns the person's id."""

    def share(owner: Headers, screenplay: int, name: str, invited: Headers, role: str) -> int:
        asked = client.post(
            f"{API}/{screenplay}/people", json={"name": name, "role": role}, headers=owner
        )
        assert asked.status_code == 201, asked.text
        number: int = asked.json["id"]
        accepted = client.post(f"{API}/invitations/{number}/accept", headers=invited)
        assert accepted.status_code == 200, accepted.text
        return number

    return share
