"""The page of the devices on which somebody is signed in."""

from typing import Any
from uuid import UUID

from flask import Response
from flask_babel import gettext

from app.access import cookies
from app.access.guards import current_session, current_user, signed_in
from app.access.levels import before_second_step
from app.auth.sessions import sessions
from app.auth.sessions.schemas import in_rough_order, roughly
from app.auth.sessions.sessions import Scope
from app.models import Session
from app.pages import notices, words
from app.pages.page import Pages, go, render

bp = Pages("devices", __name__)

ENDED = notices.declare("device_signed_out", "The device is signed out.")
OTHERS_ENDED = notices.declare("others_signed_out", "All other devices are signed out.")
ALL_ENDED = notices.declare("all_signed_out", "You are signed out on all devices.")

# How a session began, and the methods of RFC 8176 that were a second step.
FIRST_PROOFS = {"password": "password", "passkey": "passkey"}
SECOND_PROOFS = {"otp": "code from an authenticator app", "rc": "recovery code", "pop": "passkey"}
REMEMBERED = "remembered device"


@bp.get("/account/devices")
@before_second_step
@signed_in
def devices_page() -> Response:
    mine = list(map(_described, in_rough_order(sessions.live_sessions(current_user()))))
    # This device comes first, and then those that were used last.
    mine.sort(key=lambda device: not device["is_current"])
    return render("account/devices.html", devices=mine)


@bp.post("/account/devices/<uuid:session_id>")
@before_second_step
@signed_in
def sign_out_device(session_id: UUID) -> Response:
    sessions.end_one_of(current_session(), session_id)
    return _left(ENDED) if session_id == current_session().id else go("/account/devices", ENDED)


@bp.post("/account/devices/others")
@before_second_step
@signed_in
def sign_out_others() -> Response:
    sessions.log_out(current_session(), Scope.OTHERS)
    return go("/account/devices", OTHERS_ENDED)


@bp.post("/account/devices/everywhere")
@before_second_step
@signed_in
def sign_out_everywhere() -> Response:
    sessions.log_out(current_session(), Scope.GLOBAL)
    return _left(ALL_ENDED)


def _left(notice: notices.Notice) -> Response:
    cookies.leave()
    return go("/account/login", notice)


def _described(session: Session) -> dict[str, Any]:
    return {
        "id": session.id,
        "name": words.device_of(session.user_agent),
        "ip": session.ip,
        "is_current": session.id == current_session().id,
        "created_at": session.created_at,
        # Not before the login, which is told exactly.
        "last_seen_at": max(roughly(session.refreshed_at), session.created_at),
        "proofs": proofs(session),
    }


def proofs(session: Session) -> str:
    """How the user signed in, in the language of the page: "password and passkey"."""
    return words.listed([gettext(proof) for proof in _proofs(session)])


def _proofs(session: Session) -> list[str]:
    """What the user gave to sign in, the first proof first."""
    # A provider has a name of its own.
    first = FIRST_PROOFS.get(session.signed_in_by, session.signed_in_by.capitalize())
    given = [SECOND_PROOFS[method] for method in session.amr.split() if method in SECOND_PROOFS]
    later = [proof for proof in given if proof != first]
    if session.aal == 2 and not given:
        later = [REMEMBERED]
    return [first, *later]
