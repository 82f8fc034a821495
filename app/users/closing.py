"""Leaving: what is held about a person, handed over and erased."""

from datetime import datetime

from sqlalchemy import ColumnElement, and_, delete, select

from app import clock
from app.audit import erasing, recording
from app.audit.vocabulary import Event
from app.auth.login import throttle
from app.auth.login.authentication import check_password
from app.auth.notices import notify
from app.auth.sessions import sessions
from app.extensions import db
from app.mail import messages
from app.models import OutboxMessage, Session, User
from app.models.user import NO_DOMAIN
from app.security import one_time_tokens
from app.users import authority
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
    recording.record(
        Event.DELETION_ASKED,
        subject_id=user.id,
        actor_id=user.id,
        due_at=due_at.isoformat(),
        sessions_ended=ended,
    )
    db.session.commit()
    return due_at


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
    here = recording.circumstances()
    from_nowhere = here._replace(ip=None, user_agent=None) if here.request_id else None
    for row in erased:
        if reason == "deleted":
            recording.record(
                Event.USER_DELETED, subject_id=row.id, actor_id=actor.user_id if actor else None
            )
        recording.record(Event.USER_ERASED, subject_id=row.id, reason=reason, under=from_nowhere)
    db.session.commit()
    return len(erased)
