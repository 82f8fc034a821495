"""The calls under ``/users`` for administrators."""

from typing import Any

from flask import url_for

from app.access.describing import STALE
from app.access.guards import (
    WITHOUT,
    current_session,
    current_user,
    freshly_permitted,
    permitted,
    refuse_key_without,
    refuse_unless_fresh,
    refuse_without,
    signed_in,
)
from app.access.idempotency import idempotent
from app.access.permissions import (
    AUDIT_READ,
    SESSIONS_READ,
    SESSIONS_REVOKE,
    USERS_DELETE,
    USERS_READ,
    USERS_WRITE,
)
from app.access.scopes import PROFILE
from app.administration import accounts, directory
from app.administration.schemas import (
    AccountSchema,
    InvitationSchema,
    UserPageSchema,
    UserQuerySchema,
)
from app.audit import activity
from app.audit.schemas import AuditPageSchema
from app.auth.schemas import NothingSchema, UserSchema
from app.auth.sessions.schemas import ExactSessionListSchema
from app.database.pages import Page
from app.errors import EmailTaken, NotFound, UsernameTaken
from app.http.blueprint import Blueprint, refuses
from app.http.entity_tags import conditional, expected
from app.http.parameters import PageQuerySchema
from app.models import AuditEvent, User
from app.users.authority import LastSuperuser

bp = Blueprint("administration", __name__, description="Administrators manage accounts.")


@bp.get("")
@permitted(USERS_READ, keys=True)
@bp.takes_query(UserQuerySchema)
@bp.returns(200, UserPageSchema)
def list_users(query: dict[str, Any]) -> Page[User]:
    """Find accounts.

    The text `q` is found literally, anywhere in the email address, the username or the full name,
    in upper or lower case. Email addresses and usernames are sorted by their bytes.
    """
    return directory.find(**query)


@bp.post("")
@permitted(USERS_WRITE, keys=True)
@idempotent()
@bp.takes(InvitationSchema)
@refuses(EmailTaken, UsernameTaken, *STALE)
@bp.returns(201, UserSchema, headers={"Location": {"schema": {"type": "string"}}})
def invite_user(account: dict[str, Any]) -> tuple[User, int, dict[str, str]]:
    """Make an account, and mail its owner a link to choose the password.

    Only a superuser with a fresh access token can make a superuser.
    """
    if account["is_superuser"] and current_user().is_superuser:
        refuse_unless_fresh()
    user = accounts.invite(**account, actor=current_session())
    return user, 201, {"Location": url_for("administration.read_user_get", user_id=user.id)}


@bp.patch("/<digits:user_id>")
@freshly_permitted(USERS_WRITE)
@conditional
@bp.takes(AccountSchema)
@refuses(NotFound, UsernameTaken, LastSuperuser)
@bp.returns(200, UserSchema)
def edit_user(changes: dict[str, Any], user_id: int) -> User:
    """Edit an account, or activate or deactivate it.

    Only a superuser can change `is_superuser`. Deactivating an account signs it out
    everywhere at once.
    """
    actor, expectation = current_session(), expected(UserSchema)
    return accounts.edit(user_id, changes, actor=actor, expected=expectation)


@bp.delete("/<digits:user_id>")
@freshly_permitted(USERS_DELETE)
@conditional
@refuses(NotFound, LastSuperuser)
@bp.returns(204)
def delete_user(user_id: int) -> None:
    """Erase an account at once. It cannot be restored."""
    accounts.delete(user_id, actor=current_session(), expected=expected(UserSchema))


@bp.get("/<digits:user_id>/sessions")
@permitted(SESSIONS_READ, keys=False)
@refuses(NotFound)
@bp.returns(200, ExactSessionListSchema)
def read_sessions_of_user(user_id: int) -> dict[str, Any]:
    """The signed-in devices of a user. The device that was seen last comes first."""
    return accounts.sessions_of(user_id)


@bp.delete("/<digits:user_id>/sessions")
@permitted(SESSIONS_REVOKE, keys=False)
@refuses(NotFound)
@bp.returns(204)
def end_sessions_of_user(user_id: int) -> None:
    """Sign a user out everywhere."""
    accounts.end_sessions(user_id, actor=current_session())


@bp.post("/<digits:user_id>/password-reset")
@permitted(USERS_WRITE, keys=False)
@refuses(NotFound)
@bp.returns(202, NothingSchema)
def send_password_reset(user_id: int) -> dict[str, Any]:
    """Mail a user a link to set a new password. Nobody can set the password of another user."""
    accounts.send_reset(user_id, actor=current_session())
    return {}


@bp.get("/<digits:user_id>/audit")
@permitted(AUDIT_READ, keys=True)
@bp.takes_query(PageQuerySchema)
@refuses(NotFound)
@bp.returns(200, AuditPageSchema)
def read_audit_of_user(query: dict[str, Any], user_id: int) -> Page[AuditEvent]:
    """The events of an account, the newest first, even if the account is erased by now."""
    return activity.about(user_id, **query)


@bp.get("/audit")
@permitted(AUDIT_READ, keys=True)
@bp.takes_query(PageQuerySchema)
@bp.returns(200, AuditPageSchema)
def read_audit(query: dict[str, Any]) -> Page[AuditEvent]:
    """The events of all accounts, the newest first."""
    return activity.of_everybody(**query)


@bp.get("/<digits:user_id>")
@signed_in(keys=True)
@conditional
@refuses(*WITHOUT, NotFound)
@bp.returns(200, UserSchema)
def read_user(user_id: int) -> User:
    """One account: your own, or any account if you have the permission `users:read`."""
    if user_id == current_user().id:
        refuse_key_without(PROFILE)
        return current_user()
    refuse_without(USERS_READ)
    return accounts.read(user_id)
