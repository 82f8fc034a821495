"""A request with an API key, from the guard's side."""

from flask import g

from app.access import flask_jwt, levels
from app.access.key_rules import Keys
from app.access.keys import open_session
from app.access.scopes import Scope
from app.errors import NotEnoughPermissions
from app.http import client
from app.models import Session
from config import settings


def authenticate_by_key(token: str, allowed: Keys) -> Session:
    """Let the rest of the request be one of the key's owner, as far as the key may act.

    Raises ``InvalidToken``, ``TokenExpired``, ``KeyNotAllowed`` or ``NotEnoughPermissions``.
    """
    session = open_session(token, is_allowed=bool(allowed))
    if settings.mfa_required != "none":
        levels.refuse_below_demand(session)
    g.session = session
    # The audit log names the key with which something was done.
    client.acts_with_key(session.id)
    claims = {"sub": str(session.user_id), "sid": str(session.id), "type": "key", "fresh": False}
    flask_jwt.show(claims, session.user)
    if isinstance(allowed, Scope) and allowed.name not in (session.scopes or ()):
        raise NotEnoughPermissions
    return session
