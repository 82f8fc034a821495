"""The page to change the password."""

from typing import Any

from flask import Response

from app.access.guards import current_session, signed_in
from app.access.levels import before_second_step
from app.access.limits import limited_guesses, limited_writes
from app.auth.password import change
from app.auth.password.schemas import PasswordChangeSchema
from app.errors import WrongPassword
from app.pages import menu, notices
from app.pages.forms import EMPTY, Form, takes_form
from app.pages.page import Pages, go, render

bp = Pages("password", __name__)

CHANGED = notices.declare(
    "password_changed", "Your password is changed. All other devices are signed out."
)


def show(form: Form) -> Response:
    has_keys = "/account/keys" in menu.served_paths()
    return render("account/password.html", form=form, has_keys=has_keys)


@bp.get("/account/password")
@before_second_step
@signed_in
def password_page() -> Response:
    return show(EMPTY)


@bp.post("/account/password", refused=show, beside={WrongPassword: "current_password"})
@before_second_step
@signed_in
@limited_writes
@limited_guesses
@takes_form(PasswordChangeSchema)
def change_password(given: dict[str, Any]) -> Response:
    change.change(current_session(), **given)
    return go("/account/password", CHANGED)
