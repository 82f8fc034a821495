"""Acme, a provider with which people may sign in."""

from collections.abc import Iterator

import pytest
from flask import Flask

from tests.auth.providers.acme import Acme, offered
from tests.pages.person import Person


@pytest.fixture
def acme(app: Flask) -> Iterator[Acme]:
    with offered(app) as provider:
        yield provider


@pytest.fixture
def visitor(app: Flask) -> Person:
    """Somebody who is not signed in."""
    return Person(app)
