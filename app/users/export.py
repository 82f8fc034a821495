"""Everything that is stored about a user, as a download for them."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement

from app import features
from app.access import permissions
from app.auth.email import change
from app.database import engines
from app.models import AuditEvent, OneTimeToken, OutboxMessage, Session, User


def everything_about(user: User) -> dict[str, Any]:
    """Everything that is stored about a user, except what only the server can read.

    The features add their parts.

    A history may be long, so each list is read page by page while the caller
    goes through it.
    """

    def rows(model: Any, of_user: ColumnElement[bool], *columns: str) -> Iterator[dict[str, Any]]:
        found = engines.pages(model, of_user)
        return ({column: getattr(row, column) for column in columns} for row in found)

    return {
        "user": user,
        "roles": [role.name for role in permissions.roles_of(user.id)],
        "sessions": rows(
            Session,
            Session.user_id == user.id,
            *("id", "ip", "user_agent", "created_at", "refreshed_at", "expires_at", "ended_at"),
            *("aal", "amr", "signed_in_by", "authenticated_at", "kind", "is_remembered"),
        ),
        "one_time_tokens": rows(
            OneTimeToken,
            OneTimeToken.user_id == user.id,
            *("purpose", "email", "replaced_email", "created_at", "expires_at", "used_at"),
        ),
        "mails": rows(
            OutboxMessage,
            # The state of a mail to a new address would tell whether an account has that address.
            (OutboxMessage.user_id == user.id)
            & OutboxMessage.message.not_in(change.TO_NEW_ADDRESS),
            *("recipient", "message", "locale", "created_at", "delivered_at"),
        ),
        "audit_events": engines.pages(AuditEvent, AuditEvent.subject_id == user.id),
        **{
            part.key: part.held_about(user)
            for feature in features.active()
            for part in feature.exported
        },
    }
