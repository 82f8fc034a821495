"""Closing an account, and erasing what is stored about its owner."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, select

from app import clock, features
from app.audit import erasing, recording
from app.audit.vocabulary import Event
from app.auth import credentials
from app.auth.login import throttle
from app.auth.login.authentication import check_password
from app.auth.login.throttle import Kind
from app.auth.notices import notify
from app.auth.sessions import sessions
from app.database.rows import Expected, discard
from app.extensions import db
from app.features.credentials import CredentialChange
from app.http import client
from app.http.client import Client
from app.mail import messages
from app.models import OutboxMessage, Session, User
from app.models.user import NO_DOMAIN
from app.users import authority
from config import settings


def close(session: Session, password: str, expected: Expected | None = None) -> datetime:
    """Sign a user out everywhere, and have the account erased after the grace period. Commits.

    Returns the end of the grace period. A login before then keeps the account. Raises
    ``WrongPassword``, ``LastSuperuser``, ``SessionEnded``, or ``PreconditionFailed`` if the user
    is not as ``expected``.
    """
    check_password(session.user, password)
    return close_confirmed(session, expected)


def close_confirmed(session: Session, expected: Expected | None = None) -> datetime:
    """The same for a user who has proved in another way who they are. Commits.

    Raises ``LastSuperuser``, ``SessionEnded`` or ``PreconditionFailed``.
    """
    authority.refuse_if_last_superuser(session.user_id)
    user = sessions.lock_user(session)
    if expected:
        expected(user)
    due_at = clock.now() + settings.account_deletion_grace
    user.deletion_due_at, user.updated_at = due_at, clock.now()
    ended = sessions.end_all(user.id)
    credentials.changed(user, CredentialChange.CLOSED)
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
    """Erase up to ``limit`` users whose grace period is over. Returns how many. Commits.

    Their sessions, tokens, mails and counted failures are erased too. Their audit events stay.
    These keep the id of the user as a pseudonym, and lose the IP address and the device.
    """
    return _erase(User.deletion_due_at <= clock.now(), limit, reason="closed")


def erase(user: User, *, actor: Session | None) -> None:
    """Erase a user at once, because the actor asked for it. Commits."""
    _erase(User.id == user.id, 1, reason="deleted", actor=actor)


def erase_unverified(limit: int) -> int:
    """Erase up to ``limit`` accounts whose address nobody confirmed in time. Commits.

    It keeps an account that lost its address to the former owner, because
    that account may have been confirmed before.
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
    # Somebody may log in at this moment, which keeps the account. So the DELETE checks the
    # condition once more, under its own lock.
    found = select(User.id).where(which).limit(limit).with_for_update(skip_locked=True)
    ids = db.session.scalars(found).all()
    has_erased = _erase_from_features(ids)
    erasure = discard(User).where(User.id.in_(ids), which).returning(User)
    erased = db.session.scalars(erasure).all()
    if has_erased and len(erased) < len(ids):
        # A login in between kept an account, on SQLite, which has no row locks. So this gives back
        # what the features erased, and begins again.
        db.session.rollback()
        return _erase(which, limit, reason=reason, actor=actor)
    for person in erased:
        throttle.clear(person, *Kind)
    # A request for a mail names only the address, not the user.
    requests = discard(OutboxMessage).where(
        OutboxMessage.recipient.in_([row.email for row in erased])
    )
    db.session.execute(requests)
    erasing.forget([row.id for row in erased])
    # These events are recorded after ``forget``, because the address and the device in
    # USER_DELETED are the administrator's, and stay. USER_ERASED is recorded without them: it is
    # about the erased user, whose events nobody will clean a second time.
    request_id = client.current().request_id
    from_nowhere = Client(request_id=request_id) if request_id else None
    for row in erased:
        if reason == "deleted":
            recording.record(
                Event.USER_DELETED, subject_id=row.id, actor_id=actor.user_id if actor else None
            )
        recording.record(Event.USER_ERASED, subject_id=row.id, reason=reason, origin=from_nowhere)
    db.session.commit()
    return len(erased)


def _erase_from_features(ids: Sequence[int]) -> bool:
    """Let the features erase these users, and say whether one has a part in that."""
    parts = [feature.erased for feature in features.active() if feature.erased]
    for erase_users in parts if ids else ():
        erase_users(ids)
    return bool(parts)
