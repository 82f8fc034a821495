"""What the tests of API keys share."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from flask.testing import FlaskClient

from app.models import User
from tests.api_keys.calls import create
from tests.factories import log_in


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """``clock.shift(seconds)`` lets time pass."""
    with time_machine.travel(datetime(2026, 11, 27, 12, tzinfo=UTC), tick=False) as traveller:
        yield traveller


@pytest.fixture
def make_key(client: FlaskClient) -> Callable[..., dict[str, Any]]:
    """Make an API key of somebody: the answer of the call."""

    def make(owner: User, *scopes: str, **body: Any) -> dict[str, Any]:
        token = log_in(client, owner)["access_token"]
        answer = create(client, token, scopes=list(scopes) or ["profile"], **body)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json
        return made

    return make
