"""Second factors, passkeys, and the level of a session.

The new columns have defaults, because servers of the earlier release still
write sessions and roles while the upgrade runs.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("sessions", sa.Column("aal", sa.Integer(), server_default="1", nullable=False))
    op.add_column("sessions", sa.Column("amr", sa.String(60), server_default="pwd", nullable=False))
    op.add_column(
        "sessions",
        sa.Column("signed_in_by", sa.String(30), server_default="password", nullable=False),
    )
    op.add_column("sessions", sa.Column("authenticated_at", INSTANT, nullable=True))
    op.add_column("users", sa.Column("second_step_at", INSTANT, nullable=True))
    op.add_column(
        "roles", sa.Column("require_mfa", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.create_table(
        "mfa_tickets",
        sa.Column("id", BIG_ID, nullable=False),
        _user_id("mfa_tickets"),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("amr", sa.String(60), nullable=False),
        sa.Column("signed_in_by", sa.String(30), nullable=False),
        sa.Column("account_mark", sa.String(64), nullable=False),
        sa.Column("tries_left", sa.Integer(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("used_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mfa_tickets")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_mfa_tickets_token_hash")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "totp_factors",
        _user_id("totp_factors"),
        sa.Column("sealed_secret", sa.String(300), nullable=False),
        sa.Column("key_id", sa.String(60), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("confirmed_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_totp_factors")),
    )
    op.create_table(
        "recovery_codes",
        sa.Column("id", BIG_ID, nullable=False),
        _user_id("recovery_codes"),
        sa.Column("code_hash", sa.String(64), nullable=False),
        sa.Column("key_id", sa.String(60), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("used_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recovery_codes")),
        sa.UniqueConstraint("code_hash", name=op.f("uq_recovery_codes_code_hash")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "remembered_devices",
        sa.Column("id", sa.Uuid(), nullable=False),
        _user_id("remembered_devices"),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("previous_hash", sa.String(64), nullable=True),
        sa.Column("rotated_at", INSTANT, nullable=True),
        sa.Column("ip", sa.String(45), nullable=True),
        sa.Column("user_agent", sa.String(300), nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("last_used_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_remembered_devices")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_remembered_devices_token_hash")),
        sa.UniqueConstraint("previous_hash", name=op.f("uq_remembered_devices_previous_hash")),
    )
    op.create_table(
        "passkey_handles",
        _user_id("passkey_handles"),
        sa.Column("handle", sa.LargeBinary(32), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_passkey_handles")),
        sa.UniqueConstraint("handle", name=op.f("uq_passkey_handles_handle")),
    )
    op.create_table(
        "passkeys",
        sa.Column("id", sa.Uuid(), nullable=False),
        _user_id("passkeys"),
        sa.Column("credential_id", sa.LargeBinary(1023), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("algorithm", sa.Integer(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("rp_id", sa.String(253), nullable=False),
        sa.Column("aaguid", sa.Uuid(), nullable=True),
        sa.Column("transports", sa.String(100), nullable=False),
        sa.Column("verifies_user", sa.Boolean(), nullable=False),
        sa.Column("synced", sa.Boolean(), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("last_used_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passkeys")),
        sa.UniqueConstraint("credential_id", name=op.f("uq_passkeys_credential_id")),
    )
    op.create_table(
        "spent_ceremonies",
        sa.Column("ceremony_hash", sa.String(64), nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("ceremony_hash", name=op.f("pk_spent_ceremonies")),
    )
    for table, column in INDEXES:
        op.create_index(op.f(f"ix_{table}_{column}"), table, [column])


INDEXES = [
    ("mfa_tickets", "user_id"),
    ("mfa_tickets", "expires_at"),
    ("recovery_codes", "user_id"),
    ("remembered_devices", "user_id"),
    ("remembered_devices", "expires_at"),
    ("passkeys", "user_id"),
    ("spent_ceremonies", "expires_at"),
]


def _user_id(table: str) -> sa.Column[int]:
    """The account that the row belongs to. The row is deleted with it."""
    owner = sa.ForeignKey("users.id", name=op.f(f"fk_{table}_user_id_users"), ondelete="CASCADE")
    return sa.Column("user_id", BIG_ID, owner, nullable=False)


def downgrade() -> None:
    for table in (
        "spent_ceremonies",
        "passkeys",
        "passkey_handles",
        "remembered_devices",
        "recovery_codes",
        "totp_factors",
        "mfa_tickets",
    ):
        op.drop_table(table)
    op.drop_column("roles", "require_mfa")
    op.drop_column("users", "second_step_at")
    for column in ("authenticated_at", "signed_in_by", "amr", "aal"):
        op.drop_column("sessions", column)
