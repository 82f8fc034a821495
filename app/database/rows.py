"""Locking, inserting and deleting rows."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnExpressionArgument, delete, false, inspect, select, tuple_, update
from sqlalchemy.dialects import postgresql as postgresql_dialect
from sqlalchemy.dialects import sqlite as sqlite_dialect
from sqlalchemy.orm import InstrumentedAttribute, make_transient_to_detached
from sqlalchemy.orm.attributes import instance_dict, manager_of_class

from app.extensions import Base, db

Row = TypeVar("Row", bound=Base)


def detached(model: type[Row], values: Mapping[str, Any]) -> Row:
    """A row that was selected column by column, as the object that the ORM would have loaded.

    The ORM takes twice as long, which counts where every request does it.
    Attributes that are not given raise ``DetachedInstanceError``.
    """
    row: Row = manager_of_class(model).new_instance()
    instance_dict(row).update(values)
    make_transient_to_detached(row)
    return row


def from_row(model: type[Row], columns: Iterable[Any], row: Iterable[Any], **others: Any) -> Row:
    """The same of a row of ``prepared``, by the columns that it was selected by."""
    values = {column.key: value for column, value in zip(columns, row, strict=True)}
    return detached(model, values | others)


def hold(model: type[Row], *which: ColumnExpressionArgument[bool]) -> Row | None:
    """Read one row anew, and let nobody else change it until the caller commits.

    It is an UPDATE that changes nothing: SQLite takes no lock for a SELECT.
    """
    lock: Any = update(model).where(*which).values(id=model.id)  # type: ignore[attr-defined]
    row: Row | None = db.session.scalar(
        lock.returning(model).execution_options(synchronize_session=False, populate_existing=True)
    )
    return row


def insert(model: type[Base]) -> Any:
    """An INSERT that may become an UPDATE (``on_conflict_do_update``), alike on both databases."""
    dialect: Any = sqlite_dialect if db.engine.dialect.name == "sqlite" else postgresql_dialect
    return dialect.insert(model)


def hold_in_order(model: type[Row], *which: ColumnExpressionArgument[bool]) -> Sequence[Row]:
    """Read rows anew, and let nobody else change, delete or refer to them until the caller commits.

    They are locked in the order of their ids: whoever wants several of them
    waits for the others, instead of each waiting for the other.
    """
    if db.engine.dialect.name == "sqlite":
        # The one lock that SQLite has, for the whole file, comes with the first write.
        db.session.execute(update(model).where(false()).values(id=model.id))  # type: ignore[attr-defined]
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
    """Delete up to ``limit`` rows, those first that are ``oldest``, and say how many. Commits.

    Rows that another transaction holds are left for the next time.
    """
    key = inspect(model).primary_key
    # Two statements: PostgreSQL may run a subquery with a limit more than once.
    batch = select(*key).where(*which).order_by(oldest).limit(limit)
    found = db.session.execute(batch.with_for_update(skip_locked=True)).all()
    # What they are is asked again: SQLite's SELECT took no lock.
    removal = delete(model).where(tuple_(*key).in_([tuple(row) for row in found]), *which)
    db.session.execute(removal.execution_options(synchronize_session=False))
    db.session.commit()
    return len(found)
