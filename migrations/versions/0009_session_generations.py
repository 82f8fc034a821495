"""Sessions: late retries, retries on record, and generations of tokens.

Each column may be NULL or has a constant default, so no row is written again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sessions", sa.Column("retried_jti", sa.Uuid(), nullable=True))
    op.add_column(
        "sessions", sa.Column("generation", sa.Integer(), server_default="0", nullable=False)
    )
    op.add_column("sessions", sa.Column("rotated_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    for name in ("rotated_at", "generation", "retried_jti"):
        op.drop_column("sessions", name)
