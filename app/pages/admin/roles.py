"""The pages of roles: who has them, and what they permit."""

from typing import Any

from flask import Response, request

from app.access import permissions
from app.access.guards import current_rights, current_session, freshly_permitted, permitted
from app.access.permissions import ROLES_READ, ROLES_WRITE, USERS_READ, Rights
from app.administration import roles
from app.administration.role_schemas import NewRoleSchema, RoleSchema
from app.administration.roles import RoleNameTaken
from app.errors import PreconditionFailed
from app.http.entity_tags import tag_of
from app.http.fields import Checked
from app.models import Role
from app.pages import notices
from app.pages.admin.showing import render_admin
from app.pages.forms import EMPTY, Form, takes_form
from app.pages.page import Pages, go

bp = Pages("admin_roles", __name__)

PATH = "/admin/roles"
NEW = f"{PATH}/new"
ONE = f"{PATH}/<digits:role_id>"
ON_A_PAGE = 20
# Holders of a role that are named, and up to how many they are counted.
FEW = 5
MANY = 1000

MADE = notices.declare("role_made", "The role is made.")
SAVED = notices.declare("role_saved", "The role is saved. The change counts at once.")
DELETED = notices.declare("role_deleted", "The role is deleted.")


class SavedRoleSchema(NewRoleSchema):
    # The entity tag of the role that the page showed.
    as_read = Checked(longest=100, required=True)


@bp.get(PATH)
@permitted(ROLES_READ)
def roles_page() -> Response:
    rights = current_rights()
    cursor = request.args.get("cursor")
    found = roles.listed(limit=ON_A_PAGE, cursor=cursor)
    return render_admin(
        "admin/roles.html",
        rights=rights,
        found=found,
        is_first=cursor is None,
        sentences=_sentences(),
        # One more than is shown, so that the page can say that there are others.
        holders=roles.some_holders([role.id for role in found.items], FEW + 1),
        few=FEW,
    )


def show_new(form: Form) -> Response:
    rights = current_rights()
    return render_admin("admin/new_role.html", rights=rights, form=form, boxes=_boxes(rights))


@bp.get(NEW)
@permitted(ROLES_WRITE)
def new_role_page() -> Response:
    return show_new(EMPTY)


@bp.post(NEW, refused=show_new, beside={RoleNameTaken: "name"})
@freshly_permitted(ROLES_WRITE)
@takes_form(NewRoleSchema)
def create_role(given: dict[str, Any]) -> Response:
    roles.create(**given, actor=current_session())
    return go(PATH if current_rights().include(ROLES_READ) else NEW, MADE)


def show(form: Form, role_id: int) -> Response:
    """The page of a role, also when a change was refused. Raises ``NotFound``."""
    rights = current_rights()
    role = roles.read(role_id)
    holders = roles.some_holders([role_id], FEW).get(role_id, [])
    return render_admin(
        "admin/role.html",
        rights=rights,
        role=role,
        path=f"{PATH}/{role_id}",
        form=form if form.values else _filled_in(role),
        boxes=_boxes(rights),
        sentences=_sentences(),
        may_change=rights.include(*role.permissions),
        unknown=[name for name in role.permissions if not permissions.is_declared(name)],
        holders=holders,
        count=roles.number_of_holders(role, at_most=MANY),
        many=MANY,
        sees_names=rights.include(USERS_READ),
    )


@bp.get(ONE)
@permitted(ROLES_READ)
def role_page(role_id: int) -> Response:
    return show(EMPTY, role_id)


@bp.post(ONE, refused=show, beside={RoleNameTaken: "name"})
@freshly_permitted(ROLES_WRITE)
@takes_form(SavedRoleSchema)
def save_role(given: dict[str, Any], role_id: int) -> Response:
    as_read = given.pop("as_read")

    def expected(role: Role) -> None:
        # The form holds all permissions. From an older page it would give back one that somebody
        # has taken away meanwhile.
        if tag_of(RoleSchema, role) != as_read:
            raise PreconditionFailed

    roles.edit(role_id, given, actor=current_session(), expected=expected)
    return go(_after(role_id), SAVED)


@bp.post(f"{ONE}/delete")
@freshly_permitted(ROLES_WRITE)
def delete_role(role_id: int) -> Response:
    roles.remove(role_id, actor=current_session())
    return go(PATH if current_rights().include(ROLES_READ) else NEW, DELETED)


def _after(role_id: int) -> str:
    # The change may have taken the right away with which the page was opened.
    return f"{PATH}/{role_id}" if current_rights().include(ROLES_READ) else "/account"


def _filled_in(role: Role) -> Form:
    boxes = {f"permissions.{name}": "true" for name in role.permissions}
    words = {"name": role.name, "description": role.description or ""}
    flag = "true" if role.require_mfa else ""
    return Form({**words, **boxes, "require_mfa": flag, "as_read": tag_of(RoleSchema, role)})


def _sentences() -> dict[str, str]:
    """Permission → what it allows."""
    return {one.name: one.description for one in permissions.declared()}


def _boxes(rights: Rights) -> list[tuple[str, str, bool]]:
    """For each permission its name, what it allows, and whether these rights include it."""
    return [(one.name, one.description, rights.include(one)) for one in permissions.declared()]
