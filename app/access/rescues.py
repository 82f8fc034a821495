"""Accounts that their owner has rescued, and that have no new password yet.

"This wasn't me" and the undoing of a change of address remove the password and
end all sessions. A passkey or an identity that is older than a week stays a way
in, and it may be the thief's.
"""

from sqlalchemy import select
from sqlalchemy.orm import Session as DatabaseSession

from app.audit.vocabulary import Event
from app.database.engines import reader
from app.errors import AppError
from app.models import AuditEvent, User

RESCUES = (Event.ACCOUNT_REPUDIATED.value, Event.EMAIL_CHANGE_UNDONE.value)


class PasswordResetRequired(AppError):
    """The owner has rescued the account, and has not set a new password since."""

    status, code = 403, "password_reset_required"
    detail = "Set a new password first, with the link that we mailed to you."


def refuse_before_new_password(user: User) -> None:
    """Stop what could take a rescued account away before the mailed link sets a new password.

    Raises ``PasswordResetRequired``.
    """
    if user.hashed_password is not None:
        return
    # An account that never had a password has no such event.
    latest = (
        select(AuditEvent.event)
        .where(AuditEvent.subject_id == user.id)
        .where(AuditEvent.event.in_([*RESCUES, Event.PASSWORD_RESET.value]))
        .order_by(AuditEvent.id.desc())
        .limit(1)
    )
    # It has its own connection, which is back in the pool before the view goes on.
    with DatabaseSession(reader()) as database:
        if database.scalar(latest) in RESCUES:
            raise PasswordResetRequired
