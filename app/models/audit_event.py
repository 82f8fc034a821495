"""What happened, to whom, by whom."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Index, String, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.types import BigId, UTCDateTime


class Event(StrEnum):
    """The vocabulary of the audit log: a noun, and what became of it."""

    REFRESH_TOKEN_REUSED = "refresh_token_reused"
    LOGIN_THROTTLED = "login_throttled"

    # What administrators did. ``via`` is ``cli`` where an operator did it in the shell.
    USER_CREATED = "user_created"
    USER_UPDATED = "user_updated"
    USER_DELETED = "user_deleted"
    USER_PROMOTED = "user_promoted"
    USER_DEMOTED = "user_demoted"
    USER_ACTIVATED = "user_activated"
    USER_DEACTIVATED = "user_deactivated"
    SESSIONS_ENDED = "sessions_ended"
    PASSWORD_RESET_ASKED = "password_reset_asked"
    ROLES_CHANGED = "roles_changed"
    ROLE_CREATED = "role_created"
    ROLE_CHANGED = "role_changed"
    ROLE_DELETED = "role_deleted"


class AuditEvent(Base):
    """One event. Users are named by id and not by foreign key: the event outlives them."""

    __tablename__ = "audit_events"
    __table_args__ = (
        Index("ix_audit_events_subject_id_id", "subject_id", "id"),
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
    details: Mapped[dict[str, Any]] = mapped_column(
        JSON().with_variant(JSONB(), "postgresql"), default=dict
    )
