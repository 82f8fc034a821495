"""The level of the API key that a newer one has replaced.

During the overlap it keeps the level of the session in which it was made. The
column may be empty, because servers of the earlier release still replace keys
while the upgrade runs.
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("previous_aal", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("api_keys", "previous_aal")
