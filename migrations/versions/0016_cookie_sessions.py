"""Sessions that a cookie holds.

The columns may be empty or have a default, because servers of the earlier
release still write sessions while the upgrade runs.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sessions", sa.Column("cookie_hash", sa.String(64), nullable=True))
    op.add_column(
        "sessions",
        sa.Column("is_remembered", sa.Boolean(), server_default=sa.false(), nullable=False),
    )


def downgrade() -> None:
    op.drop_column("sessions", "is_remembered")
    op.drop_column("sessions", "cookie_hash")
