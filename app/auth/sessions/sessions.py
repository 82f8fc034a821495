"""Starting and ending sessions."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    and_,
    bindparam,
    exists,
    func,
    select,
    update,
)

from app import audit, clock
from app.audit.vocabulary import Event
from app.database import rows
from app.database.rows import delete_batch
from app.database.types import UTCDateTime
from app.errors import InvalidRefreshToken, NotFound, SessionEnded
from app.extensions import db
from app.models import Session, User
from app.security import one_time_tokens, tokens
from app.security.one_time_tokens import Purpose

NOW = bindparam("now", type_=UTCDateTime)
# When a session that is refreshed now ends unless it is refreshed again.
IDLE_LIMIT = bindparam("idle_limit", type_=UTCDateTime)


def is_live(now: datetime | BindParameter[datetime]) -> ColumnElement[bool]:
    return and_(Session.ended_at.is_(None), Session.expires_at > now)


class Scope(StrEnum):
    """Which sessions a logout ends: this one, the user's others, or all."""

    LOCAL = "local"
    OTHERS = "others"
    GLOBAL = "global"


def hold(session: Session) -> User:
    """Take a lock on the session's user, until the caller commits, and read them anew.

    For what must not happen behind the back of a reset, a "not me" or a
    deactivation at the same moment: those write to the user first. The
    session tells of every change of the password, because each one ends it or
    renews it. The stored hash does not: a login on another device replaces it
    by one of today's kind while the password stays. Raises ``SessionEnded``.
    """
    user = rows.hold(User, User.id == session.user_id, User.is_active)
    if user is None:
        db.session.rollback()
        raise SessionEnded
    refuse_if_over(session)
    return user


def refuse_if_over(session: Session) -> None:
    """Stop a write whose session was ended or renewed since the request began.

    Call it when the session's user is locked. Whoever rescues or stops an
    account writes to the user first and ends the sessions next, so a write
    that waited for the lock sees here what they did. It is a statement of its
    own, because a condition in the statement that waits would still see
    the sessions of before. Rolls back, and raises ``SessionEnded``.
    """
    if not db.session.scalar(exists().where(_is_same(session), is_live(clock.now())).select()):
        db.session.rollback()
        raise SessionEnded


def _is_same(session: Session) -> ColumnElement[bool]:
    """The session, unless a change of the password renewed it."""
    return and_(Session.id == session.id, Session.generation == session.generation)


def _lives(session_id: UUID) -> bool:
    """Whether the session lives, whichever of its tokens are good."""
    return bool(
        db.session.scalar(exists().where(Session.id == session_id, is_live(clock.now())).select())
    )


def living(user: User) -> Sequence[Session]:
    """The user's sessions, the one refreshed last first."""
    return db.session.scalars(
        select(Session)
        .where(Session.user_id == user.id, is_live(clock.now()))
        .order_by(Session.refreshed_at.desc(), Session.id)
    ).all()


def end(session_id: UUID, generation: int) -> None:
    """Sign a device out, by a token of its own. Commits. What is over already stays as it is.

    Raises ``InvalidRefreshToken`` for a token from before a change of the
    password, whose session goes on: such a token ends nothing.
    """
    ended = end_where(Session.id == session_id, Session.generation == generation)
    for user_id in ended:
        _record_logout(user_id, session_id, Scope.LOCAL, sessions_ended=1)
    if not ended and _lives(session_id):
        db.session.rollback()
        raise InvalidRefreshToken
    db.session.commit()


def end_one_of(session: Session, session_id: UUID) -> None:
    """Sign out one of the devices of the session's user. Commits.

    Raises ``NotFound`` if the user has no such device, or ``SessionEnded``.
    """
    # What the device is doing at this moment holds the user, and is waited for.
    user = hold(session)
    mine = and_(Session.user_id == user.id, is_live(clock.now()))
    if not end_where(Session.id == session_id, mine):
        db.session.rollback()
        raise NotFound
    audit.record(
        Event.SESSION_ENDED, subject_id=user.id, actor_id=user.id, session_id=str(session_id)
    )
    db.session.commit()


def end_others(session: Session) -> int:
    """Sign out all devices of the session's user but this one, and say how many that were.

    The caller commits.
    """
    return len(end_where(Session.user_id == session.user_id, Session.id != session.id))


def end_all(user_id: int) -> int:
    """Sign all of a user's devices out, and say how many that were. The caller commits.

    Who also means to keep logins at the same moment out has written to the
    user first; see ``start``.
    """
    return len(end_where(Session.user_id == user_id))


def end_batch(limit: int, *, begun_by: datetime) -> int:
    """Sign out up to ``limit`` devices of anybody, and say how many. The caller commits.

    Passes over the rows that another transaction holds, so that no request
    waits for the whole batch. ``number_living`` says whether any are left.
    """
    living = select(Session.id).where(is_live(clock.now()), Session.created_at <= begun_by)
    found = db.session.scalars(living.limit(limit).with_for_update(skip_locked=True)).all()
    return len(end_where(Session.id.in_(found)))


def end_where(*which: ColumnElement[bool]) -> Sequence[int]:
    """End the sessions that live among these, and name the user of each. The caller commits."""
    end = (
        update(Session)
        .where(*which, Session.ended_at.is_(None))
        .values(ended_at=clock.now())
        .returning(Session.user_id)
        .execution_options(synchronize_session=False)
    )
    return db.session.scalars(end).all()


def number_living(*, begun_by: datetime) -> int:
    """How many sessions of anybody that had begun by then are still live."""
    living = select(func.count()).where(is_live(clock.now()), Session.created_at <= begun_by)
    return db.session.scalar(living) or 0


def log_out(session: Session, scope: Scope) -> None:
    """End this session, or the user's others, or all of them. Commits.

    All of them means that the owner trusts no device any more: a change of
    address that waits is stopped, too. Raises ``SessionEnded`` where a change
    of the password renewed this session meanwhile, as the token that was sent
    ends nothing then. The same goes for the other scopes where this session was
    ended meanwhile.
    """
    if scope is Scope.LOCAL:
        ended = len(end_where(_is_same(session)))
        if not ended and _lives(session.id):
            db.session.rollback()
            raise SessionEnded
    else:
        # Whoever ends several sessions of a user takes the user first: two that each held a
        # session of the other's would deadlock.
        rows.hold(User, User.id == session.user_id)
        refuse_if_over(session)
        if scope is Scope.GLOBAL:
            one_time_tokens.revoke(session.user_id, Purpose.EMAIL_CHANGE)
        ended = end_others(session) if scope is Scope.OTHERS else end_all(session.user_id)
    if ended:
        _record_logout(session.user_id, session.id, scope, sessions_ended=ended)
    db.session.commit()


def prune(limit: int) -> int:
    """Delete up to ``limit`` sessions that nothing can revive, and say how many. Commits.

    Past its greatest age every token of a session has expired, and an expired
    one is refused without a look at its session, so nothing is forgotten that
    would still tell a thief.
    """
    past = clock.now() - tokens.CLOCK_SKEW
    end = Session.max_expires_at
    return delete_batch(Session, end < past, oldest=end, limit=limit)


def _record_logout(user_id: int, session_id: UUID, scope: Scope, *, sessions_ended: int) -> None:
    audit.record(
        Event.LOGGED_OUT,
        subject_id=user_id,
        actor_id=user_id,
        session_id=str(session_id),
        scope=scope.value,
        sessions_ended=sessions_ended,
    )
