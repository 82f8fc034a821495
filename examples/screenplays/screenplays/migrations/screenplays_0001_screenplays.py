"""The tables of the screenplays."""

import sqlalchemy as sa
from alembic import op

revision = "screenplays_0001"
down_revision = None
branch_labels = ("screenplays",)
depends_on = "0010"

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "screenplays",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("owner_id", BIG_ID, nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("logline", sa.String(length=500), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("searched", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("changed_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["owner_id"],
            ["users.id"],
            name=op.f("fk_screenplays_owner_id_users"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_screenplays")),
    )
    op.create_index(op.f("ix_screenplays_owner_id"), "screenplays", ["owner_id"])
    op.create_table(
        "screenplays_version",
        sa.Column("screenplay_id", BIG_ID, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("logline", sa.String(length=500), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("author_id", BIG_ID, nullable=True),
        sa.Column("saved_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["author_id"],
            ["users.id"],
            name=op.f("fk_screenplays_version_author_id_users"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["screenplay_id"],
            ["screenplays.id"],
            name=op.f("fk_screenplays_version_screenplay_id_screenplays"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("screenplay_id", "number", name=op.f("pk_screenplays_version")),
    )
    op.create_index(op.f("ix_screenplays_version_author_id"), "screenplays_version", ["author_id"])
    op.create_table(
        "screenplays_person",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("screenplay_id", BIG_ID, nullable=False),
        sa.Column("role", sa.String(length=10), nullable=False),
        sa.Column("user_id", BIG_ID, nullable=True),
        sa.Column("invited_key", sa.String(length=300), nullable=True),
        sa.Column("invited_at", INSTANT, nullable=False),
        sa.Column("accepted_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(
            ["screenplay_id"],
            ["screenplays.id"],
            name=op.f("fk_screenplays_person_screenplay_id_screenplays"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_screenplays_person_user_id_users"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_screenplays_person")),
        sa.UniqueConstraint(
            "screenplay_id",
            "invited_key",
            name=op.f("uq_screenplays_person_screenplay_id_invited_key"),
        ),
        sa.UniqueConstraint(
            "screenplay_id", "user_id", name=op.f("uq_screenplays_person_screenplay_id_user_id")
        ),
    )
    op.create_index(
        op.f("ix_screenplays_person_invited_key"), "screenplays_person", ["invited_key"]
    )
    op.create_index(op.f("ix_screenplays_person_user_id"), "screenplays_person", ["user_id"])


def downgrade() -> None:
    op.drop_table("screenplays_person")
    op.drop_table("screenplays_version")
    op.drop_table("screenplays")
