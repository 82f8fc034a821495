"""Lists in pages. A signed cursor says where the next page begins.

The cursor holds the values of the last row by which the list is sorted, and
the next page begins after them. Rows may be added and deleted meanwhile: the
other rows are neither repeated nor left out. An offset could not do that.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy import ColumnElement, Select, literal, tuple_
from sqlalchemy.orm import Session as DatabaseSession

from app.database.engines import replica
from app.errors import Message, ValidationFailed
from app.extensions import Base
from config import settings

# The longest cursor holds an email address of 254 characters and a signature. It is shorter.
MAX_LENGTH = 2000

INVALID_CURSOR = Message("invalid_cursor", "Is not a cursor of this list with these parameters.")

Row = TypeVar("Row", bound=Base)


@dataclass(frozen=True)
class Key:
    """A sort key: an attribute of the row, and its column in SQL."""

    attribute: str
    column: Any
    read: Callable[[Any], Any] = lambda value: value

    @classmethod
    def instant(cls, attribute: str, column: Any) -> "Key":
        return cls(attribute, column, datetime.fromisoformat)


@dataclass(frozen=True)
class Order:
    """The sort keys of a list. Two rows must never have the same values in all of them."""

    keys: tuple[Key, ...]
    descending: bool = False

    @property
    def columns(self) -> list[ColumnElement[Any]]:
        columns = [key.column for key in self.keys]
        return [column.desc() for column in columns] if self.descending else columns

    def place_of(self, row: Any) -> tuple[Any, ...]:
        return tuple(getattr(row, key.attribute) for key in self.keys)

    def after(self, values: Sequence[Any]) -> ColumnElement[bool]:
        """The condition for rows that come after the row with these values."""
        there = [
            literal(key.read(value), key.column.type)
            for key, value in zip(self.keys, values, strict=True)
        ]
        columns = tuple_(*(key.column for key in self.keys))
        return columns < tuple_(*there) if self.descending else columns > tuple_(*there)


@dataclass(frozen=True)
class Page(Generic[Row]):
    items: Sequence[Row]
    next_cursor: str | None


def page(
    rows: Select[Row],
    order: Order,
    query: Mapping[str, Any],
    *,
    limit: int,
    cursor: str | None = None,
) -> Page[Row]:
    """One page of the rows.

    ``query`` is everything that distinguishes this list from others: its name,
    its filters, its order. A cursor is valid only for the same query. Raises
    ``ValidationFailed`` for any other cursor.
    """
    return merged([rows], order, query, limit=limit, cursor=cursor)


def merged(
    parts: Sequence[Select[Row]],
    order: Order,
    query: Mapping[str, Any],
    *,
    limit: int,
    cursor: str | None = None,
) -> Page[Row]:
    """One page of the rows of several statements. No row may be in two of them.

    It is for conditions joined by "or", each of which has an index of its own. One statement with
    both would read all their rows, or the whole table, to sort them. Raises the same as ``page``.
    """
    signer = _signer(query)
    after = None if cursor is None else order.after(_values(cursor, signer))
    found: list[Row] = []
    for rows in parts:
        statement = rows.order_by(*order.columns).limit(limit + 1)
        found += _read(statement if after is None else statement.where(after))
    if len(parts) > 1:
        found.sort(key=order.place_of, reverse=order.descending)
    items = found[:limit]
    more = len(found) > limit
    return Page(items, _cursor_after(items[-1], order, signer) if more else None)


def everything(rows: Select[Row], order: Order, *, batch: int = 1000) -> Iterator[Sequence[Row]]:
    """All rows, in batches. Each batch is one statement, so nothing stays open between them."""
    statement = rows.order_by(*order.columns).limit(batch)
    found = _read(statement)
    while found:
        yield found
        last = [_plain(getattr(found[-1], key.attribute)) for key in order.keys]
        found = _read(statement.where(order.after(last))) if len(found) == batch else []


def _read(statement: Select[Row]) -> Sequence[Row]:
    """Read rows, perhaps a moment old, from the replica. Nothing is locked; rows are detached."""
    with DatabaseSession(replica(), expire_on_commit=False) as database:
        return database.scalars(statement).all()


def _signer(query: Mapping[str, Any]) -> URLSafeSerializer:
    """The signer accepts only cursors of this query, because its key is made from the query."""
    about = json.dumps(query, sort_keys=True, default=_plain)
    return URLSafeSerializer(
        settings.secret_key,
        salt=f"user system: cursor: {about}",
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
    )


def _cursor_after(row: Row, order: Order, signer: URLSafeSerializer) -> str:
    cursor = signer.dumps([_plain(getattr(row, key.attribute)) for key in order.keys])
    return cursor if isinstance(cursor, str) else cursor.decode()


def _values(cursor: str, signer: URLSafeSerializer) -> list[Any]:
    if len(cursor) > MAX_LENGTH:
        raise ValidationFailed([INVALID_CURSOR.about("cursor")])
    try:
        values: list[Any] = signer.loads(cursor)
    except (BadSignature, UnicodeError):
        raise ValidationFailed([INVALID_CURSOR.about("cursor")]) from None
    return values


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
