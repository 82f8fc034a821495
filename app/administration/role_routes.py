"""The calls under ``/roles``, and the calls that give roles to users."""

from collections.abc import Sequence
from typing import Any

from flask import url_for

from app.access import permissions
from app.access.guards import (
    WITHOUT,
    current_session,
    current_user,
    freshly_permitted,
    permitted,
    refuse_key_without,
    refuse_without,
    signed_in,
)
from app.access.permissions import ROLES_READ, ROLES_WRITE
from app.access.scopes import PROFILE
from app.administration import roles
from app.administration.role_schemas import (
    NewRoleSchema,
    PermissionListSchema,
    RoleChangesSchema,
    RoleListSchema,
    RolePageSchema,
    RoleSchema,
    RolesOfUserSchema,
)
from app.administration.roles import RoleNameTaken
from app.database.pages import Page
from app.errors import NotFound
from app.http.blueprint import Blueprint, refuses
from app.http.entity_tags import conditional, expected
from app.http.parameters import PageQuerySchema
from app.models import Role

bp = Blueprint("roles", __name__, description="Roles, and the permissions that they give.")


@bp.get("/roles")
@permitted(ROLES_READ, keys=True)
@bp.takes_query(PageQuerySchema)
@bp.returns(200, RolePageSchema)
def list_roles(query: dict[str, Any]) -> Page[Role]:
    """All roles, the oldest first."""
    return roles.listed(**query)


@bp.get("/roles/permissions")
@permitted(ROLES_READ, keys=True)
@bp.returns(200, PermissionListSchema)
def list_permissions() -> dict[str, Any]:
    """Every permission that a role can have."""
    return {"items": permissions.declared()}


@bp.post("/roles")
@freshly_permitted(ROLES_WRITE)
@bp.takes(NewRoleSchema)
@refuses(RoleNameTaken)
@bp.returns(201, RoleSchema, headers={"Location": {"schema": {"type": "string"}}})
def create_role(role: dict[str, Any]) -> tuple[Role, int, dict[str, str]]:
    """Make a role. You can only put permissions into it that you have."""
    made = roles.create(**role, actor=current_session())
    return made, 201, {"Location": url_for("roles.read_role_get", role_id=made.id)}


@bp.get("/roles/<digits:role_id>")
@permitted(ROLES_READ, keys=True)
@conditional
@refuses(NotFound)
@bp.returns(200, RoleSchema)
def read_role(role_id: int) -> Role:
    """One role."""
    return roles.read(role_id)


@bp.patch("/roles/<digits:role_id>")
@freshly_permitted(ROLES_WRITE)
@conditional
@bp.takes(RoleChangesSchema)
@refuses(NotFound, RoleNameTaken)
@bp.returns(200, RoleSchema)
def edit_role(changes: dict[str, Any], role_id: int) -> Role:
    """Edit a role. You must have all its permissions, before and after.

    The change counts from the next request on.
    """
    actor, expectation = current_session(), expected(RoleSchema)
    return roles.edit(role_id, changes, actor=actor, expected=expectation)


@bp.delete("/roles/<digits:role_id>")
@freshly_permitted(ROLES_WRITE)
@conditional
@refuses(NotFound)
@bp.returns(204)
def delete_role(role_id: int) -> None:
    """Delete a role, and take it from everybody who has it."""
    roles.remove(role_id, actor=current_session(), expected=expected(RoleSchema))


@bp.get("/users/<digits:user_id>/roles")
@signed_in(keys=True)
@refuses(*WITHOUT, NotFound)
@bp.returns(200, RoleListSchema)
def read_roles_of_user(user_id: int) -> dict[str, Sequence[Role]]:
    """Your own roles, or those of any user if you have the permission `roles:read`."""
    if user_id == current_user().id:
        refuse_key_without(PROFILE)
    else:
        refuse_without(ROLES_READ)
    return {"items": roles.of(user_id)}


@bp.put("/users/<digits:user_id>/roles")
@freshly_permitted(ROLES_WRITE)
@bp.takes(RolesOfUserSchema)
@refuses(NotFound)
@bp.returns(200, RoleListSchema)
def assign_roles(body: dict[str, Any], user_id: int) -> dict[str, Sequence[Role]]:
    """Give a user exactly these roles.

    You must have every permission of the roles that you give or take, and of the user.
    """
    return {"items": roles.assign(user_id, body["roles"], actor=current_session())}
