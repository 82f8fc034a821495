"""The page to delete the account, and what comes after it."""

from typing import Any

from flask import Response

from app import clock
from app.access import cookies
from app.access.guards import (
    current_session,
    current_user,
    fresh_until,
    refuse_unless_fresh,
    signed_in,
)
from app.access.limits import limited_guesses, limited_writes
from app.auth.schemas import CheckedPassword
from app.errors import WrongPassword
from app.http.fields import Schema
from app.pages import notices, times
from app.pages.forms import EMPTY, Form, takes_form
from app.pages.page import Pages, go, render
from app.users import closing
from config import settings

bp = Pages("delete", __name__)


def _grace() -> str:
    return times.span(settings.account_deletion_grace)


CLOSED = notices.declare(
    "account_closed",
    "You are signed out, and your account will be deleted in %(grace)s. "
    "To keep it, log in before then.",
    grace=_grace,
)

CLOSED_FOR_GOOD = notices.declare(
    "account_closed_for_good", "You are signed out, and your account is being deleted."
)


class ClosingSchema(Schema):
    # Missing where the account has none.
    password = CheckedPassword()


def show(form: Form) -> Response:
    return render(
        "account/delete.html",
        form=form,
        has_password=current_user().hashed_password is not None,
        is_fresh=fresh_until() is not None,
        grace=_grace() if settings.account_deletion_grace else None,
        due=times.day(clock.now() + settings.account_deletion_grace),
    )


@bp.get("/account/delete")
@signed_in
def delete_page() -> Response:
    return show(EMPTY)


@bp.post("/account/delete", refused=show, beside={WrongPassword: "password"})
@signed_in
@limited_writes
@limited_guesses
@takes_form(ClosingSchema)
def close_account(given: dict[str, Any]) -> Response:
    if current_user().hashed_password is None:
        refuse_unless_fresh()
        closing.close_confirmed(current_session())
    else:
        closing.close(current_session(), given.get("password", ""))
    cookies.leave()
    return go("/account/login", CLOSED if settings.account_deletion_grace else CLOSED_FOR_GOOD)
