"""What administrators do with an account, each with a button of its page."""

from uuid import UUID

from flask import Response

from app.access.guards import current_session, freshly_permitted, permitted
from app.access.permissions import SESSIONS_REVOKE, USERS_DELETE, USERS_WRITE
from app.administration import accounts, operating
from app.errors import NotFound
from app.pages import notices
from app.pages.admin.person import path_of, show
from app.pages.page import Pages, go

bp = Pages("admin_actions", __name__)

ONE = "/admin/users/<digits:user_id>"

LINK_MAILED = notices.declare("person_link_mailed", "The link is on its way.")
ACTIVATED = notices.declare("person_activated", "The account is active again.")
DEACTIVATED = notices.declare(
    "person_deactivated", "The account is deactivated and signed out everywhere."
)
PROMOTED = notices.declare("person_promoted", "The account is a superuser now.")
DEMOTED = notices.declare("person_demoted", "The account is no longer a superuser.")
SIGNED_OUT = notices.declare("person_signed_out", "The account is signed out everywhere.")
DEVICE_SIGNED_OUT = notices.declare("person_device_signed_out", "That device is signed out.")
VERIFIED = notices.declare("person_verified", "The email address counts as confirmed.")
WAS_VERIFIED = notices.declare("person_was_verified", "The email address was confirmed already.")
UNLOCKED = notices.declare("person_unlocked", "The failed logins are forgotten.")
WAS_NOT_LOCKED = notices.declare("person_was_not_locked", "There were no failed logins.")
DELETED = notices.declare("person_deleted", "The account is deleted.")


@bp.post(f"{ONE}/password-reset", refused=show)
@permitted(USERS_WRITE)
def mail_link(user_id: int) -> Response:
    accounts.send_reset(user_id, actor=current_session())
    return go(path_of(user_id), LINK_MAILED)


@bp.post(f"{ONE}/activate", refused=show)
@freshly_permitted(USERS_WRITE)
def activate(user_id: int) -> Response:
    return _set_flag(user_id, "is_active", True, ACTIVATED)


@bp.post(f"{ONE}/deactivate", refused=show)
@freshly_permitted(USERS_WRITE)
def deactivate(user_id: int) -> Response:
    return _set_flag(user_id, "is_active", False, DEACTIVATED)


@bp.post(f"{ONE}/promote", refused=show)
@freshly_permitted(USERS_WRITE)
def promote(user_id: int) -> Response:
    return _set_flag(user_id, "is_superuser", True, PROMOTED)


@bp.post(f"{ONE}/demote", refused=show)
@freshly_permitted(USERS_WRITE)
def demote(user_id: int) -> Response:
    return _set_flag(user_id, "is_superuser", False, DEMOTED)


@bp.post(f"{ONE}/end-sessions", refused=show)
@permitted(SESSIONS_REVOKE)
def end_sessions(user_id: int) -> Response:
    accounts.end_sessions(user_id, actor=current_session())
    return go(path_of(user_id), SIGNED_OUT)


@bp.post(f"{ONE}/sessions/<uuid:session_id>/end", refused=show)
@permitted(SESSIONS_REVOKE)
def end_session(user_id: int, session_id: UUID) -> Response:
    accounts.end_session(session_id, user_id=user_id, actor=current_session())
    return go(path_of(user_id), DEVICE_SIGNED_OUT)


@bp.post(f"{ONE}/verify", refused=show)
@freshly_permitted(USERS_WRITE)
def verify(user_id: int) -> Response:
    try:
        is_new = operating.verify(user_id, actor=current_session())
    except operating.NotDone:
        # The page of an account without an address has no such button.
        raise NotFound from None
    return go(path_of(user_id), VERIFIED if is_new else WAS_VERIFIED)


@bp.post(f"{ONE}/unlock", refused=show)
@freshly_permitted(USERS_WRITE)
def unlock(user_id: int) -> Response:
    had_failures = operating.unlock(user_id, actor=current_session())
    return go(path_of(user_id), UNLOCKED if had_failures else WAS_NOT_LOCKED)


@bp.post(f"{ONE}/delete", refused=show)
@freshly_permitted(USERS_DELETE)
def delete(user_id: int) -> Response:
    accounts.delete(user_id, actor=current_session())
    return go("/admin/users", DELETED)


def _set_flag(user_id: int, flag: str, value: bool, notice: notices.Notice) -> Response:
    accounts.edit(user_id, {flag: value}, actor=current_session())
    return go(path_of(user_id), notice)
