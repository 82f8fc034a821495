"""The index by which administrators list the mails that were set aside.

It is built while mails are queued, outside a transaction, and so in a revision of
its own: where it is interrupted, it can be run again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_outbox_messages_set_aside",
            "outbox_messages",
            ["id"],
            postgresql_where=sa.text("set_aside_at IS NOT NULL"),
            sqlite_where=sa.text("set_aside_at IS NOT NULL"),
            postgresql_concurrently=True,
            if_not_exists=True,
        )


def downgrade() -> None:
    op.drop_index("ix_outbox_messages_set_aside", table_name="outbox_messages")
