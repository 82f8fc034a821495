"""The audit log is sealed in a chain, and the database refuses to edit it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# What stays as it is for good, and what may become NULL, and nothing else, when a user is erased.
KEPT = {
    "audit_events": ("id", "at", "event", "actor_id", "subject_id", "request_id", "details"),
    "audit_seals": (
        *("position", "event_id", "sealed_at", "event_digest", "personal_digest", "hash"),
    ),
}
ERASABLE = {"audit_events": ("ip", "user_agent", "personal"), "audit_seals": ("salt",)}

# What may be deleted: up to where a pruning under way goes. The last seal of it stays, since the
# next one follows from it.
PRUNED = {
    "audit_events": (
        "EXISTS (SELECT 1 FROM audit_prunings JOIN audit_seals"
        " ON audit_seals.position <= audit_prunings.through"
        " WHERE audit_seals.event_id = OLD.id)"
    ),
    "audit_seals": (
        "EXISTS (SELECT 1 FROM audit_prunings WHERE audit_prunings.through > OLD.position)"
    ),
}
REPLACED = {
    "audit_events": "EXISTS (SELECT 1 FROM audit_events WHERE id = NEW.id)",
    "audit_seals": (
        "EXISTS (SELECT 1 FROM audit_seals"
        " WHERE position = NEW.position OR event_id = NEW.event_id)"
    ),
}


def upgrade() -> None:
    op.add_column(
        "audit_events",
        sa.Column(
            "personal", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True
        ),
    )
    op.create_table(
        "audit_seals",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("event_id", BIG_ID, nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event_digest", sa.String(64), nullable=False),
        sa.Column("personal_digest", sa.String(64), nullable=False),
        sa.Column("salt", sa.String(32), nullable=True),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_audit_seals")),
        sa.UniqueConstraint("event_id", name=op.f("uq_audit_seals_event_id")),
    )
    op.create_table(
        "audit_prunings",
        sa.Column("through", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("through", name=op.f("pk_audit_prunings")),
    )
    on_postgresql = op.get_context().dialect.name == "postgresql"
    for statement in _triggers_of_postgresql() if on_postgresql else _triggers_of_sqlite():
        op.execute(statement)


def downgrade() -> None:
    on_postgresql = op.get_context().dialect.name == "postgresql"
    for table in KEPT:
        for what in ("update", "delete", "truncate" if on_postgresql else "replace"):
            op.execute(
                f"DROP TRIGGER {table}_refuse_{what}" + (f" ON {table}" if on_postgresql else "")
            )
        if on_postgresql:
            op.execute(f"DROP FUNCTION {table}_refuse()")
    op.drop_table("audit_prunings")
    op.drop_table("audit_seals")
    op.drop_column("audit_events", "personal")


def _triggers_of_sqlite() -> list[str]:
    return [
        f"CREATE TRIGGER {table}_refuse_{what} BEFORE {change} ON {table} WHEN {condition} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        for table in KEPT
        for what, change, condition in (
            ("update", "UPDATE", _edited(table, "IS NOT")),
            ("delete", "DELETE", f"NOT {PRUNED[table]}"),
            # INSERT OR REPLACE deletes without asking the trigger on DELETE.
            ("replace", "INSERT", REPLACED[table]),
        )
    ]


def _triggers_of_postgresql() -> list[str]:
    # A condition of a trigger may not look into tables, so the function does.
    functions = [
        f"CREATE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF TG_OP = 'DELETE' THEN IF {PRUNED[table]} THEN RETURN OLD; END IF; END IF; "
        f"RAISE EXCEPTION '{table} is append-only' USING ERRCODE = 'insufficient_privilege'; "
        "END $$"
        for table in KEPT
    ]
    return functions + [
        f"CREATE TRIGGER {table}_refuse_{what} BEFORE {what} ON {table} "
        f"FOR EACH {each} EXECUTE FUNCTION {table}_refuse()"
        for table in KEPT
        for what, each in (
            ("update", f"ROW WHEN ({_edited(table, 'IS DISTINCT FROM')})"),
            ("delete", "ROW"),
            ("truncate", "STATEMENT"),
        )
    ]


def _edited(table: str, differs_from: str) -> str:
    """Whether an UPDATE does anything but erase."""
    kept = [f"NEW.{column} {differs_from} OLD.{column}" for column in KEPT[table]]
    written = [
        f"(NEW.{column} IS NOT NULL AND NEW.{column} {differs_from} OLD.{column})"
        for column in ERASABLE[table]
    ]
    return " OR ".join(kept + written)
