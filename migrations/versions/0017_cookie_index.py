"""The index by which a request finds the session of its cookie.

It is built while logins go on, outside a transaction, and so in a revision of
its own: where it is interrupted, it can be run again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_sessions_cookie_hash",
            "sessions",
            ["cookie_hash"],
            unique=True,
            postgresql_where=sa.text("cookie_hash IS NOT NULL"),
            sqlite_where=sa.text("cookie_hash IS NOT NULL"),
            postgresql_concurrently=True,
            if_not_exists=True,
        )


def downgrade() -> None:
    op.drop_index("ix_sessions_cookie_hash", table_name="sessions")
