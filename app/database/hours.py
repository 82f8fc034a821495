"""Grouping rows by the hour, in the same way on both databases."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, String, func, type_coerce

from app.extensions import db


def hour_of(column: Any) -> ColumnElement[str]:
    """The hour of an instant in UTC, as ``name_of`` writes it."""
    if db.engine.dialect.name == "sqlite":
        return func.substr(type_coerce(column, String), 1, 13)
    return func.to_char(func.timezone("UTC", column), "YYYY-MM-DD HH24")


def name_of(hour: datetime) -> str:
    return f"{hour:%Y-%m-%d %H}"
