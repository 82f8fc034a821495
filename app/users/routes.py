"""The calls under ``/users``."""

from typing import Any

from werkzeug.sansio.response import Response

from app.access import cookies
from app.access.guards import (
    current_session,
    current_user,
    freshly_signed_in,
    signed_in,
)
from app.access.levels import before_second_step
from app.access.limits import limited_guesses, limited_writes
from app.access.scopes import PROFILE
from app.audit import activity
from app.audit.schemas import ActivityPageSchema
from app.auth.schemas import PasswordSchema, UserSchema
from app.database.pages import Page
from app.errors import Overloaded, UsernameTaken, WrongPassword
from app.http.blueprint import Blueprint, refuses, streamed
from app.http.entity_tags import conditional, expected
from app.http.parameters import PageQuerySchema
from app.models import AuditEvent, User
from app.users import closing, export, profile
from app.users.authority import LastSuperuser
from app.users.export_schemas import ExportSchema, with_parts_of_features
from app.users.schemas import DeletionSchema, ProfileSchema

bp = Blueprint("users", __name__, description="Your own account.")


@bp.get("/me")
@before_second_step
@signed_in(keys=PROFILE)
@conditional
@bp.returns(200, UserSchema)
def read_me() -> User:
    """Your own account."""
    return current_user()


@bp.put("/me")
@bp.patch("/me")
@signed_in(keys=PROFILE)
@limited_writes
@conditional
@bp.takes(ProfileSchema)
@refuses(UsernameTaken)
@bp.returns(200, UserSchema)
def edit_me(changes: dict[str, Any]) -> User:
    """Edit your profile.

    A field that is left out does not change; null clears a field that may be empty. PUT and
    PATCH do the same.
    """
    return profile.edit(current_session(), changes, expected(UserSchema))


@bp.delete("/me")
@signed_in(keys=False)
@limited_writes
@limited_guesses
@conditional
@bp.takes(PasswordSchema)
@refuses(WrongPassword, LastSuperuser, Overloaded)
@bp.returns(202, DeletionSchema)
def close_my_account(body: dict[str, Any]) -> dict[str, Any]:
    """Have your account erased after a grace period. A login before then keeps it."""
    due_at = closing.close(current_session(), body["password"], expected(UserSchema))
    if current_session().kind == "cookie":
        cookies.leave()
    return {"deletion_due_at": due_at}


@bp.get("/me/export")
@freshly_signed_in
@limited_writes
@bp.returns(200, ExportSchema, headers={"Content-Disposition": {"schema": {"type": "string"}}})
def export_me() -> Response:
    """Everything that is stored about you, as one document."""
    attachment = {"Content-Disposition": 'attachment; filename="account.json"'}
    document = export.everything_about(current_user())
    return streamed(with_parts_of_features(), document, attachment)


@bp.get("/me/activity")
@signed_in(keys=False)
@bp.takes_query(PageQuerySchema)
@bp.returns(200, ActivityPageSchema)
def read_my_activity(query: dict[str, Any]) -> Page[AuditEvent]:
    """The events of your account, the newest first."""
    return activity.about(current_user().id, **query)
