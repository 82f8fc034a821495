"""How a page is written: a blueprint whose forms answer a refusal with the form itself.

``docs/pages.md`` shows an example.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

import flask
from flask import Response, current_app, g, render_template

from app.access.guards import authenticate_request
from app.errors import AppError, BadRequest
from app.extensions import db
from app.http.blueprint import Decorator, View
from app.http.fields import as_rfc_3339
from app.models import Session
from app.pages import assets, forms, language, menu, next_path, notices, times
from app.pages.forms import EMPTY, Beside, Form, LanguageSwitched
from app.pages.notices import Notice
from config import settings

# `form-action` also stops a redirect to another site after a POST. Pictures may be in a page for
# the QR code of an authenticator app.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    # With `no-referrer`, browsers send `Origin: null` on our own forms.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Vary": "Cookie, Accept-Language",
}


# Shows a page with a form. It gets the form, and the variables of the path by their names.
Show = Callable[..., Response]


class Pages(flask.Blueprint):
    """A blueprint of pages. Each POST is guarded against other sites (``app/access/csrf.py``)."""

    def __init__(self, name: str, import_name: str) -> None:
        # Features give their blueprints names, too, and would like to use the short ones.
        super().__init__(f"{name}_pages", import_name)
        self.before_request(language.choose)

    def get(self, rule: str) -> Decorator:  # type: ignore[override]
        return self._at(rule, "GET", lambda view: view)

    def post(  # type: ignore[override]
        self,
        rule: str,
        *,
        refused: Show | None = None,
        beside: Beside | None = None,
    ) -> Decorator:
        """A form. If it is refused, ``refused`` shows it again, with what was typed.

        ``beside`` says at which field a refusal of the verb is shown. Refusals
        that no form can help with, such as that nobody is signed in, are
        answered by ``app/pages/error_pages.py``.
        """

        def shown_again(view: Callable[..., Any]) -> Callable[..., Any]:
            @wraps(view)
            def submitted(**variables: Any) -> Any:
                typed = forms.read()
                try:
                    return view(**variables)
                except LanguageSwitched as switch:
                    if refused is None:
                        # Only a page that can be shown again has this button.
                        raise BadRequest from None
                    language.switch(switch.locale)
                    return language.keep(refused(forms.after_switch(typed), **variables))
                except forms.Reopened:
                    if refused is None:
                        raise BadRequest from None
                    return refused(Form(forms.returned(typed)), **variables)
                except AppError as refusal:
                    if refused is None or isinstance(refusal, forms.BEYOND_FORMS):
                        raise
                    db.session.rollback()
                    return refused(Form.refused(typed, refusal, beside or {}), **variables)

            setattr(submitted, forms.SHOWN_AGAIN, refused is not None)
            return submitted

        return self._at(rule, "POST", shown_again)

    def _at(self, rule: str, method: str, wrapped: Callable[[Any], Any]) -> Decorator:
        def decorate(view: View) -> View:
            endpoint = f"{view.__name__}_{method.lower()}"
            self.add_url_rule(rule, endpoint, wrapped(view), methods=[method])
            return view

        return decorate


def render(
    template: str, *, form: Form = EMPTY, status: int | None = None, **context: Any
) -> Response:
    """A page. What a form refuses decides its status, unless ``status`` says another one.

    Each template gets ``form``, ``user``, ``notice``, ``menu``, ``language``,
    ``here`` (the path that shows this page again) and ``brand``. ``context``
    may have another ``menu``, and another ``here``.
    """
    session = g.get("session")
    context.setdefault("menu", menu.entries())
    context.setdefault("here", next_path.reopening())
    text = render_template(
        template,
        form=form,
        user=session.user if session else None,
        notice=notices.waiting(),
        language=language.shown(),
        **context,
    )
    response = current_app.response_class(
        text, status or form.status, HEADERS, mimetype="text/html"
    )
    response.headers.update(form.headers)
    notices.clear(response)
    return response


def go(path: str, notice: Notice | None = None) -> Response:
    """Answer a good POST: go on to a path of ours, which shows the notice."""
    # Werkzeug's redirect() drops tabs and line ends: `/<tab>/evil.example` would lead away.
    response = current_app.response_class(status=303, headers={**HEADERS, "Location": url(path)})
    if notice:
        notices.leave(response, notice)
    return response


def session_if_any() -> Session | None:
    """The session of the request, for pages that everybody may open."""
    try:
        return authenticate_request()
    except AppError:
        # There is one, too, where the settings demand a second factor that it lacks.
        session: Session | None = g.get("session")
        return session


def url(path: str) -> str:
    """The path as browsers know it. PUBLIC_URL may have a path, which a proxy takes off."""
    return urlsplit(settings.public_url).path + path


def init_app(app: flask.Flask) -> None:
    """Give templates what all pages use."""
    app.jinja_env.globals.update(
        url=url,
        asset=lambda name: url(assets.path_of(name) or ""),
        label_of=forms.label_of,
        least_password_length=lambda: settings.password_min_length,
    )
    app.jinja_env.filters.update(
        rfc3339=as_rfc_3339, ago=times.ago, exact=times.exact, day=times.day
    )
