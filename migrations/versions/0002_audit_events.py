"""Audit events, and an index by which old sessions are found."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "audit_events",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("event", sa.String(50), nullable=False),
        sa.Column("actor_id", BIG_ID, nullable=True),
        sa.Column("subject_id", BIG_ID, nullable=True),
        sa.Column("ip", sa.String(45), nullable=True),
        sa.Column("user_agent", sa.String(300), nullable=True),
        sa.Column("request_id", sa.String(64), nullable=True),
        sa.Column(
            "details", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_events")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_events_subject_id_id", "audit_events", ["subject_id", "id"])
    # Built while logins go on: an ordinary CREATE INDEX would stop every write to sessions. It
    # cannot be part of a transaction, so printed SQL (--sql) ends one before it.
    with op.get_context().autocommit_block():
        op.create_index(
            op.f("ix_sessions_max_expires_at"),
            "sessions",
            ["max_expires_at"],
            postgresql_concurrently=True,
            if_not_exists=True,
        )


def downgrade() -> None:
    op.drop_index(op.f("ix_sessions_max_expires_at"), table_name="sessions")
    op.drop_index("ix_audit_events_subject_id_id", table_name="audit_events")
    op.drop_table("audit_events")
