"""Where people go once they are logged in, and what the page there says."""

from flask import Response

from app.auth.sessions.handover import Handover
from app.pages import notices
from app.pages.page import go

KEPT = notices.declare("account_kept", "Welcome back. Your account will not be deleted.")


def arrive(goal: str, begun: Handover) -> Response:
    """Go on after a login. One that keeps an account from being deleted says so."""
    return go(goal, KEPT if begun.keeps_account else None)
