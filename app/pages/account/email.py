"""The page of the email address: confirming it, and changing it."""

from typing import Any

from flask import Response

from app.access.guards import (
    current_session,
    current_user,
    fresh_until,
    freshly_signed_in,
    signed_in,
)
from app.access.limits import MAIL, MAIL_PER_ADDRESS, limited, limited_writes, to_address
from app.auth.email import change, verification
from app.auth.email.schemas import NewAddressSchema
from app.pages import notices
from app.pages.forms import EMPTY, Form, takes_form
from app.pages.page import Pages, go, render

bp = Pages("email", __name__)

ASKED = notices.declare(
    "email_change_asked",
    "Look into the mailbox of the new address. The link in our mail changes your address.",
)
WITHDRAWN = notices.declare("email_change_withdrawn", "Your email address stays as it is.")
SENT_AGAIN = notices.declare(
    "verification_sent", "Look into your mailbox. The link in our mail confirms your address."
)


def show(form: Form) -> Response:
    return render(
        "account/email.html",
        form=form,
        waiting=change.waiting(current_user()),
        is_fresh=fresh_until() is not None,
    )


@bp.get("/account/email")
@signed_in
def email_page() -> Response:
    return show(EMPTY)


@bp.post("/account/email", refused=show)
@freshly_signed_in
@limited_writes
@limited(MAIL)
@takes_form(NewAddressSchema)
@limited(MAIL_PER_ADDRESS, by=to_address)
def change_email(given: dict[str, Any]) -> Response:
    change.ask(current_session(), given["new_email"])
    return go("/account/email", ASKED)


@bp.post("/account/email/cancel")
@signed_in
@limited_writes
def cancel_email_change() -> Response:
    change.withdraw(current_session())
    return go("/account/email", WITHDRAWN)


@bp.post("/account/email/resend")
@signed_in
@limited(MAIL)
@limited(MAIL_PER_ADDRESS, by=lambda: to_address({"email": current_user().email}))
def send_verification_again() -> Response:
    verification.resend(current_user().email)
    return go("/account/email", SENT_AGAIN)
