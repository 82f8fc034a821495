"""Leaving: what is held about a person, handed over and erased."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, select

from app import audit, clock, database
from app.audit_log import erasing
from app.auth import email_change, sessions, throttle
from app.auth.authentication import check_password
from app.auth.notices import notify
from app.extensions import db
from app.mail import messages
from app.models import AuditEvent, OneTimeToken, OutboxMessage, Session, User
from app.models.audit_event import Event
from app.models.user import NO_DOMAIN
from app.security import one_time_tokens
from app.users import authority, roles
from config import settings


def close(session: Session, password: str) -> datetime:
    """Sign a user out everywhere and have the account erased when the grace is over. Commits.

    Returns when that is. Logging in before then keeps the account. Raises
    ``WrongPassword``, ``LastSuperuser``, or ``SessionEnded``.
    """
    check_password(session.user, password)
    authority.refuse_to_lose(session.user_id)
    user = sessions.hold(session)
    due_at = clock.now() + settings.account_deletion_grace
    user.deletion_due_at, user.updated_at = due_at, clock.now()
    ended = sessions.end_all(user.id)
    one_time_tokens.revoke_all(user)
    notify(messages.deletion_asked, user, due=f"{due_at:%Y-%m-%d}")
    audit.record(
        Event.DELETION_ASKED,
        subject_id=user.id,
        actor_id=user.id,
        due_at=due_at.isoformat(),
        sessions_ended=ended,
    )
    db.session.commit()
    return due_at


def held_about(user: User) -> dict[str, Any]:
    """Everything that is stored about a user, save what only the server can read.

    A history may be long, so lists are read page by page while somebody goes
    through them.
    """

    def rows(model: Any, of_user: ColumnElement[bool], *columns: str) -> Iterator[dict[str, Any]]:
        found = database.pages(model, of_user)
        return ({column: getattr(row, column) for column in columns} for row in found)

    return {
        "user": user,
        "roles": [role.name for role in roles.held_by(user.id)],
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
            & OutboxMessage.message.not_in(email_change.TO_NEW_ADDRESS),
            *("recipient", "message", "locale", "created_at", "delivered_at"),
        ),
        "audit_events": database.pages(AuditEvent, AuditEvent.subject_id == user.id),
    }


def erase_due(limit: int) -> int:
    """Erase up to ``limit`` people whose grace is over, and say how many. Commits.

    Sessions, tokens, mails and counted failures go with the user. Audit events stay, with the
    number of the user for a pseudonym and without address and device.
    """
    return _erase(User.deletion_due_at <= clock.now(), limit, reason="closed")


def erase(user: User, *, actor: Session | None) -> None:
    """Erase somebody at once, as the actor wants it. Commits."""
    _erase(User.id == user.id, 1, reason="deleted", actor=actor)


def erase_unverified(limit: int) -> int:
    """Erase up to ``limit`` accounts whose address nobody confirmed in time. Commits.

    An account that lost its address to the former owner is kept: it may have
    been confirmed before.
    """
    if not settings.unverified_account_lifetime:
        return 0
    oldest = clock.now() - settings.unverified_account_lifetime
    unverified = and_(
        User.email_verified.is_(False),
        User.is_superuser.is_(False),
        User.email.not_like(f"%@{NO_DOMAIN}"),
    )
    return _erase(and_(unverified, User.created_at < oldest), limit, reason="unconfirmed")


def _erase(
    which: ColumnElement[bool], limit: int, *, reason: str, actor: Session | None = None
) -> int:
    # Who logs in at this moment keeps the account, or comes too late: the condition is asked
    # again under the lock that deleting takes.
    found = select(User.id).where(which).limit(limit).with_for_update(skip_locked=True)
    erasure = (
        delete(User)
        .where(User.id.in_(db.session.scalars(found).all()), which)
        .returning(User)
        .execution_options(synchronize_session=False)
    )
    erased = db.session.scalars(erasure).all()
    for person in erased:
        throttle.lift(person)
    # Requests for a mail name the address alone.
    requests = (
        delete(OutboxMessage)
        .where(OutboxMessage.recipient.in_([row.email for row in erased]))
        .execution_options(synchronize_session=False)
    )
    db.session.execute(requests)
    erasing.forget([row.id for row in erased])
    # Recorded after the forgetting: from where an administrator did it belongs to the
    # administrator. The erasure itself is about somebody who cannot be forgotten once more.
    here = audit.circumstances()
    from_nowhere = here._replace(ip=None, user_agent=None) if here.request_id else None
    for row in erased:
        if reason == "deleted":
            audit.record(
                Event.USER_DELETED, subject_id=row.id, actor_id=actor.user_id if actor else None
            )
        audit.record(Event.USER_ERASED, subject_id=row.id, reason=reason, under=from_nowhere)
    db.session.commit()
    return len(erased)
