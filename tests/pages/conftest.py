"""People at browsers."""

import pytest
from flask import Flask

from app.models import User
from tests.pages.person import Person, signed_in


@pytest.fixture
def visitor(app: Flask) -> Person:
    """Somebody who is not signed in."""
    return Person(app)


@pytest.fixture
def ada_at_home(app: Flask, ada: User) -> Person:
    """Ada, signed in."""
    return signed_in(app, ada)


@pytest.fixture
def grace_at_home(app: Flask, grace: User) -> Person:
    """Grace, the superuser, signed in."""
    return signed_in(app, grace)
