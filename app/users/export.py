"""Everything that is held about a user, for them to take along."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement

from app.access import permissions
from app.auth.email import change
from app.database import engines
from app.models import AuditEvent, OneTimeToken, OutboxMessage, Session, User


def held_about(user: User) -> dict[str, Any]:
    """Everything that is stored about a user, save what only the server can read.

    A history may be long, so lists are read page by page while somebody goes
    through them.
    """

    def rows(model: Any, of_user: ColumnElement[bool], *columns: str) -> Iterator[dict[str, Any]]:
        found = engines.pages(model, of_user)
        return ({column: getattr(row, column) for column in columns} for row in found)

    return {
        "user": user,
        "roles": [role.name for role in permissions.held_by(user.id)],
        "sessions": rows(
            Session,
            Session.user_id == user.id,
            *("id", "ip", "user_agent", "created_at", "refreshed_at", "expires_at", "ended_at"),
        ),
        "one_time_tokens": rows(
            OneTimeToken,
            OneTimeToken.user_id == user.id,
            *("purpose", "email", "replaced_email", "created_at", "expires_at", "used_at"),
        ),
        "mails": rows(
            OutboxMessage,
            # What became of a mail to a new address would tell whether somebody has it.
            (OutboxMessage.user_id == user.id)
            & OutboxMessage.message.not_in(change.TO_NEW_ADDRESS),
            *("recipient", "message", "locale", "created_at", "delivered_at"),
        ),
        "audit_events": engines.pages(AuditEvent, AuditEvent.subject_id == user.id),
    }
