"""Where a provider sends people back to."""

from collections.abc import Mapping
from urllib.parse import urlencode

from flask import Response, request
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import MethodNotAllowed

from app.access import cookies, csrf
from app.access.levels import before_second_step
from app.access.limits import TOKEN, limited
from app.auth.providers import results, signing_in
from app.auth.providers.attempts import Purpose
from app.auth.providers.errors import AttemptInvalid
from app.auth.providers.models import Attempt
from app.auth.providers.settings import Provider
from app.auth.providers.signing_in import Next, Outcome
from app.auth.sessions.handover import Handover
from app.errors import AppError, FreshTokenRequired, MfaRequired, NotFound
from app.models import Session
from app.pages import notices
from app.pages.next_path import with_next
from app.pages.page import Pages, go, session_if_any, url
from app.pages.providers import begin, browser, failure
from app.pages.sign_in import ticket
from app.pages.sign_in.arriving import arrive
from app.pages.sign_in.login import SECOND_STEP
from app.pages.sign_in.ticket import Ticket

bp = Pages("provider_callback", __name__)

CALLBACK = "/account/with/<name>/callback"
# Every other parameter is ignored, as RFC 6749 §4.1.2 asks.
PARAMETERS = ("state", "code", "iss", "error")

LINKED = notices.declare("identity_linked", "The account is linked. You can log in with it.")


@bp.get(CALLBACK)
@before_second_step
@limited(TOKEN)
def callback(name: str) -> Response:
    provider = browser.provider_of(name)
    if request.method == "HEAD":
        # It must change nothing, and an answer of the provider is used up.
        raise MethodNotAllowed(["GET", "POST"])
    session, held = session_if_any(), browser.sent()
    try:
        answer = _answer(request.args)
        attempt = signing_in.answered(provider, answer, held, session)
    except AttemptInvalid as refusal:
        return failure.show(refusal, provider)
    return _go_on(provider, attempt, answer, held or "", session)


@bp.post(CALLBACK)
@csrf.from_other_sites
@limited(TOKEN)
def callback_by_form(name: str) -> Response:
    """The answer of a provider that sends a form (``response_mode=form_post``), like Apple.

    Browsers send none of our cookies with a form of another site. So this only
    shows a page of ours that goes on to the GET above, with the cookies.
    """
    provider = browser.provider_of(name)
    if not provider.answers_by_form:
        raise NotFound
    try:
        answer = _answer(request.form)
    except AttemptInvalid as refusal:
        return failure.show(refusal, provider)
    goal = url(f"/account/with/{name}/callback?{urlencode(answer)}")
    return begin.show(goal, provider.label)


def _answer(sent: MultiDict[str, str]) -> dict[str, str]:
    if any(len(sent.getlist(name)) > 1 for name in PARAMETERS):
        raise AttemptInvalid
    return {name: sent[name] for name in PARAMETERS if name in sent}


def _go_on(
    provider: Provider,
    attempt: Attempt,
    answer: Mapping[str, str],
    held: str,
    session: Session | None,
) -> Response:
    purpose, next_path = attempt.purpose, attempt.next_path
    if purpose == Purpose.LOGIN:
        cookies.hold_session()
    try:
        outcome = signing_in.go_on(provider, attempt, answer, held, session)
    except MfaRequired as due:
        results.count(provider, due.code)
        waiting = Ticket(due.members["mfa_token"], remember=False)
        step = go(with_next(SECOND_STEP, next_path))
        carried = ticket.carry(step, waiting, seconds=due.members["expires_in"])
        return browser.drop_unless_awaited(carried)
    except FreshTokenRequired:
        # Only a second factor is enough here, and a provider is not one.
        return browser.drop(go(with_next("/account/reauthenticate", next_path)))
    except AppError as refusal:
        return failure.show(refusal, provider, purpose=purpose, next_path=next_path)
    return _arrive(provider, attempt, outcome, held)


def _arrive(provider: Provider, attempt: Attempt, outcome: Outcome, held: str) -> Response:
    if isinstance(outcome, Handover):
        return browser.drop_unless_awaited(arrive(attempt.next_path, outcome))
    results.count(provider, outcome.name.lower())
    if outcome in (Next.CONFIRM, Next.NEW_ACCOUNT):
        return browser.keep(go(f"/account/with/{provider.name}/{outcome}"), held)
    notice = LINKED if outcome is Next.LINKED else None
    return browser.drop(go(attempt.next_path, notice))
