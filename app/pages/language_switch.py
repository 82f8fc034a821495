"""The switch to another language, for pages without a form.

On a page with a form the switch is a button of that form, so that it keeps
what was typed, also without JavaScript (``app/pages/page.py``).
"""

from typing import Any

from flask import Response

from app.http.fields import OneOf, Schema
from app.http.languages import LOCALES
from app.pages import language, next_path
from app.pages.forms import takes_form
from app.pages.page import Pages, go, session_if_any

bp = Pages("language", __name__)


class LanguageSchema(Schema):
    locale = OneOf(LOCALES, required=True)


@bp.post("/account/language")
@takes_form(LanguageSchema)
def switch_language(given: dict[str, Any]) -> Response:
    session_if_any()
    language.switch(given["locale"])
    return language.keep(go(next_path.wanted()))
