"""Roles, and the indexes by which administrators list and search accounts."""

import logging

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# One expression for three texts, each behind a line break, which none of them can hold: so a
# text can be looked for anywhere, or at the beginning of one. `app/users/directory.py` asks for
# exactly this.
SEARCHED = "lower('\n' || email || '\n' || username || '\n' || coalesce(full_name, ''))"
# Whoever owns a database may make this extension, where it is installed.
EXTENSION = (
    "DO $$ BEGIN CREATE EXTENSION IF NOT EXISTS pg_trgm; "
    "EXCEPTION WHEN insufficient_privilege OR undefined_file OR feature_not_supported THEN NULL; "
    "END $$"
)
USABLE = (
    "SELECT count(*) FROM pg_opclass "
    "WHERE opcname = 'gin_trgm_ops' AND pg_opclass_is_visible(pg_opclass.oid)"
)

log = logging.getLogger("alembic.runtime.migration")


def upgrade() -> None:
    op.create_table(
        "roles",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("name", sa.String(50), nullable=False),
        sa.Column("description", sa.String(200), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.func.now(),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_roles")),
        sa.UniqueConstraint("name", name=op.f("uq_roles_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "role_permissions",
        sa.Column("role_id", BIG_ID, nullable=False),
        sa.Column("permission", sa.String(50), nullable=False),
        sa.ForeignKeyConstraint(
            ["role_id"],
            ["roles.id"],
            name=op.f("fk_role_permissions_role_id_roles"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("role_id", "permission", name=op.f("pk_role_permissions")),
    )
    op.create_table(
        "user_roles",
        sa.Column("user_id", BIG_ID, nullable=False),
        sa.Column("role_id", BIG_ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_user_roles_user_id_users"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["role_id"],
            ["roles.id"],
            name=op.f("fk_user_roles_role_id_roles"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", "role_id", name=op.f("pk_user_roles")),
    )
    op.create_index(op.f("ix_user_roles_role_id"), "user_roles", ["role_id"])
    # Built while registrations go on, so outside a transaction.
    with op.get_context().autocommit_block():
        _index("ix_users_superusers", "id", where="is_superuser", sqlite_where="is_superuser = 1")
        _index("ix_users_inactive", "id", where="NOT is_active", sqlite_where="is_active = 0")
        _index("ix_users_email_verified_id", "email_verified", "id")
        if op.get_context().dialect.name == "postgresql":
            _index("ix_users_created_at_id", "created_at", "id")
            _index("ix_users_email_bytes", 'email COLLATE "C"')
            _index("ix_users_username_key_bytes", 'username_key COLLATE "C"')
            _make_search_index()


def _index(
    name: str,
    *columns: str,
    where: str | None = None,
    sqlite_where: str | None = None,
    using: str = "btree",
) -> None:
    op.create_index(
        name,
        "users",
        [sa.text(column) for column in columns],
        postgresql_where=sa.text(where) if where else None,
        sqlite_where=sa.text(sqlite_where) if sqlite_where else None,
        postgresql_using=using,
        postgresql_concurrently=True,
        if_not_exists=True,
    )


def _make_search_index() -> None:
    """Where pg_trgm may not be made, searching goes on without an index, more slowly."""
    if op.get_context().as_sql:
        # Whoever prints the SQL reads it, and leaves these two out where they cannot be had.
        op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    else:
        op.execute(EXTENSION)
        if not op.get_bind().scalar(sa.text(USABLE)):
            log.warning("pg_trgm is not there, so searching accounts will read all of them.")
            return
    _index("ix_users_search", f"({SEARCHED}) gin_trgm_ops", using="gin")


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        for name in (
            "ix_users_search",
            "ix_users_username_key_bytes",
            "ix_users_email_bytes",
            "ix_users_created_at_id",
        ):
            op.drop_index(name, table_name="users", if_exists=True)
    op.drop_index("ix_users_email_verified_id", table_name="users")
    op.drop_index("ix_users_inactive", table_name="users")
    op.drop_index("ix_users_superusers", table_name="users")
    op.drop_table("user_roles")
    op.drop_table("role_permissions")
    op.drop_table("roles")
