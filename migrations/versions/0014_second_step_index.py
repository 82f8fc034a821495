"""The index by which administrators list the accounts whose second step is on.

It is built while logins go on, outside a transaction, and so in a revision of
its own: where it is interrupted, it can be run again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_users_second_step",
            "users",
            ["id"],
            postgresql_where=sa.text("second_step_at IS NOT NULL"),
            sqlite_where=sa.text("second_step_at IS NOT NULL"),
            postgresql_concurrently=True,
            if_not_exists=True,
        )


def downgrade() -> None:
    op.drop_index("ix_users_second_step", table_name="users")
