"""Whether an authenticator may have a backup of a passkey.

It decides this once, when it makes the key. Nothing is known about the
passkeys that are there already, so the column may be empty.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("passkeys", sa.Column("may_sync", sa.Boolean(), nullable=True))


def downgrade() -> None:
    op.drop_column("passkeys", "may_sync")
