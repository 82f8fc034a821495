"""The index by which a new account asks whether somebody may still return to its address."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

NAME = "ix_one_time_tokens_undo_email"
IS_UNDO = "purpose = 'email_undo'"

INTERRUPTED = """
SELECT true FROM pg_index JOIN pg_class ON pg_class.oid = pg_index.indexrelid
 WHERE NOT pg_index.indisvalid AND pg_class.relname = :name
   AND pg_index.indrelid = 'one_time_tokens'::regclass
"""


def upgrade() -> None:
    # Built while mails go out, outside a transaction: where it is interrupted, it can be run again.
    with op.get_context().autocommit_block():
        _remove_what_was_interrupted()
        op.create_index(
            NAME,
            "one_time_tokens",
            ["email"],
            postgresql_where=sa.text(IS_UNDO),
            sqlite_where=sa.text(IS_UNDO),
            postgresql_concurrently=True,
            if_not_exists=True,
        )


def _remove_what_was_interrupted() -> None:
    """IF NOT EXISTS would keep an index that was not finished."""
    if op.get_context().dialect.name != "postgresql" or op.get_context().as_sql:
        return
    if op.get_bind().scalar(sa.text(INTERRUPTED), {"name": NAME}):
        op.execute(f"DROP INDEX CONCURRENTLY {NAME}")


def downgrade() -> None:
    op.drop_index(NAME, table_name="one_time_tokens")
