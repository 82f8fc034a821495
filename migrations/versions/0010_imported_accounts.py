"""Who imported accounts were in the system that they came from."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "imported_accounts",
        sa.Column("user_id", BIG_ID, nullable=False),
        sa.Column("system", sa.String(20), nullable=False),
        sa.Column("identity", sa.String(70), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_imported_accounts_user_id_users"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", "system", name=op.f("pk_imported_accounts")),
    )


def downgrade() -> None:
    op.drop_table("imported_accounts")
