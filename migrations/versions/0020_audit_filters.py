"""The indexes by which the audit log is filtered.

They are built while logins go on, outside a transaction, and so in a revision
of their own: where it is interrupted, it can be run again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_audit_events_event_id": ["event", "id"],
    "ix_audit_events_ip_id": ["ip", "id"],
    "ix_audit_events_request_id": ["request_id"],
    "ix_audit_events_at": ["at"],
}

INTERRUPTED = """
SELECT pg_class.relname FROM pg_index JOIN pg_class ON pg_class.oid = pg_index.indexrelid
 WHERE NOT pg_index.indisvalid AND pg_index.indrelid = 'audit_events'::regclass
"""


def upgrade() -> None:
    with op.get_context().autocommit_block():
        _remove_what_was_interrupted()
        for name, columns in INDEXES.items():
            op.create_index(
                name, "audit_events", columns, postgresql_concurrently=True, if_not_exists=True
            )


def _remove_what_was_interrupted() -> None:
    """An index that was not finished is there, and of no use; IF NOT EXISTS would keep it."""
    if op.get_context().dialect.name != "postgresql" or op.get_context().as_sql:
        return
    for name in op.get_bind().scalars(sa.text(INTERRUPTED)).all():
        op.execute(f'DROP INDEX CONCURRENTLY "{name}"')


def downgrade() -> None:
    for name in reversed(INDEXES):
        op.drop_index(name, table_name="audit_events")
