"""The page that invites somebody."""

from typing import Any

from flask import Response

from app.access.guards import (
    current_rights,
    current_session,
    current_user,
    permitted,
    refuse_unless_fresh,
)
from app.access.permissions import USERS_READ, USERS_WRITE
from app.administration import accounts
from app.administration.schemas import InvitationSchema
from app.errors import EmailTaken, UsernameTaken
from app.pages import notices
from app.pages.admin.person import path_of
from app.pages.admin.showing import render_admin
from app.pages.forms import EMPTY, Form, takes_form
from app.pages.page import Pages, go

bp = Pages("admin_invitation", __name__)

PATH = "/admin/users/new"

INVITED = notices.declare(
    "person_invited", "The account is made, and the invitation is on its way."
)


def show(form: Form) -> Response:
    return render_admin("admin/invitation.html", form=form)


@bp.get(PATH)
@permitted(USERS_WRITE)
def invitation_page() -> Response:
    return show(EMPTY)


@bp.post(PATH, refused=show, beside={EmailTaken: "email", UsernameTaken: "username"})
@permitted(USERS_WRITE)
@takes_form(InvitationSchema)
def invite(given: dict[str, Any]) -> Response:
    if given["is_superuser"] and current_user().is_superuser:
        refuse_unless_fresh()
    person = accounts.invite(**given, actor=current_session())
    # The page of the person is for those who may read about people.
    return go(path_of(person.id) if current_rights().include(USERS_READ) else PATH, INVITED)
