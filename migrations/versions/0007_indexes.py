"""The indexes of the audit log, and those by which administrators list and search accounts.

They are built while logins and registrations go on, outside a transaction,
and so in a revision of their own: where it is interrupted, it can be run again.
"""

import logging

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

ACTS_ON_OTHERS = "actor_id IS NOT NULL AND actor_id IS DISTINCT FROM subject_id"
ACTS_ON_OTHERS_ON_SQLITE = "actor_id IS NOT NULL AND actor_id IS NOT subject_id"

# One expression for three texts, each behind a line break, which none of them can hold: so none is
# found across two of them. `app/users/directory.py` asks for exactly this.
SEARCHED = "lower('\n' || email || '\n' || username || '\n' || coalesce(full_name, ''))"
# Whoever owns a database may make this extension, where it is installed.
EXTENSION = (
    "DO $$ BEGIN CREATE EXTENSION IF NOT EXISTS pg_trgm; "
    "EXCEPTION WHEN insufficient_privilege OR undefined_file OR feature_not_supported THEN NULL; "
    "END $$"
)
USABLE = (
    "SELECT count(*) FROM pg_opclass "
    "WHERE opcname = 'gin_trgm_ops' AND pg_opclass_is_visible(pg_opclass.oid)"
)

log = logging.getLogger("alembic.runtime.migration")

INTERRUPTED = """
SELECT pg_class.relname FROM pg_index JOIN pg_class ON pg_class.oid = pg_index.indexrelid
 WHERE NOT pg_index.indisvalid
   AND pg_index.indrelid IN ('users'::regclass, 'audit_events'::regclass)
"""


def upgrade() -> None:
    with op.get_context().autocommit_block():
        _remove_what_was_interrupted()
        _index(
            "ix_audit_events_actor_id_id",
            *("actor_id", "id"),
            table="audit_events",
            where=ACTS_ON_OTHERS,
            sqlite_where=ACTS_ON_OTHERS_ON_SQLITE,
        )
        _index(
            "ix_audit_events_prunings",
            "id",
            table="audit_events",
            where="event = 'audit_pruned'",
            sqlite_where="event = 'audit_pruned'",
        )
        _index("ix_users_superusers", "id", where="is_superuser", sqlite_where="is_superuser = 1")
        _index("ix_users_inactive", "id", where="NOT is_active", sqlite_where="is_active = 0")
        _index("ix_users_email_verified_id", "email_verified", "id")
        if op.get_context().dialect.name == "postgresql":
            _index("ix_users_created_at_id", "created_at", "id")
            _index("ix_users_email_bytes", 'email COLLATE "C"')
            _index("ix_users_username_key_bytes", 'username_key COLLATE "C"')
            _make_search_index()


def _remove_what_was_interrupted() -> None:
    """An index that was not finished is there, and of no use; IF NOT EXISTS would keep it."""
    if op.get_context().dialect.name != "postgresql" or op.get_context().as_sql:
        return
    for name in op.get_bind().scalars(sa.text(INTERRUPTED)).all():
        op.execute(f'DROP INDEX CONCURRENTLY "{name}"')


def _index(
    name: str,
    *columns: str,
    table: str = "users",
    where: str | None = None,
    sqlite_where: str | None = None,
    using: str = "btree",
) -> None:
    op.create_index(
        name,
        table,
        [sa.text(column) for column in columns],
        postgresql_where=sa.text(where) if where else None,
        sqlite_where=sa.text(sqlite_where) if sqlite_where else None,
        postgresql_using=using,
        postgresql_concurrently=True,
        if_not_exists=True,
    )


def _make_search_index() -> None:
    """Where pg_trgm may not be made, searching goes on without an index, more slowly."""
    if op.get_context().as_sql:
        # Whoever prints the SQL reads it, and leaves these two out where they cannot be had.
        op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    else:
        op.execute(EXTENSION)
        if not op.get_bind().scalar(sa.text(USABLE)):
            log.warning("pg_trgm is not there, so searching accounts will read all of them.")
            return
    _index("ix_users_search", f"({SEARCHED}) gin_trgm_ops", using="gin")


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        for name in (
            "ix_users_search",
            "ix_users_username_key_bytes",
            "ix_users_email_bytes",
            "ix_users_created_at_id",
        ):
            op.drop_index(name, table_name="users", if_exists=True)
    op.drop_index("ix_users_email_verified_id", table_name="users")
    op.drop_index("ix_users_inactive", table_name="users")
    op.drop_index("ix_users_superusers", table_name="users")
    op.drop_index("ix_audit_events_prunings", table_name="audit_events")
    op.drop_index("ix_audit_events_actor_id_id", table_name="audit_events")
