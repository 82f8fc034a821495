"""Accounts of other providers with which people sign in, and sign-ins that are under way."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)

INDEXES = [
    ("identities", "user_id"),
    ("provider_attempts", "browser_hash"),
    ("provider_attempts", "user_id"),
    ("provider_attempts", "expires_at"),
]


def upgrade() -> None:
    op.create_table(
        "identities",
        sa.Column("id", BIG_ID, nullable=False),
        _user_id("identities", nullable=False),
        sa.Column("issuer", sa.String(255), nullable=False),
        sa.Column("subject", sa.String(255), nullable=False),
        sa.Column("provider", sa.String(20), nullable=False),
        sa.Column("label", sa.String(254), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("last_used_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identities")),
        sa.UniqueConstraint("issuer", "subject", name=op.f("uq_identities_issuer_subject")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "provider_attempts",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("state_hash", sa.String(64), nullable=False),
        sa.Column("browser_hash", sa.String(64), nullable=True),
        sa.Column("provider", sa.String(20), nullable=False),
        sa.Column("purpose", sa.String(20), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        _user_id("provider_attempts", nullable=True),
        sa.Column("next_path", sa.String(500), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("used_at", INSTANT, nullable=True),
        sa.Column("issuer", sa.String(255), nullable=True),
        sa.Column("subject", sa.String(255), nullable=True),
        sa.Column("label", sa.String(254), nullable=True),
        sa.Column("username", sa.String(50), nullable=True),
        sa.Column("email", sa.String(254), nullable=True),
        sa.Column("is_email_proved", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_attempts")),
        sa.UniqueConstraint("state_hash", name=op.f("uq_provider_attempts_state_hash")),
        sqlite_autoincrement=True,
    )
    for table, column in INDEXES:
        op.create_index(op.f(f"ix_{table}_{column}"), table, [column])


def _user_id(table: str, *, nullable: bool) -> sa.Column[int]:
    """The account that the row belongs to. The row is deleted with it."""
    owner = sa.ForeignKey("users.id", name=op.f(f"fk_{table}_user_id_users"), ondelete="CASCADE")
    return sa.Column("user_id", BIG_ID, owner, nullable=nullable)


def downgrade() -> None:
    op.drop_table("provider_attempts")
    op.drop_table("identities")
