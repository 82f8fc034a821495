"""The page of the second step: a login whose first proof was right waits for a code."""

from datetime import timedelta
from typing import Any

from flask import Response

from app.access import cookies
from app.access.limits import TOKEN, limited
from app.auth.mfa import methods, second_step, tickets
from app.auth.mfa.errors import MfaTicketInvalid
from app.auth.mfa.models import MfaTicket
from app.auth.mfa.settings import MfaSettings
from app.auth.proof_fields import SecondProofSchema
from app.errors import InvalidCredentials, WrongFactor
from app.http.fields import Flag
from app.pages import next_path, notices, times
from app.pages.forms import EMPTY, Form, takes_form
from app.pages.next_path import with_next
from app.pages.notices import Notice
from app.pages.page import Pages, go, render
from app.pages.sign_in import codes, ticket
from app.pages.sign_in.arriving import arrive
from config import settings

bp = Pages("second_step", __name__)

OVER = notices.declare(
    "login_over", "This login cannot be continued. Log in again.", is_refusal=True
)
TOO_MANY = notices.declare(
    "too_many_codes", "You tried too many wrong codes. Log in again to go on.", is_refusal=True
)


class SecondStepPageSchema(SecondProofSchema):
    remember_device = Flag()


def show(form: Form) -> Response:
    waiting = _waiting_login()
    if waiting is None:
        return _begin_again(OVER)
    usable = methods.usable_by(waiting.user_id)
    return render(
        "sign_in/second_step.html",
        form=form,
        next=next_path.wanted(),
        methods=usable,
        codes=codes.asked_for(usable, form),
        remembered_for=_remembered_for(settings.of(MfaSettings).remember_device_lifetime),
    )


@bp.get("/account/second-step")
def second_step_page() -> Response:
    return show(EMPTY)


@bp.post("/account/second-step", refused=show, beside={WrongFactor: codes.FIELDS})
@limited(TOKEN)
@takes_form(SecondStepPageSchema)
def finish_login(given: dict[str, Any]) -> Response:
    held = ticket.carried()
    if held is None:
        return _begin_again(OVER)
    cookies.hold_session(remember=held.remember)
    try:
        begun = second_step.go_on({"mfa_token": held.mfa_token, **given})
    except (MfaTicketInvalid, InvalidCredentials):
        # The second one says that the account has changed since the password was given.
        return _begin_again(OVER)
    except WrongFactor as wrong:
        if wrong.members["tries_left"]:
            raise
        return _begin_again(TOO_MANY)
    return ticket.drop(arrive(next_path.wanted(), begun))


def _waiting_login() -> MfaTicket | None:
    held = ticket.carried()
    try:
        return tickets.find(held.mfa_token) if held else None
    except MfaTicketInvalid:
        return None


def _begin_again(why: Notice) -> Response:
    return ticket.drop(go(with_next("/account/login", next_path.wanted()), why))


def _remembered_for(lifetime: timedelta) -> str | None:
    """How long a device is remembered, in words; ``None`` if devices are not remembered."""
    return times.span(lifetime) if lifetime else None
