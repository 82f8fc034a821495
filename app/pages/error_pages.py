"""Errors as people see them: a page in a browser, or the page that helps.

A program that calls the same path gets a problem document, and so does
everybody who calls the API.
"""

import logging
from collections.abc import Mapping, Sequence

from flask import Flask, current_app, request
from flask_babel import gettext
from werkzeug.sansio.response import Response

from app.errors import FormExpired
from app.http import problems
from app.http.blueprint import is_documented
from app.http.request_id import request_id
from app.pages import forms, language, next_path
from app.pages.page import Pages, go, render
from config import settings

log = logging.getLogger(__name__)

# What is read by programs alone.
OF_PROGRAMS = ("/api", "/healthz", "/readyz", "/metrics", "/openapi.json", "/.well-known")

# Nobody is signed in.
TO_LOGIN = ("not_authenticated", "invalid_token", "token_expired", "session_ended")

PASSING = ("rate_limited", "internal_error", "unavailable", "overloaded")

# Code → heading and sentence. A status that is missing here has those of 400.
WORDS = {
    "bad_request": (
        "This did not work",
        "The page was asked for in a way that we cannot understand.",
    ),
    "csrf_failed": (
        "Send the form once more",
        "The form is too old, or it was not sent from this site. Nothing was changed.",
    ),
    "not_enough_permissions": ("Not for you", "Your account may not open this page."),
    "password_reset_required": (
        "Set a new password first",
        "Use the link in the mail that we sent you. This cannot be done before.",
    ),
    "not_found": ("There is nothing here", "The address is wrong, or the page is gone."),
    "method_not_allowed": ("This did not work", "This address cannot be opened in a browser."),
    "rate_limited": ("Too many attempts", "Wait a moment, and try again."),
    "internal_error": (
        "Something went wrong",
        "The fault is on our side. If you tell us about it, name the number below.",
    ),
    "unavailable": ("Not available", "This cannot be done right now. Try again in a moment."),
}


# The sentence where a form comes back.
FORM_KEPT = "The form is too old. Nothing was changed, and what you typed is kept."


def init_app(app: Flask) -> None:
    problems.answer_first(app, answer)
    app.register_error_handler(FormExpired, keep_what_was_typed)


def keep_what_was_typed(error: FormExpired) -> Response:
    """Lead back to the form, with what was typed.

    The form comes from this site (``app/access/csrf.py``). Its person logged in or out in another
    tab, for example. The way back passes all guards of the form again.
    """
    view = current_app.view_functions[request.endpoint or ""]
    if forms.can_be_reopened(view) and _prefers_html():
        language.choose()
        if page := _page(error.status, error.code, error.headers, forms.kept(request.form)):
            return page
    return problems.as_response(error)


def answer(status: int, code: str, headers: Mapping[str, str]) -> Response | None:
    """The answer to an error if it is for a person, else ``None``."""
    blueprint = current_app.blueprints.get(request.blueprint or "")
    is_ours = isinstance(blueprint, Pages)
    if not is_ours and (is_documented(blueprint) or not _wants_page()):
        return None
    language.choose()
    if helping := _helping_page(code):
        return go(helping)
    return _page(status, code, headers) if _prefers_html() else None


def _wants_page() -> bool:
    is_of_programs = any(
        request.path == path or request.path.startswith(f"{path}/") for path in OF_PROGRAMS
    )
    return settings.pages and not is_of_programs and _prefers_html()


def _prefers_html() -> bool:
    accepted = request.accept_mimetypes
    return accepted["text/html"] > accepted["application/json"]


def _helping_page(code: str) -> str | None:
    """Where a person can do what is missing. Programs show who they are by a header."""
    if not settings.pages or "Authorization" in request.headers:
        return None
    if code in TO_LOGIN:
        return next_path.with_next("/account/login", next_path.reopening())
    if code == "fresh_token_required":
        return next_path.with_next("/account/reauthenticate", next_path.reopening())
    if code == "mfa_enrollment_required":
        return "/account/security"
    return None


def _may_help_again(code: str) -> bool:
    """Whether the same page may work at the next try."""
    return code == "csrf_failed" or (code in PASSING and request.method == "GET")


def _page(
    status: int, code: str, headers: Mapping[str, str], kept: Sequence[tuple[str, str]] = ()
) -> Response | None:
    heading, sentence = WORDS.get(code, WORDS["bad_request"])
    try:
        page = render(
            "errors/error.html",
            status=status,
            code=code,
            heading=gettext(heading),
            sentence=gettext(FORM_KEPT if kept else sentence),
            kept=kept,
            way_on=next_path.reopening() if _may_help_again(code) else None,
            request_id=request_id(),
        )
    except Exception:
        # A template of the operator may be wrong, and this may be the page that says so.
        log.exception("the page for an error cannot be shown")
        return None
    page.headers.update(headers)
    return page
