"""The page that links in mails open, until an application has its own pages.

Opening a link changes nothing, because mail scanners open links. The page reads
the token from the fragment, which never reaches a server. It posts the token
on a click.
"""

from pathlib import Path

from flask import Blueprint, Response, send_from_directory

from app.errors import NotFound

HERE = Path(__file__).parent
PAGES = (
    "verify-email",
    "reset-password",
    "accept-invitation",
    "confirm-email",
    "undo-email-change",
    "not-me",
)
ASSETS = ("page.js", "page.css")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)

bp = Blueprint("account", __name__)


@bp.get("/account/<name>")
def page(name: str) -> Response:
    if name in ASSETS:
        return send_from_directory(HERE, name)
    if name not in PAGES:
        raise NotFound
    response = send_from_directory(HERE, "index.html")
    response.headers["Content-Security-Policy"] = POLICY
    return response
