"""Features made in a test: objects in memory, offered by modules that exist for the test alone."""

import gc
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy.orm import mapped_column

from app import create_app, read_settings
from app.database.types import BigId
from app.extensions import Base, db
from app.features import Feature
from tests.conftest import ENVIRONMENT

Install = Callable[..., Flask]
MakeModel = Callable[..., type[Base]]


@pytest.fixture
def install(
    database_url: str, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Flask]]:
    """An application with these features, on the same database."""
    made: list[Flask] = []

    def with_features(*features: Feature, **environment: str) -> Flask:
        names = []
        for number, feature in enumerate(features):
            module = ModuleType(f"offering_{number}")
            module.FEATURE = feature  # type: ignore[attr-defined]
            monkeypatch.setitem(sys.modules, module.__name__, module)
            names.append(module.__name__)
        variables = {"DATABASE_URL": database_url, "FEATURES": ",".join(names)}
        made.append(create_app(read_settings(ENVIRONMENT | variables | environment)))
        return made[-1]

    yield with_features
    for other in made:
        with other.app_context():
            db.engine.dispose()


@pytest.fixture
def make_model() -> Iterator[Callable[..., type[Base]]]:
    """A model with an id and these columns. It is forgotten after the test."""
    made: list[type[Base]] = []

    def make(table: str, **columns: Any) -> type[Base]:
        attributes = {"__tablename__": table, "id": mapped_column(BigId, primary_key=True)}
        made.append(type(f"Model{uuid4().hex}", (Base,), attributes | columns))
        return made[-1]

    yield make
    for model in made:
        Base.metadata.remove(model.__table__)  # type: ignore[arg-type]
    made.clear()
    gc.collect()


@pytest.fixture
def create(app: Flask) -> Iterator[Callable[[type[Base]], None]]:
    """Create the table of a model in the database, until the test ends."""
    tables: list[Any] = []

    def in_database(model: type[Base]) -> None:
        with app.app_context():
            model.__table__.create(db.engine)  # type: ignore[attr-defined]
        tables.append(model.__table__)

    yield in_database
    with app.app_context():
        for table in reversed(tables):
            table.drop(db.engine)
