"""Starting and ending sessions."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, func, select

from app import audit, clock
from app.access import cookies, guards, keys
from app.access.live_session import is_live
from app.access.proof import Proof
from app.audit.vocabulary import Event
from app.auth import credentials
from app.database.rows import change, delete_batch, lock
from app.errors import InvalidRefreshToken, NotFound, SessionEnded
from app.extensions import db
from app.features.credentials import CredentialChange
from app.models import Session, User
from app.security import one_time_tokens, tokens
from app.security.one_time_tokens import Purpose


class Scope(StrEnum):
    """Which sessions a logout ends: this one, the user's others, or all."""

    LOCAL = "local"
    OTHERS = "others"
    GLOBAL = "global"


def lock_user(session: Session) -> User:
    """Lock the session's user until the caller commits, and read the user again.

    Use it for a change that must not happen after a reset, a "not me" or a
    deactivation at the same moment: all of these write to the user first. The
    session shows every change of the password, because each change ends it or
    renews it. The stored hash does not show it: a login on another device may
    replace the hash with a newer kind while the password stays the same.
    Raises ``SessionEnded``.
    """
    user = lock(User, User.id == session.user_id, User.is_active)
    if user is None:
        db.session.rollback()
        raise SessionEnded
    refuse_if_over(session)
    return user


def refuse_if_over(session: Session) -> None:
    """Stop a write whose session was ended or renewed since the request began.

    Call it when the session's user is locked. A request that rescues or stops
    an account writes to the user first and ends the sessions next, so a write
    that waited for the lock sees here that the session has ended. It is a
    separate statement, because a condition in the statement that waits would
    still see the old state of the sessions. Rolls back, and raises
    ``SessionEnded``.
    """
    if session.kind == "key":
        still_lives = keys.lives(session)
    else:
        live = exists().where(_is_same(session), is_live(clock.now()))
        still_lives = bool(db.session.scalar(live.select()))
    if not still_lives:
        db.session.rollback()
        raise SessionEnded


def _is_same(session: Session) -> ColumnElement[bool]:
    """The session, unless a change of the password renewed it."""
    return and_(Session.id == session.id, Session.generation == session.generation)


def new_cookie(session: Session, *, expires_at: datetime) -> str | None:
    """The digest of a new secret for the session, which the answer puts into the cookie.

    ``None`` if no cookie holds the session. A session whose rights rise gets a
    new secret, so that nobody who has the old one rises with it (session fixation).
    """
    if session.cookie_hash is None:
        return None
    return cookies.new_secret(is_remembered=session.is_remembered, expires_at=expires_at)


def _lives(session_id: UUID) -> bool:
    """Whether the session is live, no matter which of its tokens are valid."""
    return bool(
        db.session.scalar(exists().where(Session.id == session_id, is_live(clock.now())).select())
    )


def live_sessions(user: User) -> Sequence[Session]:
    """The user's live sessions. The session that was refreshed last comes first."""
    return db.session.scalars(
        select(Session)
        .where(Session.user_id == user.id, is_live(clock.now()))
        .order_by(Session.refreshed_at.desc(), Session.id)
    ).all()


def confirm(session: Session, proof: Proof) -> Session:
    """Write down that the user of the session has given another proof. The caller commits.

    It may raise the level of the session and never lowers it. A cookie gets a
    new secret. The caller has locked the user. Raises ``SessionEnded``, also if
    another request was faster and has given the cookie a new secret.
    """
    has_same_cookie = Session.cookie_hash.is_not_distinct_from(session.cookie_hash)
    confirmed = lock(Session, _is_same(session), has_same_cookie, is_live(clock.now()))
    if confirmed is None:
        db.session.rollback()
        raise SessionEnded
    confirmed.aal = max(confirmed.aal, proof.aal)
    confirmed.amr = " ".join(dict.fromkeys([*confirmed.amr.split(), *proof.amr]))
    confirmed.authenticated_at = clock.now()
    confirmed.cookie_hash = new_cookie(confirmed, expires_at=confirmed.expires_at)
    if confirmed.cookie_hash is not None:
        guards.go_on_as(confirmed, session.user)
    return confirmed


