"""Which pages are open. A page that is not named here asks who is there."""

import re

from flask import Flask

from app.pages.mailed_links.kinds import PAGES as MAILED
from tests.pages.person import Person
from tests.pages.routes import page_routes

# Everybody may open these, or send their form.
OPEN = {
    *("GET /", "GET /.well-known/change-password", "GET /account/assets/<name>"),
    *("GET /account/login", "POST /account/login", "POST /account/logout"),
    *("POST /account/language", "POST /account/login/passkey"),
    *("GET /account/register", "POST /account/register"),
    *("GET /account/forgot", "POST /account/forgot"),
    *(f"GET /account/{name}" for name in MAILED),
    *(f"POST /account/{name}{below}" for name in MAILED for below in ("", "/check")),
    *("GET /account/verify-email/new-link", "POST /account/verify-email/new-link"),
    *("GET /account/reset-password/new-link", "POST /account/reset-password/new-link"),
    # The sign-in with a provider. Only the browser that began it gets further.
    *("POST /account/with/<name>", "GET /account/with/<name>/confirm"),
    *(f"{method} /account/with/<name>/callback" for method in ("GET", "POST")),
    *(f"{method} /account/with/<name>/new-account" for method in ("GET", "POST")),
}
ID = "00000000-0000-4000-8000-000000000000"


def test_every_other_page_leads_nobody_to_the_login(app: Flask, visitor: Person) -> None:
    token = visitor.open("/account/login").form().fields["csrf_token"]
    routes = {f"{method} {rule}" for method, rule in page_routes(app)}
    assert routes >= OPEN

    for route in sorted(routes - OPEN):
        method, rule = route.split()
        path = re.sub(r"<uuid:\w+>", ID, re.sub(r"<(?:digits|int):\w+>", "1", rule))
        answer = visitor.ask(method, path, data={"csrf_token": token} if method == "POST" else None)

        assert answer.status_code == 303, route
        assert answer.headers["Location"].startswith("/account/login"), route
