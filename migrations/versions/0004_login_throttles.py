"""Failed logins, and what operators should hear of."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "login_throttles",
        sa.Column("subject", sa.CHAR(64), nullable=False),
        sa.Column("network", sa.String(50), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("blocked_until", INSTANT, nullable=True),
        sa.Column("last_failure_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("subject", "network", name=op.f("pk_login_throttles")),
    )
    op.create_index(
        op.f("ix_login_throttles_last_failure_at"), "login_throttles", ["last_failure_at"]
    )
    op.create_table(
        "sightings",
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("detail", sa.String(200), nullable=False),
        sa.Column("seen_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("kind", name=op.f("pk_sightings")),
    )


def downgrade() -> None:
    op.drop_table("sightings")
    op.drop_table("login_throttles")
