"""Finds the tables that the role of DATABASE_URL may not use.

Its rights are easily lost: a dump was restored without them, or migrations ran
under a role that has no default privileges.
"""

from sqlalchemy import Connection, text

from app.extensions import Base

# A role that serves may do no more with these (docs/audit.md, "Append-only").
ONLY_ADDED_TO = ("audit_events", "audit_seals")
ONLY_READ = ("audit_prunings", "alembic_version")

LACKING = text("""
    SELECT DISTINCT needed.name
    FROM unnest(CAST(:names AS text[]), CAST(:rights AS text[])) AS needed (name, kind)
    JOIN pg_class ON relname = needed.name AND pg_table_is_visible(oid)
    WHERE CASE
        WHEN relkind = 'S' AND kind = 'USAGE' THEN NOT has_sequence_privilege(oid, kind)
        WHEN relkind IN ('r', 'p') AND kind <> 'USAGE' THEN NOT has_table_privilege(oid, kind)
        ELSE false
    END
    ORDER BY needed.name
""")


def flaw(connection: Connection, *, writes: bool) -> str | None:
    """A sentence about the rights that are missing, or ``None``. A replica is only read."""
    if connection.dialect.name != "postgresql":
        return None
    needed = [(name, right) for name in _tables() for right in _rights(name, writes=writes)]
    if writes:
        needed += [(f"{name}_id_seq", "USAGE") for name in _tables()]
    names, rights = zip(*needed, strict=True)
    lacking = connection.scalars(LACKING, {"names": list(names), "rights": list(rights)}).all()
    if not lacking:
        return None
    quote = connection.dialect.identifier_preparer.quote
    row = connection.exec_driver_sql("SELECT current_user, current_schema()").one()
    role, schema = (quote(name or "public") for name in row)
    more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
    return (
        f"The role {role} of DATABASE_URL lacks rights on {', '.join(lacking[:3])}{more}. As the "
        "owner of the tables, run GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "
        f"{schema} TO {role}; GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role}; and then "
        'the statements of docs/audit.md, "Append-only".'
    )


def _tables() -> list[str]:
    return sorted({*Base.metadata.tables, "alembic_version"})


def _rights(table: str, *, writes: bool) -> tuple[str, ...]:
    if not writes or table in ONLY_READ:
        return ("SELECT",)
    if table in ONLY_ADDED_TO:
        return ("SELECT", "INSERT")
    return ("SELECT", "INSERT", "UPDATE", "DELETE")
