"""The session and the user of a token, in one statement."""

from typing import Any
from uuid import UUID

from flask import g
from sqlalchemy import bindparam, select
from sqlalchemy.orm.attributes import set_committed_value

from app.access import levels
from app.access.attachment import attached
from app.database.prepared import Prepared
from app.models import Session, User
from app.security import tokens

# Every request with a token runs it.
SESSION_AND_USER = Prepared(
    select(Session, User)
    .join(User, Session.user_id == User.id)
    .where(Session.id == bindparam("session_id")),
    Session,
    User,
)


def load_attached_user(_header: dict[str, Any], claims: dict[str, Any]) -> User | None:
    """For ``jwt_required()``. People expect that its ``current_user`` is in ``db.session``.

    Raises an error where the settings demand a second factor of the user, as ``signed_in`` does.
    """
    user = load_user_of_live_session({}, claims)
    if user is None:
        return None
    levels.refuse_below_demand(g.session)
    return attached(user)


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
    if session.generation != tokens.generation_of(claims):
        # The token is from before a change of the password.
        return None
    g.session = session
    return user
