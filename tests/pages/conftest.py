"""People at browsers."""

import pytest
from flask import Flask

from app.models import User
from tests.pages.person import Person


@pytest.fixture
def visitor(app: Flask) -> Person:
    """Somebody who is not signed in."""
    return Person(app)


@pytest.fixture
def ada_at_home(app: Flask, ada: User) -> Person:
    """Ada, signed in."""
    person = Person(app)
    assert person.log_in(ada).status == 200
    return person
