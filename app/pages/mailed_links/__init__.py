"""The page that links in mails open, until an application has its own pages.

Opening a link changes nothing, because mail scanners open links. The page reads
the token from the fragment, which never reaches a server. It posts the token
on a click.
"""

from pathlib import Path

from flask import Blueprint, Response, send_from_directory

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

bp = Blueprint("mailed_links", __name__)


def page() -> Response:
    response = send_from_directory(HERE, "index.html")
    response.headers["Content-Security-Policy"] = POLICY
    return response


def asset(name: str) -> Response:
    return send_from_directory(HERE, name)


for _name in PAGES:
    bp.add_url_rule(f"/account/{_name}", _name, page)
for _name in ASSETS:
    bp.add_url_rule(f"/account/{_name}", _name.replace(".", "_"), asset, defaults={"name": _name})
