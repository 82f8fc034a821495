"""Giving a role to somebody, and taking it away, on the page of the account."""

from typing import Any

from flask import Response

from app.access.guards import current_session, freshly_permitted
from app.access.permissions import ROLES_WRITE
from app.administration import roles
from app.database.types import MAX_ID
from app.http.fields import Schema
from app.http.parameters import NumberParameter
from app.pages import notices
from app.pages.admin.person import path_of, show
from app.pages.forms import takes_form
from app.pages.page import Pages, go

bp = Pages("admin_roles_of_person", __name__)

ROLES = "/admin/users/<digits:user_id>/roles"

GIVEN = notices.declare("person_got_role", "The role is given.")
TAKEN = notices.declare("person_lost_role", "The role is taken away.")


class RoleSchema(Schema):
    # In a form the id is a text.
    role = NumberParameter(least=1, most=MAX_ID, required=True)


@bp.post(ROLES, refused=show)
@freshly_permitted(ROLES_WRITE)
@takes_form(RoleSchema)
def give_role(given: dict[str, Any], user_id: int) -> Response:
    roles.change_roles(user_id, add=[roles.read(given["role"])], actor=current_session())
    return go(path_of(user_id), GIVEN)


@bp.post(f"{ROLES}/<digits:role_id>/take", refused=show)
@freshly_permitted(ROLES_WRITE)
def take_role(user_id: int, role_id: int) -> Response:
    roles.change_roles(user_id, take=[roles.read(role_id)], actor=current_session())
    return go(path_of(user_id), TAKEN)
