"""Refreshing a session: its tokens are replaced, and copies of old tokens are detected."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Integer, bindparam, exists, func, select, update
from sqlalchemy.orm.attributes import set_committed_value

from app import audit, clock
from app.access import cookies, guards
from app.access.live_session import NOW, PUT_OFF, is_live
from app.audit.vocabulary import Event
from app.auth.notices import notify
from app.auth.sessions.sessions import end_where, new_cookie
from app.database.prepared import Prepared
from app.database.rows import lock
from app.database.types import UTCDateTime
from app.errors import InvalidRefreshToken, RefreshTokenReused, SessionEnded
from app.extensions import db
from app.mail import messages
from app.models import Session, User
from app.security import tokens
from app.security.tokens import RefreshClaims, TokenPair
from config import settings

_IS_THIS = Session.id == bindparam("session")
_IS_OF_SUBJECT = Session.user_id == bindparam("subject")
# No token belongs to a session that a cookie holds.
_MAY_GO_ON = (
    is_live(NOW)
    & Session.cookie_hash.is_(None)
    & exists().where(User.id == Session.user_id, User.is_active)
)

# Checking and replacing are one UPDATE: when several requests race with the same token, the
# database lets one of them find a row to change.
ROTATION = Prepared(
    update(Session)
    .where(_IS_THIS, _IS_OF_SUBJECT, _MAY_GO_ON)
    .where(Session.refresh_jti == bindparam("presented"))
    .values(
        previous_jti=Session.refresh_jti,
        refresh_jti=bindparam("successor"),
        refreshed_at=NOW,
        rotated_at=NOW,
        expires_at=PUT_OFF,
    )
    .returning(Session),
    Session,
)

SESSION_AND_USER = Prepared(
    select(Session, User).join(User, Session.user_id == User.id).where(_IS_THIS, _IS_OF_SUBJECT),
    Session,
    User,
)

# When the current token replaced the one before. Rows of an earlier release do not say it.
ROTATED_AT = func.coalesce(Session.rotated_at, Session.refreshed_at, type_=UTCDateTime)
LATE_RETRY = Prepared(
    update(Session)
    .where(_IS_THIS, _IS_OF_SUBJECT, _MAY_GO_ON)
    .where(Session.previous_jti == bindparam("presented"))
    # This is the successor that is replaced: of several late retries at once, only one finds it.
    .where(Session.refresh_jti == bindparam("unused"))
    .where(bindparam("since", type_=UTCDateTime) < ROTATED_AT)
    .values(
        refresh_jti=bindparam("successor"),
        refreshed_at=NOW,
        rotated_at=ROTATED_AT,
        expires_at=PUT_OFF,
    )
    .returning(Session),
    Session,
)

# The request that finds a row records the retry, so it is recorded once for each successor.
RETRIED = Prepared(
    update(Session)
    .where(_IS_THIS, is_live(NOW))
    .where(Session.refresh_jti == bindparam("successor"))
    .where(Session.retried_jti.is_distinct_from(bindparam("successor")))
    .values(retried_jti=bindparam("successor"))
    .returning(Session.id)
)

RENEWAL = Prepared(
    update(Session)
    .where(_IS_THIS, is_live(NOW))
    .where(Session.generation == bindparam("present", type_=Integer))
    .where(Session.cookie_hash.is_not_distinct_from(bindparam("present_cookie")))
    .values(
        generation=Session.generation + 1,
        cookie_hash=bindparam("next_cookie"),
        authenticated_at=bindparam("authenticated_at", type_=UTCDateTime),
        refresh_jti=bindparam("successor"),
        previous_jti=None,
        retried_jti=None,
        rotated_at=None,
        refreshed_at=NOW,
        expires_at=PUT_OFF,
    )
    .returning(Session),
    Session,
)


def refresh(refresh_token: str) -> TokenPair:
    """Swap a refresh token for a new pair. Commits.

    Each refresh token works once. The token that was superseded last may be
    presented again, because an answer may get lost and two tabs may refresh
    at once. For a few seconds it gets the same successor again. After that,
    and for some hours, it gets a new successor in place of one that nobody
    has used. Any older token was copied. Nothing tells the thief's copy from
    the owner's, so the session ends for both. Raises ``InvalidRefreshToken``
    or ``RefreshTokenReused``.
    """
    claims = tokens.read_refresh_token(refresh_token)
    return tokens.pair_for(_rotate(claims) or _successor(claims))


def renew(session: Session, *, is_fresh: bool) -> Session:
    """Begin a new generation of tokens. All earlier tokens of the session stop working.

    A cookie gets a new secret instead, and is fresh again if ``is_fresh`` says
    that the user gave a full proof just now. The caller commits. Raises
    ``SessionEnded`` if the session is over, or if another request has renewed it.
    """
    now = clock.now()
    idle_limit = now + idle_time(session)
    next_cookie = new_cookie(session, expires_at=min(session.max_expires_at, idle_limit))
    renewed = RENEWAL.run(
        session=session.id,
        present=session.generation,
        present_cookie=session.cookie_hash,
        next_cookie=next_cookie,
        authenticated_at=now if is_fresh and next_cookie else session.authenticated_at,
        successor=uuid4(),
        now=now,
        idle_limit=idle_limit,
    )
    if not renewed:
        db.session.rollback()
        raise SessionEnded
    if next_cookie:
        guards.go_on_as(renewed[0], session.user)
    return renewed[0]


def idle_time(session: Session) -> timedelta:
    if session.cookie_hash is None:
        return settings.refresh_token_lifetime
    return cookies.idle_time(is_remembered=session.is_remembered)


def _rotate(claims: RefreshClaims) -> Session | None:
    """Replace the current token. Returns ``None`` if the token is not current, or not live."""
    now = clock.now()
    rotated = ROTATION.run_alone(
        session=claims.session_id,
        subject=claims.user_id,
        presented=claims.jti,
        successor=uuid4(),
        now=now,
        idle_limit=now + settings.refresh_token_lifetime,
    )
    return rotated[0] if rotated else None


def _successor(claims: RefreshClaims) -> Session:
    """The session of a token that is not current, if it is the one before."""
    while True:
        session = _session_of(claims)
        if session.previous_jti != claims.jti:
            break
        if _is_within_retry_window(session):
            _record_retry(session)
            return session
        if not _is_in_time(session):
            break
        retried = _retry_late(claims, unused=session.refresh_jti)
        if retried:
            return retried
        # Another request was faster, so the session is read again.
    _end_for_reuse(claims, session)
    raise RefreshTokenReused


def _session_of(claims: RefreshClaims) -> Session:
    """The live session of a genuine token, with its user.

    Raises ``InvalidRefreshToken`` if the token is refused without ending anything.
    """
    found = SESSION_AND_USER.run_alone(session=claims.session_id, subject=claims.user_id)
    if not found:
        raise InvalidRefreshToken
    [(session, user)] = found
    set_committed_value(session, "user", user)
    if not session.is_live or not user.is_active or session.kind == "cookie":
        raise InvalidRefreshToken
    if session.generation != claims.generation:
        # The token is from before a change of the password, which ended all its copies already.
        raise InvalidRefreshToken
    if session.refresh_jti == claims.jti:
        # The token is current but was not rotated, because its user may not log in any more.
        raise InvalidRefreshToken
    return session


def _is_within_retry_window(session: Session) -> bool:
    window = settings.refresh_retry_window
    # A window of 0 lets nothing through, not even where two hosts' clocks differ.
    return bool(window) and clock.now() < session.refreshed_at + window


def _is_in_time(session: Session) -> bool:
    """Whether the previous token may still be retried. The UPDATE checks it again."""
    hours = settings.refresh_late_retry
    # The time counts from the first rotation, so that a late retry does not extend it.
    rotated_at = session.rotated_at or session.refreshed_at
    return bool(hours) and clock.now() < rotated_at + hours


def _record_retry(session: Session) -> None:
    """Record that the successor was given out again, unless that is recorded. Commits.

    It is the only trace of a thief who copies a token and uses it within the window.
    """
    if session.retried_jti == session.refresh_jti:
        return
    if RETRIED.run(session=session.id, successor=session.refresh_jti, now=clock.now()):
        _record(Event.REFRESH_RETRIED, session.user_id, session.id)
    db.session.commit()


def _retry_late(claims: RefreshClaims, *, unused: UUID) -> Session | None:
    """Replace the unused successor. Commits. Returns ``None`` if it is not there any more."""
    now = clock.now()
    retried = LATE_RETRY.run(
        session=claims.session_id,
        subject=claims.user_id,
        presented=claims.jti,
        unused=unused,
        successor=uuid4(),
        since=now - settings.refresh_late_retry,
        now=now,
        idle_limit=now + settings.refresh_token_lifetime,
    )
    if retried:
        _record(Event.REFRESH_RETRIED_LATE, claims.user_id, claims.session_id)
    db.session.commit()
    return retried[0] if retried else None


def _end_for_reuse(claims: RefreshClaims, session: Session) -> None:
    """End the session of a copied token. Commits, so that the refusal does not undo it."""
    # A request of the thief may hold the user at this moment. This waits until it is over.
    lock(User, User.id == session.user_id)
    if end_where(Session.id == session.id, Session.generation == claims.generation):
        kind = "after_window" if session.previous_jti == claims.jti else "older"
        _record(Event.REFRESH_TOKEN_REUSED, session.user_id, session.id, kind=kind)
        notify(messages.refresh_token_reused, session.user)
    db.session.commit()


def _record(event: Event, user_id: int, session_id: UUID, **details: Any) -> None:
    # It may have been the owner or a thief, so the event does not name an actor.
    audit.record(event, subject_id=user_id, session_id=str(session_id), **details)
