"""The button of a provider: a POST, whose answer is a page that goes on to the provider."""

from typing import Any

from flask import Response

from app.access import cookies, levels, rescues
from app.access.guards import authenticate_request, fresh_until
from app.access.levels import before_second_step
from app.access.limits import TOKEN, limited
from app.auth.providers import signing_in
from app.auth.providers.attempts import Purpose
from app.auth.providers.errors import ProviderFailed
from app.errors import BadRequest
from app.http.fields import OneOf, Schema
from app.models import Session
from app.pages import next_path
from app.pages.forms import takes_form
from app.pages.next_path import with_next
from app.pages.page import Pages, go, render
from app.pages.providers import browser, failure, offering
from app.pages.providers.offering import IDENTITIES

bp = Pages("providers", __name__)
bp.record(lambda state: offering.add_to_templates(state.app.jinja_env))


class BeginSchema(Schema):
    purpose = OneOf((Purpose.LOGIN, Purpose.LINK, Purpose.REAUTHENTICATE), load_default="login")


@bp.post("/account/with/<name>")
# Somebody whose account must have a second factor may prove again who they are.
@before_second_step
@limited(TOKEN)
@takes_form(BeginSchema)
def begin_with_provider(given: dict[str, Any], name: str) -> Response:
    """A redirect to another site after a POST is blocked by `form-action`, and a page is not."""
    provider = browser.provider_of(name)
    if not cookies.are_possible():
        raise BadRequest
    purpose, session = Purpose(given["purpose"]), None
    if purpose is not Purpose.LOGIN:
        session = authenticate_request()
    if purpose is Purpose.LINK and session is not None:
        if fresh_until() is None:
            return go(with_next("/account/reauthenticate", IDENTITIES))
        rescues.refuse_before_new_password(session.user)
        _refuse_below_demand(session)
    held, wanted = browser.secret(), next_path.wanted()
    try:
        goal = signing_in.begin(provider, purpose, held, session=session, next_path=wanted)
    except ProviderFailed as refusal:
        return failure.show(refusal, provider, purpose=purpose, next_path=wanted)
    return browser.keep(show(goal, provider.label), held)


def show(goal: str, label: str) -> Response:
    """The page that goes on. It does so without a script."""
    return render("providers/going.html", goal=goal, label=label)


def _refuse_below_demand(session: Session) -> None:
    levels.refuse_without_demanded_level(session)
    levels.refuse_below_own_factor(session)
