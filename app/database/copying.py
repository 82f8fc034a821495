"""Copies a whole database into another one: all of it as of one instant, or nothing.

It reads the tables from the models, so a table that is added later is copied
as well. The copy is compared with the source before it is committed.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    TextClause,
    column,
    func,
    insert,
    inspect,
    null,
    select,
    table,
    text,
)

from app.database.engines import snapshot

Values = tuple[Any, ...]

CHUNK = 1000
VERSIONS = "alembic_version"


class NotCopied(Exception):
    """Nothing was copied; the text says why, and what to do."""


@dataclass(frozen=True)
class Digest:
    """The number of rows of a table, and a checksum that does not depend on their order."""

    rows: int = 0
    checksum: int = 0

    def plus(self, row: Values) -> "Digest":
        canonical = json.dumps([_canonical(value) for value in row], ensure_ascii=False)
        hashed = hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).digest()
        return Digest(self.rows + 1, (self.checksum + int.from_bytes(hashed)) % 2**256)


@dataclass(frozen=True)
class Step:
    """Progress: this many more rows of a table are copied."""

    table: str
    rows: int


def copy(source: Engine, target: Engine, metadata: MetaData) -> Iterator[Step]:
    """Copy every table of the models, and yield each step. Commits at the end.

    Raises ``NotCopied`` if the target is not empty, is at another migration,
    or does not hold in the end what was read.
    """
    tables = metadata.sorted_tables
    with snapshot(source) as reading, target.begin() as writing:
        if writing.dialect.name == "sqlite":
            writing.exec_driver_sql("BEGIN IMMEDIATE")
            # A row may refer to a later row of its own table.
            writing.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
        _refuse_another_version(reading, writing)
        _refuse_rows(writing, tables)
        for copied in tables:
            digest = Digest()
            for rows in _chunks(reading, copied):
                for row in rows:
                    digest = digest.plus(row)
                writing.execute(insert(copied), [_writable(copied, row) for row in rows])
                yield Step(copied.name, len(rows))
            _refuse_difference(copied, digest, _digest(writing, copied))
        for copied in tables:
            _continue_numbering(reading, writing, copied)


def count(source: Engine, metadata: MetaData) -> int:
    """About how many rows ``copy`` has to copy."""
    with source.connect() as connection:
        return sum(
            connection.scalar(select(func.count()).select_from(counted)) or 0
            for counted in metadata.sorted_tables
        )


def tables_without_model(source: Engine, metadata: MetaData) -> list[str]:
    """The tables of the source that no model describes."""
    own = {copied.name for copied in metadata.sorted_tables} | {VERSIONS}
    return sorted(set(inspect(source).get_table_names()) - own)


def _refuse_another_version(reading: Connection, writing: Connection) -> None:
    here, there = _version(reading), _version(writing)
    if not here:
        raise NotCopied("DATABASE_URL has no tables. Is it the right one?")
    if here != there:
        raise NotCopied(
            f"The target is at migration {', '.join(there) or 'none'}, the source at "
            f"{', '.join(here)}. Run `flask db upgrade` on both with the same FEATURES, the "
            "target by `DATABASE_URL=… flask db upgrade`."
        )


def _version(connection: Connection) -> list[str]:
    if not inspect(connection).has_table(VERSIONS):
        return []
    version = select(column("version_num", String)).select_from(table(VERSIONS))
    return sorted(connection.scalars(version))


def _refuse_rows(writing: Connection, tables: list[Table]) -> None:
    for copied in tables:
        if writing.execute(select(text("1")).select_from(copied).limit(1)).first():
            raise NotCopied(f"The target is not empty: there are rows in {copied.name}.")


def _stored(copied: Table) -> list[Column[Any]]:
    """The columns of the table, except those that the database calculates."""
    return [own for own in copied.columns if own.computed is None]


def _is_json(stored: Column[Any]) -> bool:
    return isinstance(stored.type, JSON)


def _chunks(connection: Connection, copied: Table) -> Iterator[list[Values]]:
    """The rows, some at a time. JSON's null is kept apart from NULL; both are read as None."""
    stored = _stored(copied)
    nothing = [own.is_(null()) for own in stored if _is_json(own)]
    wanted = select(*stored, *nothing).order_by(*copied.primary_key.columns)
    found = connection.execute(wanted.execution_options(yield_per=CHUNK))
    for part in found.partitions():
        rows = []
        for row in part:
            flags = iter(row[len(stored) :])
            rows.append(
                tuple(
                    JSON.NULL if _is_json(own) and not next(flags) and value is None else value
                    for own, value in zip(stored, row, strict=False)
                )
            )
        yield rows


