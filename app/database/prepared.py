"""Statements that run on nearly every request, or at every login: compiled once.

SQLAlchemy's own work around a statement takes three times as long as the
answer of the database. These statements avoid that: their compiled text goes
straight to the driver, on a connection of the same pool.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, Generic, NamedTuple, TypeVar, overload

from sqlalchemy import Dialect, Engine, Select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.dml import ReturningDelete, ReturningInsert, ReturningUpdate

from app.database import failures
from app.database.rows import Row, detached
from app.extensions import Base, db

Values = tuple[Any, ...]
Statement = (
    Select[*Values] | ReturningInsert[*Values] | ReturningUpdate[*Values] | ReturningDelete[*Values]
)
Given = Statement | Callable[[], Statement]
Convert = Callable[[Any], Any]
Result = TypeVar("Result")
Other = TypeVar("Other", bound=Base)


class Prepared(Generic[Result]):
    """A statement that reads rows, or changes some and returns them.

    Name the models whose columns the statement returns, and it returns objects
    of them: one in each row, or several. They are outside ``db.session``.
    Without models, a row is a tuple of values.

    Give a function instead of a statement if each database needs its own, as
    for an INSERT that may become an UPDATE.
    """

    @overload
    def __init__(self: "Prepared[Values]", statement: Given) -> None: ...
    @overload
    def __init__(self: "Prepared[Row]", statement: Given, model: type[Row], /) -> None: ...
    @overload
    def __init__(
        self: "Prepared[tuple[Row, Other]]",
        statement: Given,
        model: type[Row],
        other: type[Other],
        /,
    ) -> None: ...
    def __init__(self, statement: Given, *models: type[Base]) -> None:
        self._statement = statement
        self._models = models
        self._for = cache(self._compile)

    def run_alone(self, **values: Any) -> Sequence[Result]:
        """Run it on a connection of its own, and commit at once. Returns the rows.

        Raises the errors that SQLAlchemy would raise.
        """
        engine = db.engine
        try:
            return self._run_alone(engine, values)
        except DBAPIError as error:
            if not failures.is_read_only(error.orig):
                raise
        # Nothing was changed. The connection led to a server that has become a standby. It has
        # left the pool, and a new connection may lead to the server that takes writes.
        return self._run_alone(engine, values)

    def _run_alone(self, engine: Engine, values: dict[str, Any]) -> Sequence[Result]:
        compiled = self._for(engine.dialect)
        connection = None
        try:
            connection = engine.raw_connection()
            return compiled.run_alone(connection.dbapi_connection, values)
        except engine.dialect.loaded_dbapi.Error as error:
            driver = connection and connection.dbapi_connection
            raise _as_sqlalchemy_error(error, engine, connection, driver, compiled) from error
        finally:
            if connection is not None:
                connection.close()

    def run(self, **values: Any) -> Sequence[Result]:
        """Run it in the transaction of ``db.session``. Returns the rows. The caller commits.

        Raises the errors that SQLAlchemy would raise.
        """
        connection = db.session.connection()
        compiled = self._for(connection.dialect)
        driver = connection.connection.dbapi_connection
        try:
            return compiled.run(driver, values)
        except connection.dialect.loaded_dbapi.Error as error:
            raise _as_sqlalchemy_error(
                error, connection.engine, connection, driver, compiled
            ) from error

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
            [(model, [column.key for column in model.__table__.columns]) for model in self._models],
        )


class Compiled(NamedTuple):
    """A statement in the SQL of one database, and how its values are converted."""

    text: str
    # Without BEGIN and COMMIT, PostgreSQL is spared two of three round trips.
    in_autocommit: bool
    order: list[str] | None
    constants: dict[str, Any]
    binds: dict[str, Convert]
    results: list[tuple[int, Convert]]
    models: list[tuple[type[Base], list[str]]]

    def run_alone(self, connection: Any, values: dict[str, Any]) -> Sequence[Any]:
        if self.in_autocommit:
            connection.autocommit = True
        try:
            rows = self.run(connection, values)
            connection.commit()
        finally:
            if self.in_autocommit and not connection.closed:
                connection.autocommit = False
        return rows

    def run(self, connection: Any, values: dict[str, Any]) -> Sequence[Any]:
        values = self.constants | values
        for name, convert in self.binds.items():
            values[name] = convert(values[name])
        given = values if self.order is None else [values[name] for name in self.order]
        return [self._made_of(row) for row in connection.execute(self.text, given).fetchall()]

    def _made_of(self, row: Iterable[Any]) -> Any:
        values = list(row)
        for place, convert in self.results:
            values[place] = convert(values[place])
        if not self.models:
            return tuple(values)
        rest = iter(values)
        # The names come first, so that a ``zip`` that ends takes no value of the next model.
        objects = tuple(
            detached(model, zip(names, rest, strict=False)) for model, names in self.models
        )
        return objects[0] if len(objects) == 1 else objects


def _as_sqlalchemy_error(
    error: Exception, engine: Engine, connection: Any, driver: Any, compiled: Compiled
) -> BaseException:
    dialect: Any = engine.dialect
    is_gone = driver is not None and (
        dialect.is_disconnect(error, driver, None) or failures.spoils_connection(error)
    )
    if is_gone:
        connection.invalidate(error)
    return DBAPIError.instance(
        compiled.text,
        None,
        error,
        dialect.loaded_dbapi.Error,
        hide_parameters=engine.hide_parameters,
        connection_invalidated=bool(is_gone),
        dialect=dialect,
    )
