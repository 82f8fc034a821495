"""The account page: what a person says about themselves."""

from typing import Any

from flask import Response

from app.access.guards import current_session, current_user, signed_in
from app.access.limits import limited_writes
from app.errors import UsernameTaken
from app.pages import notices
from app.pages.forms import Form, takes_form
from app.pages.page import Pages, go, render
from app.users import profile
from app.users.schemas import ProfileSchema

bp = Pages("profile", __name__)

SAVED = notices.declare("profile_saved", "Your profile is saved.")


def show(form: Form) -> Response:
    return render("account/profile.html", form=form)


@bp.get("/account")
@signed_in
def profile_page() -> Response:
    user = current_user()
    return show(Form({name: getattr(user, name) or "" for name in ProfileSchema().fields}))


@bp.post("/account", refused=show, beside={UsernameTaken: "username"})
@signed_in
@limited_writes
@takes_form(ProfileSchema)
def save_profile(given: dict[str, Any]) -> Response:
    profile.edit(current_session(), given)
    return go("/account", SAVED)
