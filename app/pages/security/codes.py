"""The page that shows recovery codes. It is the answer to the POST that made them."""

from collections.abc import Sequence
from urllib.parse import quote

from flask import Response
from flask_babel import gettext

from app.access.guards import current_user
from app.pages.page import render
from config import settings


def show(codes: Sequence[str], done: str | None = None) -> Response:
    """Show the codes this once. ``done`` says what has happened before."""
    return render("security/codes.html", codes=codes, done=done, download=f"data:{_file_of(codes)}")


def _file_of(codes: Sequence[str]) -> str:
    """A text file, as the part of a data URL after its scheme.

    The browser makes the file itself, so the codes do not travel once more.
    """
    title = gettext(
        "Recovery codes of %(user)s at %(product)s",
        user=current_user().username,
        product=settings.brand.name,
    )
    text = "\r\n".join([title, "", *codes, ""])
    return f"text/plain;charset=utf-8,{quote(text)}"
