"""The page that finds people."""

import re
from typing import Any

from flask import Response, request
from flask_babel import gettext

from app.access.guards import current_rights, permitted
from app.access.permissions import ROLES_READ, USERS_READ, Rights
from app.administration import directory, roles
from app.administration.schemas import UserQuerySchema
from app.database.pages import Page
from app.errors import NotEnoughPermissions, ValidationFailed
from app.http.fields import Checked, OneOf
from app.models import User
from app.pages import forms
from app.pages.admin.showing import render_admin
from app.pages.forms import Form
from app.pages.page import Pages

bp = Pages("admin_users", __name__)

PATH = "/admin/users"
# The fields of the form, apart from the text.
DAYS = ("created_after", "created_before")
FILTERS = ("is_active", "email_verified", "second_step", "is_superuser", "role", *DAYS)
# What the field for a day in a browser sends.
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
NOBODY: Page[User] = Page([], None)


class PeopleQuerySchema(UserQuerySchema):
    """The parameters of the API's list, and the name of a role."""

    sort = OneOf(directory.SORTS, load_default="-created_at")
    role = Checked(longest=50)


@bp.get(PATH)
@permitted(USERS_READ)
def users_page() -> Response:
    rights = current_rights()
    # A browser sends the fields that are empty, too.
    sent = {name: text for name, text in request.args.items() if text}
    # The field for a day can show nothing else.
    shown = {name: text for name, text in sent.items() if name not in DAYS or DAY.fullmatch(text)}
    try:
        form, found = Form(shown), _find(sent, rights)
    except ValidationFailed as refusal:
        form, found = Form.refused(shown, refusal, {}), NOBODY
    return render_admin(
        "admin/users.html",
        rights=rights,
        form=form,
        found=found,
        filtered=any(name in sent for name in FILTERS),
        sorts=_sorts(),
        roles=[role.name for role in roles.all_roles()] if rights.include(ROLES_READ) else [],
        query={name: text for name, text in sent.items() if name != "cursor"},
    )


def _find(sent: dict[str, str], rights: Rights) -> Page[User]:
    """Raises ``ValidationFailed``, or ``NotEnoughPermissions`` to ask who has a role."""
    if "role" in sent and not rights.include(ROLES_READ):
        raise NotEnoughPermissions
    asked = {name: _as_instant(name, text) for name, text in sent.items()}
    query: dict[str, Any] = forms.loaded(PeopleQuerySchema(), asked)
    return directory.find(**query)


def _as_instant(name: str, text: str) -> str:
    is_day = name in DAYS and DAY.fullmatch(text)
    return f"{text}T00:00:00Z" if is_day else text


def _sorts() -> list[tuple[str, str]]:
    return [
        ("-created_at", gettext("The newest first")),
        ("created_at", gettext("The oldest first")),
        ("email", gettext("By email address")),
        ("username", gettext("By username")),
    ]
