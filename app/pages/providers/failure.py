"""The page on which a sign-in with a provider ends that did not succeed: why, and a way on."""

from flask import Response, g

from app.auth.providers import results
from app.auth.providers.attempts import Purpose
from app.auth.providers.settings import Provider
from app.errors import AppError
from app.extensions import db
from app.pages import words
from app.pages.next_path import HOME, with_next
from app.pages.page import render
from app.pages.providers.offering import IDENTITIES

# A 401 asks for a token in a header, which browsers do not send.
FOR_PAGES = {401: 400}


def show(
    refusal: AppError, provider: Provider, *, purpose: str = "", next_path: str = HOME
) -> Response:
    """Why it did not succeed, and a way back to where it was begun, with what was asked for.

    The log has the provider's words, and the page does not: a stranger may have
    written them.
    """
    db.session.rollback()
    results.count_refusal(provider, refusal)
    is_signed_in = g.get("session") is not None
    if not is_signed_in:
        back = with_next("/account/login", next_path)
    elif purpose == Purpose.REAUTHENTICATE:
        back = with_next("/account/reauthenticate", next_path)
    else:
        back = IDENTITIES
    response = render(
        "providers/stopped.html",
        status=FOR_PAGES.get(refusal.status, refusal.status),
        code=refusal.code,
        sentence=words.of(refusal),
        provider=provider,
        is_signed_in=is_signed_in,
        proves_again=purpose == Purpose.REAUTHENTICATE,
        next=next_path,
        back=back,
        # The path of this page holds a code, and works once.
        here=back,
    )
    response.headers.update(refusal.headers if refusal.status != 401 else {})
    return response
