"""The page on which a sign-in with a provider ends that did not succeed: why, and a way on."""

from flask import Response, g

from app.auth.providers import results
from app.auth.providers.settings import Provider
from app.errors import AppError
from app.extensions import db
from app.pages import words
from app.pages.page import render

# Nobody is signed in, and a page cannot be asked for with a header.
FOR_PAGES = {401: 400}


def show(refusal: AppError, provider: Provider) -> Response:
    """What the provider said is in the log, and not on the page: a stranger may have written it."""
    db.session.rollback()
    results.count_refusal(provider, refusal)
    is_signed_in = g.get("session") is not None
    response = render(
        "providers/stopped.html",
        status=FOR_PAGES.get(refusal.status, refusal.status),
        code=refusal.code,
        sentence=words.of(refusal),
        provider=provider,
        is_signed_in=is_signed_in,
        # The path of this page holds a code, and works once.
        here="/account/identities" if is_signed_in else "/account/login",
    )
    response.headers.update(refusal.headers if refusal.status != 401 else {})
    return response
