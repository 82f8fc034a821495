"""The index by which a new account asks whether somebody may still return to its address."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

NAME = "ix_one_time_tokens_undo_email"
IS_UNDO = "purpose = 'email_undo'"


def upgrade() -> None:
    # Built while mails go out, outside a transaction. If that is interrupted, the next upgrade
    # drops the unfinished index first (app/upgrading.py).
    with op.get_context().autocommit_block():
        op.create_index(
            NAME,
            "one_time_tokens",
            ["email"],
            postgresql_where=sa.text(IS_UNDO),
            sqlite_where=sa.text(IS_UNDO),
            postgresql_concurrently=True,
            if_not_exists=True,
        )


def downgrade() -> None:
    op.drop_index(NAME, table_name="one_time_tokens")
