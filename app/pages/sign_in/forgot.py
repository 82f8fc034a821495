"""The page on which people who forgot their password ask for a link."""

from typing import Any

from flask import Response

from app.access.limits import MAIL, MAIL_PER_ADDRESS, limited, to_address
from app.auth.password import reset
from app.auth.schemas import AddressSchema
from app.pages.forms import EMPTY, Form, takes_form
from app.pages.mailed_links.asking import LINK_ASKED
from app.pages.page import Pages, go, render

bp = Pages("forgot", __name__)


def show(form: Form) -> Response:
    return render("sign_in/forgot.html", form=form)


@bp.get("/account/forgot")
def forgot_page() -> Response:
    return show(EMPTY)


@bp.post("/account/forgot", refused=show)
@limited(MAIL)
@takes_form(AddressSchema)
@limited(MAIL_PER_ADDRESS, by=to_address)
def ask_for_link(given: dict[str, Any]) -> Response:
    """The answer is the same if there is no account."""
    reset.forgot(given["email"])
    return go("/account/login", LINK_ASKED)
