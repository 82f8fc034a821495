"""The button that signs out. It is a POST, so that no link and no picture can press it."""

from flask import Response

from app.access import cookies
from app.auth.sessions import sessions
from app.auth.sessions.sessions import Scope
from app.pages import notices
from app.pages.page import Pages, go, session_if_any

bp = Pages("logout", __name__)

SIGNED_OUT = notices.declare("signed_out", "You are signed out.")


@bp.post("/account/logout")
def log_out() -> Response:
    """Somebody whose session is over already is signed out as well."""
    if session := session_if_any():
        sessions.log_out(session, Scope.LOCAL)
    cookies.leave()
    return go("/account/login", SIGNED_OUT)