def _writable(copied: Table, row: Values) -> dict[str, Any]:
    # SQLAlchemy writes None into a JSON column as JSON's null.
    return {
        own.name: null() if value is None and _is_json(own) else value
        for own, value in zip(_stored(copied), row, strict=True)
    }


def _digest(connection: Connection, copied: Table) -> Digest:
    digest = Digest()
    for rows in _chunks(connection, copied):
        for row in rows:
            digest = digest.plus(row)
    return digest


def _refuse_difference(copied: Table, read: Digest, written: Digest) -> None:
    if read != written:
        raise NotCopied(
            f"The copy of {copied.name} is not what was read ({read.rows} rows, then "
            f"{written.rows}). Nothing was kept."
        )


def _canonical(value: Any) -> Any:
    """The value as JSON, the same whichever database it came from."""
    if value is JSON.NULL:
        return {"json": None}
    if value is None or isinstance(value, bool | int | float | str):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, Decimal):
        return str(value.normalize())
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    if isinstance(value, dict):
        return {key: _canonical(value[key]) for key in sorted(value)}
    if isinstance(value, UUID | date):
        return str(value)
    return repr(value)


# Numbers


def _continue_numbering(reading: Connection, writing: Connection, copied: Table) -> None:
    """Let the next row get the number that it would have got in the source.

    The greatest number in the table is not enough, because the number of a
    deleted row must not be used again either.
    """
    numbered = copied.autoincrement_column
    if numbered is None or not isinstance(numbered.type, Integer):
        return
    greatest = max(
        reading.scalar(select(func.max(numbered))) or 0, _last_number(reading, copied) or 0
    )
    if not greatest:
        return
    if writing.dialect.name == "postgresql":
        if sequence := _sequence(writing, copied):
            set_it = text("SELECT setval(CAST(:sequence AS regclass), :greatest)")
            writing.execute(set_it, {"sequence": sequence, "greatest": greatest})
    elif copied.dialect_options["sqlite"]["autoincrement"]:
        writing.execute(
            text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": copied.name}
        )
        writing.execute(
            text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :seq)"),
            {"name": copied.name, "seq": greatest},
        )


def _last_number(reading: Connection, copied: Table) -> int | None:
    """The greatest number that was ever given, if the source remembers it."""
    if reading.dialect.name == "postgresql":
        sequence = _sequence(reading, copied)
        if not sequence:
            return None
        # It is NULL as long as no number was given.
        remembered = text("SELECT pg_sequence_last_value(CAST(:sequence AS regclass))")
        return _number(reading, remembered, sequence=sequence)
    if not copied.dialect_options["sqlite"]["autoincrement"]:
        return None
    remembered = text("SELECT seq FROM sqlite_sequence WHERE name = :name")
    return _number(reading, remembered, name=copied.name)


def _number(reading: Connection, statement: TextClause, **values: str) -> int | None:
    number: int | None = reading.scalar(statement, values)
    return number


def _sequence(connection: Connection, copied: Table) -> str | None:
    numbered = copied.autoincrement_column
    name = connection.dialect.identifier_preparer.format_table(copied)
    owned: str | None = connection.scalar(
        select(func.pg_get_serial_sequence(name, numbered.name if numbered is not None else ""))
    )
    return owned
