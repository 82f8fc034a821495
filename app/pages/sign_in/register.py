"""The page that makes an account."""

from typing import Any

from flask import Response

from app.access.limits import REGISTER, limited
from app.auth.registration import registration
from app.auth.registration.schemas import RegisterSchema
from app.errors import EmailTaken, UsernameTaken
from app.pages import language, notices
from app.pages.forms import EMPTY, Form, takes_form
from app.pages.page import Pages, go, render, session_if_any
from config import settings

bp = Pages("register", __name__)

REGISTERED = notices.declare(
    "registered", "Your account is made. We sent you a mail to confirm your address."
)
# It is true for a new address and for a taken one.
MAILED = notices.declare(
    "registration_mailed", "Thank you. We sent a mail to your address: it says how to go on."
)


def show(form: Form) -> Response:
    return render("sign_in/register.html", form=form)


@bp.get("/account/register")
def register_page() -> Response:
    if session_if_any():
        return go("/account")
    return show(EMPTY)


@bp.post(
    "/account/register",
    refused=show,
    beside={EmailTaken: "email", UsernameTaken: "username"},
)
@limited(REGISTER)
@takes_form(RegisterSchema)
def register(given: dict[str, Any]) -> Response:
    given["locale"] = language.current()
    if settings.hide_account_existence:
        registration.register_quietly(**given)
        return go("/account/login", MAILED)
    registration.register(**given)
    return go("/account/login", REGISTERED)
