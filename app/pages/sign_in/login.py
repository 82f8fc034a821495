"""The page to log in."""

from typing import Any

from flask import Response

from app.access import cookies
from app.access.limits import limited_guesses
from app.access.proof import Proof
from app.auth.login import authentication, login
from app.auth.schemas import CheckedPassword, LoginName
from app.errors import MfaRequired
from app.http.fields import Flag, Schema
from app.pages import next_path
from app.pages.forms import EMPTY, Form, takes_form
from app.pages.next_path import with_next
from app.pages.page import Pages, go, render, session_if_any
from app.pages.sign_in import ticket
from app.pages.sign_in.arriving import arrive
from app.pages.sign_in.ticket import Ticket
from config import settings

bp = Pages("login", __name__)

SECOND_STEP = "/account/second-step"


class LoginPageSchema(Schema):
    username = LoginName(required=True)
    password = CheckedPassword(required=True)
    remember = Flag()


def show(form: Form) -> Response:
    typed = form.value("username")
    return render(
        "sign_in/login.html",
        form=form,
        next=next_path.wanted(),
        may_register=settings.pages_registration,
        # For the mail that confirms the address, if that is what a login lacks.
        resend=Form({"email": typed if "@" in typed else ""}),
    )


@bp.get("/account/login")
def login_page() -> Response:
    if session_if_any():
        return go(next_path.wanted())
    return show(EMPTY)


@bp.post("/account/login", refused=show)
@limited_guesses
@takes_form(LoginPageSchema)
def log_in(given: dict[str, Any]) -> Response:
    goal, remember = next_path.wanted(), given["remember"]
    user = authentication.authenticate(given["password"], username=given["username"])
    cookies.hold_session(remember=remember)
    try:
        begun = login.start(user, Proof())
    except MfaRequired as due:
        held = Ticket(due.members["mfa_token"], remember)
        step = go(with_next(SECOND_STEP, goal))
        return ticket.carry(step, held, seconds=due.members["expires_in"])
    return arrive(goal, begun)
