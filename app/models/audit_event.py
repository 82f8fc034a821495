"""An event of the audit log: it says what happened, to which user, and by which user."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, String, func, literal
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.database.types import BigId, UTCDateTime
from app.extensions import Base

# Without a value it is NULL, and not the JSON text null.
Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


class AuditEvent(Base):
    """One event. It names users by id without a foreign key, because it outlives them.

    ``ip``, ``user_agent`` and ``personal`` are its personal part, which is
    erased with the user. ``details`` holds nothing that must be erased.
    """

    __tablename__ = "audit_events"
    __table_args__ = (
        Index("ix_audit_events_subject_id_id", "subject_id", "id"),
        # With the id they are in the order of the page. Without it they would be smaller, but to
        # find an address of long ago PostgreSQL would read the log from its end.
        Index("ix_audit_events_event_id", "event", "id"),
        Index("ix_audit_events_ip_id", "ip", "id"),
        Index("ix_audit_events_request_id", "request_id"),
        Index("ix_audit_events_at", "at"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[datetime] = mapped_column(UTCDateTime, server_default=func.now())
    event: Mapped[str] = mapped_column(String(50))
    actor_id: Mapped[int | None] = mapped_column(BigId)
    subject_id: Mapped[int | None] = mapped_column(BigId)
    ip: Mapped[str | None] = mapped_column(String(45))
    user_agent: Mapped[str | None] = mapped_column(String(300))
    request_id: Mapped[str | None] = mapped_column(String(64))
    details: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    personal: Mapped[dict[str, Any] | None] = mapped_column(Json)

    @property
    def all_details(self) -> dict[str, Any]:
        """All details, for people who read the log. Some of them are erased with the user."""
        return {**self.details, **(self.personal or {})}


ACTS_ON_OTHERS = AuditEvent.actor_id.is_not(None) & AuditEvent.actor_id.is_distinct_from(
    AuditEvent.subject_id
)

# Most people act only on themselves, and for them the index on the subject is enough.
Index(
    "ix_audit_events_actor_id_id",
    AuditEvent.actor_id,
    AuditEvent.id,
    postgresql_where=ACTS_ON_OTHERS,
    sqlite_where=ACTS_ON_OTHERS,
)

# The condition of an index must contain the value itself, and not a parameter.
IS_PRUNING = AuditEvent.event == literal("audit_pruned", String, literal_execute=True)

# Prunings are few, and a search for them must not read the whole log.
Index(
    "ix_audit_events_prunings",
    AuditEvent.id,
    postgresql_where=IS_PRUNING,
    sqlite_where=IS_PRUNING,
)
