"""The page on which somebody who comes from a provider for the first time chooses a username."""

from typing import Any

from flask import Response

from app.access import cookies
from app.access.limits import REGISTER, limited
from app.auth.fields import Email, Username
from app.auth.providers import attempts, new_account, signing_in, usernames
from app.auth.providers.errors import AttemptInvalid, IdentityTaken, RegistrationClosed
from app.auth.providers.models import Attempt
from app.auth.providers.settings import Provider
from app.errors import EmailNotVerified, EmailTaken, UsernameTaken
from app.http.fields import Schema, Text
from app.pages import language
from app.pages.forms import Form, takes_form
from app.pages.page import Pages, go, render, session_if_any
from app.pages.providers import browser, failure
from app.pages.sign_in.arriving import arrive
from app.pages.sign_in.register import MAILED, REGISTERED
from config import settings

bp = Pages("provider_new_account", __name__)

PATH = "/account/with/<name>/new-account"


class NewAccountSchema(Schema):
    username = Username(required=True)
    email = Email(required=True)
    # Which sign-in the page showed. ``browser.waiting`` compares it.
    attempt = Text()


def show(form: Form, name: str) -> Response:
    provider = browser.provider_of(name)
    try:
        waiting = _waiting(provider)
        signing_in.refuse_if_registration_is_closed()
    except (AttemptInvalid, RegistrationClosed) as refusal:
        return failure.show(refusal, provider)
    if not form.values:
        suggested = usernames.suggested(waiting.username or "")
        form = Form({"username": suggested, "email": waiting.email or ""})
    return render(
        "providers/new_account.html",
        form=form,
        provider=provider,
        waiting=waiting,
        path=f"/account/with/{name}/new-account",
    )


@bp.get(PATH)
def new_account_page(name: str) -> Response:
    session_if_any()
    return show(Form(), name)


@bp.post(PATH, refused=show, beside={EmailTaken: "email", UsernameTaken: "username"})
@limited(REGISTER)
@takes_form(NewAccountSchema)
def make_account(given: dict[str, Any], name: str) -> Response:
    provider = browser.provider_of(name)
    given.pop("attempt", None)
    given["locale"] = language.current()
    cookies.hold_session()
    try:
        waiting = _waiting(provider)
        make = new_account.make_quietly if settings.hide_account_existence else new_account.make
        begun = make(provider, attempts.visitor_of(waiting), attempt=waiting, **given)
    except EmailNotVerified:
        # The account is there. The mail that confirms its address is on its way.
        return browser.drop(go("/account/login", REGISTERED))
    except (AttemptInvalid, IdentityTaken, RegistrationClosed) as refusal:
        return failure.show(refusal, provider)
    if begun is None:
        return browser.drop(go("/account/login", MAILED))
    return browser.drop(arrive(waiting.next_path, begun))


def _waiting(provider: Provider) -> Attempt:
    """What waits at this browser for a new account. Raises ``AttemptInvalid``."""
    waiting = browser.waiting(provider)
    if waiting.user_id is not None:
        raise AttemptInvalid
    return waiting
