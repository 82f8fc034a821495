"""The page on which a signed-in person proves again who they are, before something that matters."""

from typing import Any

from flask import Response

from app.access.guards import current_session, current_user, signed_in
from app.access.levels import before_second_step, is_second_factor_required
from app.access.limits import limited_guesses
from app.auth.login import reauthentication
from app.auth.login.schemas import ReauthenticationSchema
from app.auth.mfa import methods
from app.errors import WrongFactor, WrongPassword
from app.models import User
from app.pages import next_path
from app.pages.forms import EMPTY, Form, takes_form
from app.pages.page import Pages, go, render
from app.pages.sign_in import codes

bp = Pages("reauthenticate", __name__)


def show(form: Form) -> Response:
    user = current_user()
    usable = methods.usable_by(user.id)
    wants_factor = _wants_factor(user, usable)
    return render(
        "sign_in/reauthenticate.html",
        form=form,
        next=next_path.wanted(),
        wants_password=not wants_factor and user.hashed_password is not None,
        methods=usable,
        codes=codes.asked_for(usable if wants_factor else [], form),
    )


@bp.get("/account/reauthenticate")
@before_second_step
@signed_in
def reauthentication_page() -> Response:
    return show(EMPTY)


@bp.post(
    "/account/reauthenticate",
    refused=show,
    beside={WrongPassword: "password", WrongFactor: codes.FIELDS},
)
@before_second_step
@signed_in
@limited_guesses
@takes_form(ReauthenticationSchema)
def prove_again(given: dict[str, Any]) -> Response:
    reauthentication.reauthenticate(current_session(), given)
    return go(next_path.wanted())


def _wants_factor(user: User, usable: list[str]) -> bool:
    """Whether a password would not be enough for what the person wants to do."""
    if user.second_step_at is not None or user.hashed_password is None:
        return True
    return bool(usable) and is_second_factor_required(user)
