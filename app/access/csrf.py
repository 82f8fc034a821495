"""Refusing what another site makes a browser send (cross-site request forgery, CSRF).

A browser adds our cookies to requests of other sites too. So each unsafe
request that a cookie authenticates, and each form, must come from our own
origin. A form also shows that it was made for this browser.
"""

import secrets

from flask import Flask, Response, after_this_request, current_app, g, request

from app.access import cookies
from app.errors import CsrfFailed, FormExpired, UnsupportedMediaType
from app.http.blueprint import View, is_documented
from app.http.parsing import FORM as FORM_TYPE
from app.http.problems import JSON
from app.security import random_tokens
from config import settings
from configuration.hosts import origin_of

SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))
# The media types of forms. Before a script of another site sends another type, browsers ask us.
FORM_TYPES = frozenset(("", FORM_TYPE, "multipart/form-data", "text/plain"))
# The hidden field of each form, and the cookie to which it belongs while nobody is signed in.
FIELD = "csrf_token"
FORM = "__Host-form"

_MARK = "takes_forms_of_other_sites"


def init_app(app: Flask) -> None:
    """Guard the views that are not calls of the API, and give templates the token of forms."""
    app.before_request(_guard_form)
    app.jinja_env.globals["csrf_token"] = form_token


def from_other_sites(view: View) -> View:
    """Let other sites send this form. It must change nothing, because anybody may send it."""
    setattr(view, _MARK, True)
    return view


def is_unsafe() -> bool:
    """Whether the request may change something (RFC 9110 §9.2.1)."""
    return request.method not in SAFE_METHODS


def refuse_other_origins() -> None:
    """Raises ``CsrfFailed`` unless the browser says that a page of our own origin sends this."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        is_ours = site == "same-origin"
    else:
        # Browsers before 2023. A request with neither header says nothing, and is refused.
        origin = origin_of(request.headers.get("Origin", ""))
        is_ours = origin is not None and origin == _own_origin()
    if not is_ours:
        raise CsrfFailed


def refuse_other_types() -> None:
    """Stop a call of the API whose body is not JSON. A form of another site cannot send JSON.

    Raises ``UnsupportedMediaType``.
    """
    if is_unsafe() and _is_api_call() and request.mimetype != JSON and request.get_data():
        raise UnsupportedMediaType


def form_token() -> str:
    """The value of the hidden field. It belongs to the session's cookie, or to that of forms."""
    secret = (cookies.session_secret() if "session" in g else None) or _form_secret()
    salt = secrets.token_urlsafe(12)
    return f"{salt}.{_seal(salt, secret)}"


def _guard_form() -> None:
    if not is_unsafe() or request.url_rule is None or _is_api_call() or _has_bearer_token():
        return
    if getattr(current_app.view_functions[request.url_rule.endpoint], _MARK, False):
        return
    is_form = request.mimetype in FORM_TYPES
    if not is_form and cookies.SESSION not in request.cookies:
        # A program sends this, such as the webhook of another service.
        return
    refuse_other_origins()
    if not is_form:
        return
    # Keep the body for views that read it themselves.
    request.get_data()
    # Where browsers keep no cookies of ours, nobody is signed in by one, and the origin is enough.
    if cookies.are_possible() and not _is_of_this_browser(request.form.get(FIELD, "")):
        raise FormExpired


def _is_api_call() -> bool:
    return is_documented(current_app.blueprints.get(request.blueprint or ""))


def _has_bearer_token() -> bool:
    """Whether the request is a program's. No form can send this header, and cookies are ignored."""
    authorization: str = request.environ.get("HTTP_AUTHORIZATION", "")
    return authorization.startswith("Bearer ")


def _is_of_this_browser(token: str) -> bool:
    salt, _, seal = token.partition(".")
    held = [request.cookies.get(name) for name in (cookies.SESSION, FORM)]
    return any(
        secrets.compare_digest(seal.encode(), _seal(salt, secret).encode())
        for secret in held
        if secret
    )


def _seal(salt: str, secret: str) -> str:
    # The salt makes each page's token another one, so that the size of a compressed page does not
    # tell it bit by bit (the BREACH attack).
    return random_tokens.digest(f"{salt}.{secret}")


def _form_secret() -> str:
    sent = request.cookies.get(FORM)
    if sent:
        return sent
    if "form_secret" not in g:
        g.form_secret = random_tokens.make()
        after_this_request(_set_form_cookie)
    made: str = g.form_secret
    return made


def _set_form_cookie(response: Response) -> Response:
    cookies.write(response, FORM, g.form_secret)
    return response


def _own_origin() -> tuple[str, str, int | None] | None:
    scheme, _, rest = settings.public_url.partition("://")
    return origin_of(f"{scheme}://{rest.partition('/')[0]}")
