"""The tests run on SQLite and PostgreSQL, by the fixtures of the user system."""

import pytest

pytest_plugins = ["app.testing"]


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    return {"FEATURES": "notes", "NOTES_PER_USER": "3"}
