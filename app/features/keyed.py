"""The rows that need a key of the key ring, and moving their texts to the newest key."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, func, inspect, select, true

from app.database.rows import change
from app.extensions import db
from app.security import key_ring
from app.security.key_ring import CannotOpen, Sealed


@dataclass(frozen=True, kw_only=True)
class KeyedRows:
    """Rows that hold a digest which a key of the ring made.

    ``what`` names them to operators, and ``key_id`` is the column with the id
    of the key. ``still_used`` leaves out rows that nobody will need again.
    A digest stays under its key: the text that it was made of is not stored.
    """

    what: str
    # A column of the model. Its own type would be read as a descriptor of this class.
    key_id: Any
    still_used: ColumnElement[bool] = field(default_factory=true)

    @property
    def model(self) -> Any:
        return self.key_id.class_


@dataclass(frozen=True, kw_only=True)
class SealedRows(KeyedRows):
    """Rows that hold a text which a key of the ring sealed.

    ``sealed`` is the column with the text. ``row`` tells the name of the row,
    for which the text was sealed.
    """

    sealed: Any
    row: Callable[[Any], str]


@dataclass(frozen=True)
class Step:
    """What one transaction did: how many rows it moved, and how many it could not open."""

    moved: int
    not_opened: int


def reseal(keyed: SealedRows, batch: int) -> Iterator[Step]:
    """Seal the texts under older keys with the newest one, in transactions of ``batch`` rows.

    It may stop after any step, and run again: what it has moved is under the
    newest key. A text that does not open stays as it is. Commits after each step.
    """
    [key] = inspect(keyed.model).primary_key
    older = keyed.key_id.in_(key_ring.key_ids()[1:])
    after: ColumnElement[bool] = true()
    while True:
        page = select(keyed.model).where(older, after).order_by(key).limit(batch)
        found = db.session.scalars(page).all()
        if not found:
            db.session.rollback()
            return
        after = key > getattr(found[-1], key.key)
        yield _move(keyed, key, found)


def _move(keyed: SealedRows, key: Any, found: Sequence[Any]) -> Step:
    moved = not_opened = 0
    for row in found:
        old = getattr(row, keyed.sealed.key)
        try:
            text = key_ring.unseal(Sealed(old, getattr(row, keyed.key_id.key)), row=keyed.row(row))
        except CannotOpen:
            not_opened += 1
            continue
        new = key_ring.seal(text, row=keyed.row(row))
        # Where a request has sealed another text meanwhile, that one stays.
        anew = (
            change(keyed.model)
            .where(key == getattr(row, key.key), keyed.sealed == old)
            .values({keyed.sealed.key: new.text, keyed.key_id.key: new.key_id})
            .returning(key)
        )
        moved += len(db.session.execute(anew).all())
    db.session.commit()
    db.session.expunge_all()
    return Step(moved, not_opened)


def number_without_key(keyed: KeyedRows) -> int:
    """How many rows need a key that is not in the ring any more."""
    return _number(keyed, keyed.key_id.not_in(key_ring.key_ids()))


def number_under(key_id: str, keyed: KeyedRows) -> int:
    """How many rows need this key."""
    return _number(keyed, keyed.key_id == key_id)


def number_under_older_keys(keyed: KeyedRows) -> int:
    """How many rows need another key of the ring than the newest."""
    return _number(keyed, keyed.key_id.in_(key_ring.key_ids()[1:]))


def _number(keyed: KeyedRows, which: ColumnElement[bool]) -> int:
    counted = select(func.count()).select_from(keyed.model).where(which, keyed.still_used)
    return db.session.scalar(counted) or 0