def end(session_id: UUID, generation: int) -> None:
    """Sign a device out with one of its own tokens. Commits.

    A session that has ended already stays as it is. Raises
    ``InvalidRefreshToken`` for a token from before a change of the password,
    or for a session that a cookie holds: such a token does not end the session.
    """
    has_tokens = Session.cookie_hash.is_(None)
    ended = end_where(Session.id == session_id, Session.generation == generation, has_tokens)
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
    # A request of the device may hold the user at this moment. This waits until it is over.
    user = lock_user(session)
    mine = and_(Session.user_id == user.id, is_live(clock.now()))
    if not end_where(Session.id == session_id, mine):
        db.session.rollback()
        raise NotFound
    audit.record(
        Event.SESSION_ENDED, subject_id=user.id, actor_id=user.id, session_id=str(session_id)
    )
    db.session.commit()


def end_others(session: Session) -> int:
    """Sign out all other devices of the session's user. Returns how many.

    The caller commits.
    """
    return len(end_where(Session.user_id == session.user_id, Session.id != session.id))


def end_all(user_id: int) -> int:
    """Sign out all devices of a user. Returns how many. The caller commits.

    To keep out logins at the same moment as well, the caller writes to the
    user first; see ``start``.
    """
    return len(end_where(Session.user_id == user_id))


def end_batch(limit: int, *, begun_by: datetime) -> int:
    """End up to ``limit`` sessions of all users. Returns how many. The caller commits.

    It skips the rows that another transaction holds, so that no request
    waits for the whole batch. ``count_live`` says whether any are left.
    """
    living = select(Session.id).where(is_live(clock.now()), Session.created_at <= begun_by)
    found = db.session.scalars(living.limit(limit).with_for_update(skip_locked=True)).all()
    return len(end_where(Session.id.in_(found)))


def end_where(*which: ColumnElement[bool]) -> Sequence[int]:
    """End those of the sessions that are open. Returns the id of each user. The caller commits."""
    end = (
        change(Session)
        .where(*which, Session.ended_at.is_(None))
        .values(ended_at=clock.now())
        .returning(Session.user_id)
    )
    return db.session.scalars(end).all()


def count_live(*, begun_by: datetime) -> int:
    """How many sessions of all users that began by then are still live."""
    living = select(func.count()).where(is_live(clock.now()), Session.created_at <= begun_by)
    return db.session.scalar(living) or 0


def log_out(session: Session, scope: Scope) -> None:
    """End this session, or the user's others, or all of them. Commits.

    An owner who ends all of them does not trust any device any more, so this
    also stops a change of address that waits. Raises ``SessionEnded`` if a
    change of the password has renewed this session in the meantime, because
    then the token that was sent ends nothing. With the other scopes it also
    raises it if this session was ended in the meantime.
    """
    if scope is Scope.LOCAL:
        ended = len(end_where(_is_same(session)))
        if not ended and _lives(session.id):
            db.session.rollback()
            raise SessionEnded
    else:
        # Every request that ends several sessions of a user locks the user first. Otherwise two
        # requests that each hold a session that the other needs would deadlock.
        user = lock(User, User.id == session.user_id)
        refuse_if_over(session)
        if scope is Scope.GLOBAL and user is not None:
            one_time_tokens.revoke(user.id, Purpose.EMAIL_CHANGE)
            credentials.changed(user, CredentialChange.LOGGED_OUT_EVERYWHERE)
        ended = end_others(session) if scope is Scope.OTHERS else end_all(session.user_id)
    if ended:
        _record_logout(session.user_id, session.id, scope, sessions_ended=ended)
    db.session.commit()


def prune(limit: int) -> int:
    """Delete up to ``limit`` sessions that cannot be used any more. Returns how many. Commits.

    When a session has reached its greatest age, all its tokens have expired.
    An expired token is refused without a look at its session, so a deleted
    session could not help to detect a thief any more.
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
