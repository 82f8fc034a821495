"""The session and the user of a token, in one statement."""

from typing import Any
from uuid import UUID

from flask import g
from sqlalchemy import bindparam, select

from app.access.attachment import attached
from app.database.prepared import Prepared
from app.database.rows import from_row
from app.models import Session, User
from app.security import tokens

# The columns that requests use. They are built once, because this runs on every request.
OF_SESSION = [
    Session.id,
    Session.user_id,
    Session.generation,
    Session.expires_at,
    Session.ended_at,
]
OF_USER = list(User.__table__.columns)
SESSION_AND_USER = Prepared(
    select(*OF_SESSION, *OF_USER)
    .join(User, Session.user_id == User.id)
    .where(Session.id == bindparam("session_id"))
)


def load_attached_user(_header: dict[str, Any], claims: dict[str, Any]) -> User | None:
    """For ``jwt_required()``. People expect that its ``current_user`` is in ``db.session``."""
    user = load_user_of_live_session({}, claims)
    return attached(user) if user else None


def load_user_of_live_session(_header: dict[str, Any], claims: dict[str, Any]) -> User | None:
    row = SESSION_AND_USER.row(session_id=UUID(claims["sid"]))
    # The connection is back in the pool before the view begins; the objects are detached.
    if row is None:
        return None
    user = from_row(User, OF_USER, row[len(OF_SESSION) :])
    session = from_row(Session, OF_SESSION, row[: len(OF_SESSION)], user=user)
    if not session.is_live or not session.user.is_active:
        return None
    if str(session.user_id) != claims["sub"]:
        return None
    if session.generation != tokens.generation_of(claims):
        # The token is from before a change of the password.
        return None
    g.session = session
    return session.user
