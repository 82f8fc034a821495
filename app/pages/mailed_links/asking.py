"""The pages that mail another link, where one is used up or too old."""

from typing import Any

from flask import Response

from app.access.limits import MAIL, MAIL_PER_ADDRESS, limited, to_address
from app.auth.email import verification
from app.auth.password import reset
from app.auth.schemas import AddressSchema
from app.pages import notices
from app.pages.forms import EMPTY, Form, takes_form
from app.pages.mailed_links.ending import end
from app.pages.mailed_links.kinds import KINDS, PASSWORD, VERIFICATION
from app.pages.page import Pages, render

bp = Pages("new_links", __name__)

# The same words whether or not there is such an account.
LINK_ASKED = notices.declare(
    "link_asked", "If an account has this address, a mail with a link is on its way."
)


def show_verification(form: Form) -> Response:
    return _show(form, VERIFICATION)


def show_password(form: Form) -> Response:
    return _show(form, PASSWORD)


def _show(form: Form, name: str) -> Response:
    return render("mailed_links/new_link.html", form=form, kind=KINDS[name])


@bp.get("/account/verify-email/new-link")
def new_verification_page() -> Response:
    return show_verification(EMPTY)


@bp.post("/account/verify-email/new-link", refused=show_verification)
@limited(MAIL)
@takes_form(AddressSchema)
@limited(MAIL_PER_ADDRESS, by=to_address)
def send_new_verification(given: dict[str, Any]) -> Response:
    verification.resend(given["email"])
    return end(LINK_ASKED)


@bp.get("/account/reset-password/new-link")
def new_password_link_page() -> Response:
    return show_password(EMPTY)


@bp.post("/account/reset-password/new-link", refused=show_password)
@limited(MAIL)
@takes_form(AddressSchema)
@limited(MAIL_PER_ADDRESS, by=to_address)
def send_new_password_link(given: dict[str, Any]) -> Response:
    reset.forgot(given["email"])
    return end(LINK_ASKED)
