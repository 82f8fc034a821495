"""The calls under ``/roles``, and those that give roles to people."""

from collections.abc import Sequence
from typing import Any

from flask import url_for

from app.access import permissions
from app.access.guards import (
    current_rights,
    current_session,
    current_user,
    freshly_permitted,
    permitted,
    signed_in,
)
from app.access.permissions import ROLES_READ, ROLES_WRITE
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
from app.errors import NotEnoughPermissions, NotFound
from app.http.blueprint import Blueprint, refuses
from app.http.parameters import PageQuerySchema
from app.models import Role

bp = Blueprint("roles", __name__, description="Who may do what.")


@bp.get("/roles")
@permitted(ROLES_READ)
@bp.takes_query(PageQuerySchema)
@bp.returns(200, RolePageSchema)
def list_roles(query: dict[str, Any]) -> Page[Role]:
    """All roles, the oldest first."""
    return roles.listed(**query)


@bp.get("/roles/permissions")
@permitted(ROLES_READ)
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
    """Make a role, of permissions that you have."""
    made = roles.create(**role, actor=current_session())
    return made, 201, {"Location": url_for("roles.read_role_get", role_id=made.id)}


@bp.get("/roles/<digits:role_id>")
@permitted(ROLES_READ)
@refuses(NotFound)
@bp.returns(200, RoleSchema)
def read_role(role_id: int) -> Role:
    """One role."""
    return roles.read(role_id)


@bp.patch("/roles/<digits:role_id>")
@freshly_permitted(ROLES_WRITE)
@bp.takes(RoleChangesSchema)
@refuses(NotFound, RoleNameTaken)
@bp.returns(200, RoleSchema)
def edit_role(changes: dict[str, Any], role_id: int) -> Role:
    """Edit a role that allows nothing that you may not. It counts from the next request on."""
    return roles.edit(role_id, changes, actor=current_session())


@bp.delete("/roles/<digits:role_id>")
@freshly_permitted(ROLES_WRITE)
@refuses(NotFound)
@bp.returns(204)
def delete_role(role_id: int) -> None:
    """Delete a role; whoever has it has it no more."""
    roles.remove(role_id, actor=current_session())


@bp.get("/users/<digits:user_id>/roles")
@signed_in
@refuses(NotEnoughPermissions, NotFound)
@bp.returns(200, RoleListSchema)
def read_roles_of_user(user_id: int) -> dict[str, Sequence[Role]]:
    """Somebody's roles: your own, or anybody's for who may see roles."""
    return {"items": roles.of(user_id, viewer=current_user(), rights=current_rights)}


@bp.put("/users/<digits:user_id>/roles")
@freshly_permitted(ROLES_WRITE)
@bp.takes(RolesOfUserSchema)
@refuses(NotFound)
@bp.returns(200, RoleListSchema)
def assign_roles(body: dict[str, Any], user_id: int) -> dict[str, Sequence[Role]]:
    """Give somebody exactly these roles, of which you have every permission."""
    return {"items": roles.assign(user_id, body["roles"], actor=current_session())}
