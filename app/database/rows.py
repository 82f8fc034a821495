"""Locking, inserting, changing and deleting rows."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    ColumnExpressionArgument,
    Delete,
    Update,
    delete,
    false,
    inspect,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql as postgresql_dialect
from sqlalchemy.dialects import sqlite as sqlite_dialect
from sqlalchemy.orm import InstrumentedAttribute, make_transient_to_detached
from sqlalchemy.orm.attributes import instance_dict, manager_of_class

from app.extensions import Base, db

Row = TypeVar("Row", bound=Base)

# What a client expects of a row: it gets the row that is about to be changed, and raises
# ``PreconditionFailed`` if that is in another state.
Expected = Callable[[Any], None]


def detached(model: type[Row], values: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> Row:
    """The object that the ORM would have loaded for these values, outside ``db.session``.

    The ORM takes twice as long, which matters in code that every request runs.
    Relationships are not loaded, so they raise ``DetachedInstanceError``.
    """
    row: Row = manager_of_class(model).new_instance()
    instance_dict(row).update(values)
    make_transient_to_detached(row)
    return row


def change(model: type[Base]) -> Update:
    """An UPDATE that leaves the objects of ``db.session`` alone, except those that it returns.

    SQLAlchemy would look for the changed rows among the objects, which can
    take a second statement. The callers know what they changed.
    """
    return update(model).execution_options(synchronize_session=False, populate_existing=True)


def unchanged(row: Base, columns: Iterable[str]) -> list[ColumnElement[bool]]:
    """The conditions of an UPDATE that must change the row only as it was read."""
    model: Any = type(row)
    return [getattr(model, name).is_not_distinct_from(getattr(row, name)) for name in columns]


def discard(model: type[Base]) -> Delete:
    """A DELETE that leaves the objects of ``db.session`` alone."""
    return delete(model).execution_options(synchronize_session=False)


def lock(model: type[Row], *which: ColumnExpressionArgument[bool]) -> Row | None:
    """Read one row again, and let nobody else change it until the caller commits.

    This is an UPDATE that changes nothing, because SQLite takes no lock for a SELECT.
    """
    unchanged: Any = change(model).where(*which).values(id=model.id)  # type: ignore[attr-defined]
    row: Row | None = db.session.scalar(unchanged.returning(model))
    return row


def insert(model: type[Base]) -> Any:
    """An INSERT that may become an UPDATE (``on_conflict_do_update``), alike on both databases."""
    dialect: Any = sqlite_dialect if db.engine.dialect.name == "sqlite" else postgresql_dialect
    return dialect.insert(model)


def lock_in_order(model: type[Row], *which: ColumnExpressionArgument[bool]) -> Sequence[Row]:
    """Read rows again, and lock them against changes and references until the caller commits.

    They are locked in the order of their ids. So two callers that want
    several of the same rows never wait for each other.
    """
    if db.engine.dialect.name == "sqlite":
        # SQLite has one lock, for the whole file. The first write takes it.
        db.session.execute(change(model).where(false()).values(id=model.id))  # type: ignore[attr-defined]
    rows: Any = select(model).where(*which).order_by(model.id)  # type: ignore[attr-defined]
    held: Sequence[Row] = db.session.scalars(
        rows.with_for_update().execution_options(populate_existing=True)
    ).all()
    return held


def delete_batch(
    model: type[Base],
    *which: ColumnExpressionArgument[bool],
    oldest: InstrumentedAttribute[Any],
    limit: int,
) -> int:
    """Delete up to ``limit`` rows, the oldest first, and return their number. Commits.

    Rows that another transaction holds are left for the next time.
    """
    key = inspect(model).primary_key
    # Two statements: PostgreSQL may run a subquery with a limit more than once.
    batch = select(*key).where(*which).order_by(oldest).limit(limit)
    found = db.session.execute(batch.with_for_update(skip_locked=True)).all()
    # The conditions are checked again, because SQLite's SELECT took no lock.
    again = tuple_(*key).in_([tuple(row) for row in found])
    db.session.execute(discard(model).where(again, *which))
    db.session.commit()
    return len(found)
