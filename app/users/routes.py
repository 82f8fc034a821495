"""The calls under ``/users``."""

from typing import Any

from app.auth.schemas import UserSchema
from app.blueprint import Blueprint, refuses
from app.errors import NotEnoughPermissions, NotFound, UsernameTaken
from app.models import User
from app.security.access import current_user, signed_in
from app.users import administration, profile
from app.users.schemas import ProfileSchema

bp = Blueprint("users", __name__, description="What is known about you.")


@bp.get("/me")
@signed_in
@bp.returns(200, UserSchema)
def read_me() -> User:
    """Your own account."""
    return current_user()


@bp.put("/me")
@bp.patch("/me")
@signed_in
@bp.takes(ProfileSchema)
@refuses(UsernameTaken)
@bp.returns(200, UserSchema)
def edit_me(changes: dict[str, Any]) -> User:
    """Edit your profile.

    What is left out stays; null clears what may be empty. PUT and PATCH do the same.
    """
    return profile.edit(current_user(), changes)


@bp.get("/<digits:user_id>")
@signed_in
@refuses(NotEnoughPermissions, NotFound)
@bp.returns(200, UserSchema)
def read_user(user_id: int) -> User:
    """One account: your own, or any for a superuser."""
    return administration.read(user_id, viewer=current_user())
