"""Whether the database has been through the migrations that this code needs."""

from functools import cache

from alembic.script import ScriptDirectory
from sqlalchemy import Connection, String, column, inspect, select, table

from app.extensions import migrate


def is_current(connection: Connection) -> bool:
    """Whether the database is at our head, or ahead of it.

    A revision that this code does not know was made by newer code, in a
    rolling upgrade: migrations only ever add, so this code still runs on it.
    """
    applied = _applied(connection)
    heads, known = _revisions()
    return bool(applied) and all(revision in heads or revision not in known for revision in applied)


def _applied(connection: Connection) -> list[str]:
    """Alembic's record of what the database has been through; none at all in a new one."""
    if not inspect(connection).has_table("alembic_version"):
        return []
    version = select(column("version_num", String)).select_from(table("alembic_version"))
    return list(connection.scalars(version))


@cache
def _revisions() -> tuple[frozenset[str], frozenset[str]]:
    """The heads, and all revisions, that this code came with."""
    scripts = ScriptDirectory.from_config(migrate.get_config())
    heads = frozenset(scripts.get_heads())
    return heads, frozenset(script.revision for script in scripts.walk_revisions())
