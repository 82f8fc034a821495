"""How a mailed link ends: with a sentence, and a way on."""

from flask import Response

from app.pages import notices
from app.pages.notices import Notice
from app.pages.page import go, render
from config import settings


def end(notice: Notice) -> Response:
    """Say what was done, on the page to log in. Without that page, the answer says it itself."""
    if settings.pages:
        return go("/account/login", notice)
    return render("mailed_links/done.html", sentence=notices.sentence_of(notice))
