"""The page for somebody whose address at the provider belongs to an account here.

It leads to the page to log in, where every way into that account works, the
second step too. After that the same browser comes back here, and links.
"""

from flask import Response

from app.access.guards import current_session, freshly_signed_in
from app.access.limits import limited_writes
from app.auth.providers import results, signing_in
from app.auth.providers.errors import AttemptInvalid, IdentityTaken, TooManyIdentities
from app.auth.providers.models import Attempt
from app.auth.providers.settings import Provider
from app.pages.page import Pages, go, render, session_if_any
from app.pages.providers import browser, failure
from app.pages.providers.callback import LINKED

bp = Pages("provider_confirmation", __name__)

PATH = "/account/with/<name>/confirm"


@bp.get(PATH)
def confirm_page(name: str) -> Response:
    provider, session = browser.provider_of(name), session_if_any()
    try:
        waiting = _waiting(provider)
    except AttemptInvalid as refusal:
        return failure.show(refusal, provider)
    is_owner = session is not None and session.user_id == waiting.user_id
    return render(
        "providers/confirm.html",
        provider=provider,
        waiting=waiting,
        state="owner" if is_owner else "other" if session else "nobody",
        path=f"/account/with/{name}/confirm",
    )


@bp.post(PATH)
@freshly_signed_in
@limited_writes
def link_waiting(name: str) -> Response:
    provider = browser.provider_of(name)
    try:
        waiting = _waiting(provider)
        signing_in.confirm(waiting, provider, current_session())
    except (AttemptInvalid, IdentityTaken, TooManyIdentities) as refusal:
        return failure.show(refusal, provider)
    results.count(provider, "linked")
    return browser.drop(go(waiting.next_path, LINKED))


def _waiting(provider: Provider) -> Attempt:
    """What waits at this browser for the owner of an account. Raises ``AttemptInvalid``."""
    waiting = browser.waiting(provider)
    if waiting.user_id is None:
        raise AttemptInvalid
    return waiting
