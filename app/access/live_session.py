"""The session and the user of a token or of a cookie, in one statement."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from flask import g
from sqlalchemy import BindParameter, ColumnElement, and_, bindparam, case, select, update
from sqlalchemy.orm.attributes import set_committed_value

from app import clock
from app.access import cookies, levels
from app.access.attachment import attached
from app.database.prepared import Prepared
from app.database.types import UTCDateTime
from app.errors import NotAuthenticated, SessionEnded
from app.models import Session, User
from app.security import random_tokens, tokens

NOW = bindparam("now", type_=UTCDateTime)
# When a session that is used now ends unless it is used again. It cannot outlive its greatest age.
IDLE_LIMIT = bindparam("idle_limit", type_=UTCDateTime)
PUT_OFF = case((Session.max_expires_at < IDLE_LIMIT, Session.max_expires_at), else_=IDLE_LIMIT)


def is_live(now: datetime | BindParameter[datetime]) -> ColumnElement[bool]:
    return and_(Session.ended_at.is_(None), Session.expires_at > now)


_WITH_USER = select(Session, User).join(User, Session.user_id == User.id)
# Every request with a token runs it.
SESSION_AND_USER = Prepared(_WITH_USER.where(Session.id == bindparam("session_id")), Session, User)
# Every request with a cookie runs it.
SESSION_AND_USER_OF_COOKIE = Prepared(
    _WITH_USER.where(Session.cookie_hash == bindparam("cookie_hash")), Session, User
)

# Of several requests at once, one finds the row.
RENEWAL = Prepared(
    update(Session)
    .where(Session.id == bindparam("session"), is_live(NOW))
    .where(Session.cookie_hash == bindparam("cookie_hash"))
    .where(Session.refreshed_at == bindparam("renewed_at", type_=UTCDateTime))
    .values(refreshed_at=NOW, expires_at=PUT_OFF)
    .returning(Session.expires_at)
)
# A session is renewed once in an hour, or in a tenth of its idle time where that is shorter.
RENEWED_AFTER = timedelta(hours=1)
TENTH = 10


def load_session_of_cookie(secret: str) -> Session:
    """The live session that this cookie holds.

    Raises ``NotAuthenticated`` for a secret that opens no session, or
    ``SessionEnded``.
    """
    found = SESSION_AND_USER_OF_COOKIE.run_alone(cookie_hash=random_tokens.digest(secret))
    if not found:
        raise NotAuthenticated
    [(session, user)] = found
    set_committed_value(session, "user", user)
    if not session.is_live or not user.is_active:
        raise SessionEnded
    _renew(session, secret)
    g.session = session
    return session


def _renew(session: Session, secret: str) -> None:
    """Begin the idle time of the session again, if that is due. Commits."""
    now, idle_time = clock.now(), cookies.idle_time(is_remembered=session.is_remembered)
    if now < session.refreshed_at + min(RENEWED_AFTER, idle_time / TENTH):
        return
    renewed = RENEWAL.run_alone(
        session=session.id,
        cookie_hash=session.cookie_hash,
        renewed_at=session.refreshed_at,
        now=now,
        idle_limit=now + idle_time,
    )
    for [expires_at] in renewed:
        set_committed_value(session, "refreshed_at", now)
        set_committed_value(session, "expires_at", expires_at)
        if session.is_remembered:
            cookies.keep(secret, is_remembered=True, expires_at=expires_at)


def load_attached_user(_header: dict[str, Any], claims: dict[str, Any]) -> User | None:
    """For ``jwt_required()``. People expect that its ``current_user`` is in ``db.session``.

    Raises an error where the settings demand a second factor of the user, as ``signed_in`` does.
    """
    user = load_user_of_live_session({}, claims)
    if user is None:
        return None
    levels.refuse_below_demand(g.session)
    user = attached(user)
    # Where a request is verified twice, ``db.session`` has the user of the first time. What is
    # done to the other object would not be written.
    set_committed_value(g.session, "user", user)
    return user


def load_user_of_live_session(_header: dict[str, Any], claims: dict[str, Any]) -> User | None:
    found = SESSION_AND_USER.run_alone(session_id=UUID(claims["sid"]))
    # The connection is back in the pool before the view begins; the objects are detached.
    if not found:
        return None
    [(session, user)] = found
    set_committed_value(session, "user", user)
    if not session.is_live or not user.is_active:
        return None
    if str(session.user_id) != claims["sub"]:
        return None
    if session.kind == "cookie":
        # No token was made for it.
        return None
    if session.generation != tokens.generation_of(claims):
        # The token is from before a change of the password.
        return None
    g.session = session
    return user
