"""Finds out whether this code can use the database.

Is it ours, in UTF-8, and migrated, and may we use all of its tables?
"""

from typing import NamedTuple
from weakref import WeakKeyDictionary

from sqlalchemy import (
    Connection,
    Dialect,
    String,
    column,
    false,
    inspect,
    select,
    table,
    text,
    update,
)
from sqlalchemy.exc import DBAPIError

from app.database import branches, failures, rights
from app.extensions import Base

# Our first migration made these columns, and no other application has them.
OURS = {
    "users": {"username_key", "hashed_password", "is_superuser"},
    "sessions": {"user_id", "refresh_jti", "max_expires_at"},
}
NOT_MIGRATED = "the database lacks tables or columns that this version needs: run flask db upgrade"
ANOTHER_DATABASE = "Name a database of our own in DATABASE_URL: an empty one will do."


class State(NamedTuple):
    """The state of a database."""

    encoding_flaw: str | None
    foreign_flaw: str | None
    rights_flaw: str | None
    # Whether it is ours, and at our head or ahead of it.
    is_current: bool

    @property
    def flaws(self) -> list[str]:
        """The flaws that no upgrade repairs. Each sentence says what to do."""
        every = (self.encoding_flaw, self.foreign_flaw, self.rights_flaw)
        return [flaw for flaw in every if flaw]


# For each engine, the revisions at which its database was found to have no flaw. While the
# revisions stay, it is not examined again, because readyz runs every few seconds. So rights that
# are taken away later are told at the next start.
_good_at: WeakKeyDictionary[Dialect, list[str]] = WeakKeyDictionary()


def read(connection: Connection, *, writes: bool = True) -> State:
    """Look at the database. A database that was found good is not examined again.

    A replica never ``writes``, so it needs fewer rights.
    """
    try:
        found = applied(connection)
    except DBAPIError as error:
        connection.rollback()
        return _without_record(connection, error, writes=writes)
    if found and _good_at.get(connection.dialect) == found:
        return State(None, None, None, _is_current(found))
    encoding = _encoding_flaw(connection)
    foreign = _foreign_flaw(connection, found)
    lacking = None if foreign else rights.flaw(connection, writes=writes)
    if found and not encoding and not foreign and not lacking:
        _good_at[connection.dialect] = found
    return State(encoding, foreign, lacking, _is_current(found) and not foreign)


def _without_record(connection: Connection, error: DBAPIError, *, writes: bool) -> State:
    """The state of a database whose ``alembic_version`` we cannot read."""
    if failures.lacks_schema(error.orig):
        foreign = (
            "The database belongs to another application: its table alembic_version has no column "
            f"version_num. {ANOTHER_DATABASE}"
        )
        return State(_encoding_flaw(connection), foreign, None, is_current=False)
    if failures.lacks_rights(error.orig):
        lacking = rights.flaw(connection, writes=writes)
        return State(_encoding_flaw(connection), None, lacking, is_current=False)
    raise error


def _is_current(found: list[str]) -> bool:
    """Whether each branch is at our head or ahead of it.

    A revision that this code does not know was made by newer code, in a
    rolling upgrade, or belongs to a feature that is not loaded here.
    Migrations only ever add, so this code still runs on it.
    """
    history = branches.history()
    applied = history.applied_with(found)
    unknown = [revision for revision in found if revision not in history.branches]
    return bool(found) and all(
        heads <= applied or _may_be_ahead(branch, found, unknown)
        for branch, heads in history.heads.items()
    )


def _may_be_ahead(branch: str, found: list[str], unknown: list[str]) -> bool:
    """Whether an unknown revision may have come after our head of this branch."""
    history = branches.history()
    if any(history.branches.get(revision) == branch for revision in found):
        return False
    # The row of any feature may stand for a revision of the core on which it depends.
    is_core = branch == branches.CORE
    return any(is_core or revision.startswith(f"{branch}_") for revision in unknown)


def _encoding_flaw(connection: Connection) -> str | None:
    """PostgreSQL in LATIN1 cannot store most names, and in SQL_ASCII text comes back as bytes.

    SQLite gives us UTF-8, whatever encoding its files have.
    """
    if connection.dialect.name != "postgresql":
        return None
    encoding = connection.exec_driver_sql("SELECT current_setting('server_encoding')").scalar()
    if encoding == "UTF8":
        return None
    return (
        f"The database {connection.engine.url.database} is in {encoding}, which cannot hold every "
        "name. Make another and name it in DATABASE_URL: CREATE DATABASE … ENCODING 'UTF8' "
        "TEMPLATE template0."
    )


def _foreign_flaw(connection: Connection, found: list[str]) -> str | None:
    """The tables belong to another application, or they are ours without Alembic's record."""
    if found:
        if _is_ours(connection):
            return None
        return (
            f"The database belongs to another application: alembic_version has the revision "
            f"{', '.join(found)}, and the table users is missing or not ours. {ANOTHER_DATABASE}"
        )
    taken = sorted(_names(connection) & set(Base.metadata.tables))
    if not taken:
        return None
    if "users" in taken and _is_ours(connection):
        return (
            "The database holds our tables, and alembic_version is empty: it was restored without "
            "that table, or an upgrade was interrupted. Restore the whole copy, or, if you know "
            "which revision the tables are at, run flask db stamp REVISION."
        )
    tables = f"the table {taken[0]}" if len(taken) == 1 else f"the tables {', '.join(taken)}"
    return (
        f"The database belongs to another application: it holds {tables} already, and no record of "
        f"our migrations. {ANOTHER_DATABASE}"
    )


def _names(connection: Connection) -> set[str]:
    """The names that a new table cannot have. A view, a sequence or a type has one too."""
    if connection.dialect.name == "postgresql":
        names = text(
            "SELECT relname FROM pg_class WHERE pg_table_is_visible(oid)"
            " UNION SELECT typname FROM pg_type WHERE pg_type_is_visible(oid)"
        )
    else:
        names = text("SELECT name FROM sqlite_master")
    return set(connection.scalars(names))


def refuse_unless_writable(connection: Connection) -> None:
    """Raise the database's own error if it takes no writes: a standby, or a full server.

    This runs an UPDATE that finds no row. The caller ends the transaction.
    """
    users = table("users", column("id"))
    connection.execute(update(users).where(false()).values(id=users.c.id))


def unknown_revisions(connection: Connection) -> list[str]:
    """The revisions that newer code, another application or a feature has applied."""
    known = branches.history().branches
    return [revision for revision in applied(connection) if revision not in known]


def _is_ours(connection: Connection) -> bool:
    inspector = inspect(connection)
    return all(
        inspector.has_table(name)
        and columns <= {each["name"] for each in inspector.get_columns(name)}
        for name, columns in OURS.items()
    )


def applied(connection: Connection) -> list[str]:
    """The revisions that Alembic has recorded in the database. A new database has none."""
    if not inspect(connection).has_table("alembic_version"):
        return []
    version = select(column("version_num", String)).select_from(table("alembic_version"))
    # In another application's table, the value may be a number or NULL.
    return [str(revision) for revision in connection.scalars(version)]
