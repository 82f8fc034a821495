"""Statements that run on nearly every request: compiled once, each a transaction of its own.

What SQLAlchemy does around a statement takes three times as long as the
database takes to answer it. Where every request pays for that, the compiled
text goes to the driver by itself, on a connection of the same pool.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Dialect, Engine, Select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.dml import ReturningDelete, ReturningInsert, ReturningUpdate

from app.extensions import db

Columns = tuple[Any, ...]
Statement = (
    Select[*Columns]
    | ReturningInsert[*Columns]
    | ReturningUpdate[*Columns]
    | ReturningDelete[*Columns]
)
Convert = Callable[[Any], Any]


class Prepared:
    """A statement that reads one row, or changes one and returns it.

    It is given as a function where each database has its own, like an INSERT
    that may become an UPDATE.
    """

    def __init__(self, statement: Statement | Callable[[], Statement]) -> None:
        self._statement = statement
        self._for = cache(self._compile)

    def row(self, **values: Any) -> Sequence[Any] | None:
        """The row, or ``None``. Commits. Raises what SQLAlchemy would raise."""
        engine = db.engine
        compiled = self._for(engine.dialect)
        connection = None
        try:
            connection = engine.raw_connection()
            return compiled.run(connection.dbapi_connection, values)
        except engine.dialect.loaded_dbapi.Error as error:
            raise _in_sqlalchemys_words(error, connection, engine, compiled.text) from error
        finally:
            if connection is not None:
                connection.close()

    def _compile(self, dialect: Dialect) -> "Compiled":
        statement = self._statement() if callable(self._statement) else self._statement
        compiled: Any = statement.compile(dialect=dialect)
        binds = {
            name: parameter.type.dialect_impl(dialect).bind_processor(dialect)
            for name, parameter in compiled.binds.items()
        }
        results = [
            column.type.dialect_impl(dialect).result_processor(dialect, None)
            for column in statement.exported_columns
        ]
        return Compiled(
            str(compiled),
            dialect.name == "postgresql",
            compiled.positiontup,
            {name: bind.value for name, bind in compiled.binds.items() if not bind.required},
            {name: convert for name, convert in binds.items() if convert},
            [(place, convert) for place, convert in enumerate(results) if convert],
        )


class Compiled(NamedTuple):
    """A statement in the words of one database, and how its values are converted."""

    text: str
    # Without BEGIN and COMMIT, PostgreSQL is spared two of three round trips.
    in_autocommit: bool
    order: list[str] | None
    constants: dict[str, Any]
    binds: dict[str, Convert]
    results: list[tuple[int, Convert]]

    def run(self, connection: Any, values: dict[str, Any]) -> Sequence[Any] | None:
        values = self.constants | values
        for name, convert in self.binds.items():
            values[name] = convert(values[name])
        given = values if self.order is None else [values[name] for name in self.order]
        if self.in_autocommit:
            connection.autocommit = True
        try:
            rows = connection.execute(self.text, given).fetchall()
            connection.commit()
        finally:
            if self.in_autocommit and not connection.closed:
                connection.autocommit = False
        if not rows:
            return None
        row = list(rows[0])
        for place, convert in self.results:
            row[place] = convert(row[place])
        return row


def _in_sqlalchemys_words(
    error: Exception, connection: Any, engine: Engine, text: str
) -> BaseException:
    dialect: Any = engine.dialect
    is_gone = connection and dialect.is_disconnect(error, connection.dbapi_connection, None)
    if is_gone:
        connection.invalidate(error)
    return DBAPIError.instance(
        text,
        None,
        error,
        dialect.loaded_dbapi.Error,
        hide_parameters=engine.hide_parameters,
        connection_invalidated=bool(is_gone),
        dialect=dialect,
    )
