"""One-time tokens, the outbox, and accounts that are to be erased."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)
WAITING = sa.text("delivered_at IS NULL AND set_aside_at IS NULL")


def upgrade() -> None:
    op.add_column("users", sa.Column("deletion_due_at", INSTANT, nullable=True))
    op.create_table(
        "one_time_tokens",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("user_id", BIG_ID, nullable=False),
        sa.Column("purpose", sa.String(30), nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("email", sa.String(254), nullable=True),
        sa.Column("replaced_email", sa.String(254), nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("used_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_one_time_tokens_user_id_users"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_one_time_tokens")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_one_time_tokens_token_hash")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_one_time_tokens_user_id"), "one_time_tokens", ["user_id"])
    op.create_index(op.f("ix_one_time_tokens_expires_at"), "one_time_tokens", ["expires_at"])
    op.create_table(
        "outbox_messages",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("message_id", sa.String(100), nullable=False),
        sa.Column("user_id", BIG_ID, nullable=True),
        sa.Column("recipient", sa.String(254), nullable=False),
        sa.Column("message", sa.String(40), nullable=False),
        sa.Column("locale", sa.String(8), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("due_at", INSTANT, nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("delivered_at", INSTANT, nullable=True),
        sa.Column("set_aside_at", INSTANT, nullable=True),
        sa.Column("last_error", sa.String(500), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_outbox_messages_user_id_users"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox_messages")),
        sa.UniqueConstraint("message_id", name=op.f("uq_outbox_messages_message_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_outbox_messages_user_id"), "outbox_messages", ["user_id"])
    op.create_index("ix_outbox_messages_created_at", "outbox_messages", ["created_at"])
    op.create_index(
        "ix_outbox_messages_waiting",
        "outbox_messages",
        ["due_at"],
        postgresql_where=WAITING,
        sqlite_where=WAITING,
    )
    # Built while registrations go on; few rows are ever in it.
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_users_deletion_due_at",
            "users",
            ["deletion_due_at"],
            postgresql_where=sa.text("deletion_due_at IS NOT NULL"),
            sqlite_where=sa.text("deletion_due_at IS NOT NULL"),
            postgresql_concurrently=True,
            if_not_exists=True,
        )


def downgrade() -> None:
    op.drop_index("ix_users_deletion_due_at", table_name="users")
    op.drop_table("outbox_messages")
    op.drop_table("one_time_tokens")
    op.drop_column("users", "deletion_due_at")
