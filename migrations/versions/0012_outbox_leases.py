"""Mails that are being delivered have a lease, and those of one recipient are found by an index.

The index comes first, built while mail goes on and outside a transaction. If
that is interrupted, the revision can be run again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_outbox_messages_recipient_created_at",
            "outbox_messages",
            ["recipient", "created_at"],
            postgresql_concurrently=True,
            if_not_exists=True,
        )
    op.add_column("outbox_messages", sa.Column("lease", sa.Uuid(), nullable=True))


def downgrade() -> None:
    op.drop_column("outbox_messages", "lease")
    op.drop_index("ix_outbox_messages_recipient_created_at", table_name="outbox_messages")
