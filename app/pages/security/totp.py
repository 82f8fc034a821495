"""The pages to set up an authenticator app, and to remove it."""

from typing import Any

from flask import Response
from flask_babel import gettext

from app.access.guards import current_session, current_user, freshly_signed_in
from app.access.levels import before_second_step
from app.access.limits import limited_writes
from app.auth.mfa.schemas import OtpSchema
from app.auth.mfa.totp import factor
from app.auth.mfa.totp.factor import Enrolment
from app.errors import WrongFactor
from app.http.fields import Text
from app.pages import notices
from app.pages.forms import EMPTY, Form, takes_form
from app.pages.page import Pages, go, render
from app.pages.security import codes, overview

bp = Pages("totp", __name__)

PATH = f"{overview.PATH}/totp"

ADDED = "Your authenticator app is set up. All other devices are signed out."
CONFIRMED = notices.declare("totp_confirmed", ADDED)
REMOVED = notices.declare("totp_removed", "Your authenticator app is removed.")


class ConfirmationSchema(OtpSchema):
    """The page sends the secret back, so that it can show its QR code again."""

    secret = Text(required=True, max_length=64)


def show(form: Form, enrolment: Enrolment | None = None) -> Response:
    secret = form.values.get("secret")
    if enrolment is None and secret:
        enrolment = factor.waiting(current_session(), secret)
    return render("security/totp.html", form=form, enrolment=enrolment)


@bp.get(PATH)
@before_second_step
@freshly_signed_in
def totp_page() -> Response:
    has_one = factor.is_there(current_user().id)
    return go(overview.PATH) if has_one else show(EMPTY)


@bp.post(PATH, refused=overview.show)
@before_second_step
@freshly_signed_in
@limited_writes
def begin_totp() -> Response:
    """The answer holds the secret. It is made anew if the page is loaded again."""
    return show(EMPTY, factor.begin(current_session()))


@bp.post(f"{PATH}/confirm", refused=show, beside={WrongFactor: "otp"})
@before_second_step
@freshly_signed_in
@limited_writes
@takes_form(ConfirmationSchema)
def confirm_totp(given: dict[str, Any]) -> Response:
    _, made = factor.confirm(current_session(), given["otp"])
    return codes.show(made, gettext(ADDED)) if made else go(overview.PATH, CONFIRMED)


@bp.post(f"{PATH}/remove", refused=overview.show)
@before_second_step
@freshly_signed_in
@limited_writes
def remove_totp() -> Response:
    factor.remove(current_session())
    return go(overview.PATH, REMOVED)
