"""The page that finds people, and what can be done with many of them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from flask import Response, request
from flask_babel import gettext

from app import clock
from app.access.guards import current_rights, current_user, permitted
from app.access.limits import limited_writes, spend_write
from app.access.permissions import ROLES_READ, USERS_READ, Rights
from app.administration import directory, roles
from app.administration.schemas import UserQuerySchema
from app.database.pages import Page
from app.errors import Message, NotEnoughPermissions, ValidationFailed
from app.http import spreadsheets
from app.http.fields import Checked, OneOf, Schema
from app.http.parameters import NumberParameter
from app.models import User
from app.pages import forms
from app.pages.admin import people_file, selection
from app.pages.admin.showing import render_admin
from app.pages.forms import Form
from app.pages.page import HEADERS, Pages, go

bp = Pages("admin_users", __name__)

PATH = "/admin/users"
# The fields of the form, apart from the text.
DAYS = ("created_after", "created_before")
FILTERS = ("is_active", "email_verified", "second_step", "is_superuser", "role", *DAYS)
# What the field for a day in a browser sends.
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
NOBODY: Page[User] = Page([], None)
NOBODY_CHOSEN = Message("required", "Choose somebody in the list first.")


class PeopleQuerySchema(UserQuerySchema):
    """The parameters of the API's list, and the name of a role."""

    # A form has at most a hundred fields, and one for each person of the page.
    limit = NumberParameter(least=1, most=selection.MOST, load_default=20)
    sort = OneOf(directory.SORTS, load_default="-created_at")
    role = Checked(longest=50)


class ActionSchema(Schema):
    """The button that was pressed under the list."""

    action = OneOf((*selection.ACTIONS, "export"), required=True)


def show(form: Form) -> Response:
    """The page, also where nobody was chosen. The form holds the filters of the list."""
    rights = current_rights()
    sent = _of_list(form.values)
    try:
        found = directory.find(**_query(sent, rights))
    except ValidationFailed as refusal:
        form, found = Form.refused(form.values, refusal, {}), NOBODY
    # The field for a day can show nothing else.
    unfit = {name for name in DAYS if not DAY.fullmatch(sent.get(name, ""))}
    shown = {name: text for name, text in form.values.items() if name not in unfit}
    return render_admin(
        "admin/users.html",
        rights=rights,
        form=replace(form, values=shown),
        found=found,
        filtered=any(name in sent for name in FILTERS),
        sorts=_sorts(),
        roles=[role.name for role in roles.all_roles()] if rights.include(ROLES_READ) else [],
        sent=sent,
        query={name: text for name, text in sent.items() if name != "cursor"},
        box=selection.name_of_box,
    )


@bp.get(PATH)
@permitted(USERS_READ)
def users_page() -> Response:
    return show(Form(request.args.to_dict()))


@bp.post(f"{PATH}/selected", refused=show)
@permitted(USERS_READ)
def go_on_with_selected() -> Response:
    """Lead on to the page that asks once more, with the people whose boxes are checked."""
    typed = forms.read()
    ids = selection.checked(typed)
    if not ids:
        raise ValidationFailed([NOBODY_CHOSEN.at([])])
    action = forms.loaded(ActionSchema(), {"action": typed.get("action", "")})["action"]
    if action == "export":
        spend_write(current_user().id)
        people = directory.by_ids(ids)
        return _download(people[one] for one in ids if one in people)
    return go(selection.path_of(action, ids))


@bp.post(f"{PATH}/export", refused=show)
@permitted(USERS_READ)
@limited_writes
def export_people() -> Response:
    """Everybody who matches the filters, as a file for spreadsheets."""
    query = _query(_of_list(forms.read()), current_rights())
    filters = {name: value for name, value in query.items() if name in ("q", *FILTERS)}
    return _download(directory.streamed(**filters))


def _download(people: Iterable[User]) -> Response:
    day = f"{clock.now():%Y-%m-%d}"
    attachment = {"Content-Disposition": f'attachment; filename="people-{day}.csv"'}
    rows = people_file.rows(people)
    written = spreadsheets.written(rows)
    return Response(written, headers={**HEADERS, **attachment}, mimetype="text/csv")


def _of_list(fields: Mapping[str, str]) -> dict[str, str]:
    """What the search sends. A browser sends the fields that are empty, too."""
    others = ("csrf_token", "action")
    return {
        name: text
        for name, text in fields.items()
        if text and name not in others and not selection.is_box(name)
    }


def _query(sent: Mapping[str, str], rights: Rights) -> dict[str, Any]:
    """Raises ``ValidationFailed``, or ``NotEnoughPermissions`` to ask who has a role."""
    if "role" in sent and not rights.include(ROLES_READ):
        raise NotEnoughPermissions
    asked = {name: _as_instant(name, text) for name, text in sent.items()}
    query: dict[str, Any] = forms.loaded(PeopleQuerySchema(), asked)
    return query


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
