"""What happened, to whom, by whom."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Index, String, func, literal
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.types import BigId, UTCDateTime

# Without a value it is NULL, and not the JSON text null.
Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


class Event(StrEnum):
    """The vocabulary of the audit log: a noun, and what became of it.

    ``docs/audit.md`` says of each when it is recorded and with which details.
    """

    # Coming and going
    LOGIN_SUCCEEDED = "login_succeeded"
    LOGIN_FAILED = "login_failed"
    LOGGED_OUT = "logged_out"
    SESSION_ENDED = "session_ended"
    REFRESH_RETRIED = "refresh_retried"
    REFRESH_RETRIED_LATE = "refresh_retried_late"
    REFRESH_TOKEN_REUSED = "refresh_token_reused"
    LOGIN_THROTTLED = "login_throttled"
    REAUTHENTICATED = "reauthenticated"
    REAUTHENTICATION_FAILED = "reauthentication_failed"

    # What people do with their accounts
    USER_REGISTERED = "user_registered"
    REGISTRATION_ATTEMPTED = "registration_attempted"
    EMAIL_VERIFIED = "email_verified"
    EMAIL_CHANGE_ASKED = "email_change_asked"
    EMAIL_CHANGED = "email_changed"
    EMAIL_CHANGE_UNDONE = "email_change_undone"
    EMAIL_TAKEN_BACK = "email_taken_back"
    PASSWORD_CHANGED = "password_changed"
    PASSWORD_RESET_ASKED = "password_reset_asked"
    PASSWORD_RESET = "password_reset"
    ACCOUNT_REPUDIATED = "account_repudiated"
    DELETION_ASKED = "deletion_asked"
    DELETION_CALLED_OFF = "deletion_called_off"

    # What becomes of users, by themselves or by who looks after them
    USER_CREATED = "user_created"
    USER_UPDATED = "user_updated"
    USER_DELETED = "user_deleted"
    USER_PROMOTED = "user_promoted"
    USER_DEMOTED = "user_demoted"
    USER_ACTIVATED = "user_activated"
    USER_DEACTIVATED = "user_deactivated"
    SESSIONS_ENDED = "sessions_ended"
    ROLES_CHANGED = "roles_changed"
    USER_ERASED = "user_erased"

    # Many at once
    USERS_IMPORTED = "users_imported"

    # Roles, which belong to nobody
    ROLE_CREATED = "role_created"
    ROLE_CHANGED = "role_changed"
    ROLE_DELETED = "role_deleted"

    # The log itself
    AUDIT_PRUNED = "audit_pruned"


# What an alarm may hang on; the others are daily life.
ALARMING = frozenset(
    {
        Event.LOGIN_FAILED,
        Event.REAUTHENTICATION_FAILED,
        Event.REFRESH_TOKEN_REUSED,
        Event.ACCOUNT_REPUDIATED,
        Event.EMAIL_CHANGE_UNDONE,
    }
)


class AuditEvent(Base):
    """One event. Users are named by id and not by foreign key: the event outlives them.

    ``ip``, ``user_agent`` and ``personal`` are its personal part, which is
    erased with the user; ``details`` holds nothing that ever must be.
    """

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
    details: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    personal: Mapped[dict[str, Any] | None] = mapped_column(Json)

    @property
    def all_details(self) -> dict[str, Any]:
        """Those that stay and those that are erased with the user, for people who read the log."""
        return {**self.details, **(self.personal or {})}


ACTS_ON_OTHERS = AuditEvent.actor_id.is_not(None) & AuditEvent.actor_id.is_distinct_from(
    AuditEvent.subject_id
)

# Most people act on themselves alone, and for those the index on the subject does.
Index(
    "ix_audit_events_actor_id_id",
    AuditEvent.actor_id,
    AuditEvent.id,
    postgresql_where=ACTS_ON_OTHERS,
    sqlite_where=ACTS_ON_OTHERS,
)

# Written out, as a condition of an index must be.
IS_PRUNING = AuditEvent.event == literal(Event.AUDIT_PRUNED.value, String, literal_execute=True)

# There are few, and looking for them must not read the log.
Index(
    "ix_audit_events_prunings",
    AuditEvent.id,
    postgresql_where=IS_PRUNING,
    sqlite_where=IS_PRUNING,
)
