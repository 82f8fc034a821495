"""Each call and each page that writes or exports has a limit, or a reason to have none."""

import re
from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from app.access.csrf import SAFE_METHODS
from app.access.limit_storage import BoundedMemoryStorage, Taken
from app.models import User
from tests.auth.providers.acme import offered
from tests.pages.person import signed_in

# A limit must keep nobody from these. They end or forget something, so they write nothing once
# there is nothing left to end.
ENDINGS = {
    "DELETE /api/v1/auth/keys/<uuid:key_id>",
    "DELETE /api/v1/auth/remembered-devices",
    "DELETE /api/v1/auth/remembered-devices/<uuid:device_id>",
    "DELETE /api/v1/auth/sessions/<uuid:session_id>",
    "POST /api/v1/auth/logout",
    "POST /account/devices/<uuid:session_id>",
    "POST /account/devices/everywhere",
    "POST /account/devices/others",
    "POST /account/keys/<uuid:key_id>/revoke",
    "POST /account/logout",
    "POST /account/security/remembered-devices/<uuid:device_id>/forget",
    "POST /account/security/remembered-devices/forget",
}
# What administrators do with the accounts of others.
ADMINISTRATION = re.compile("[A-Z]+ /(admin|api/v1/roles|api/v1/users(?!/me))(/|$)")
EXPORTS = {
    "GET /api/v1/users/me/export",
    "POST /account/export",
    "POST /admin/audit/export",
    "POST /admin/users/export",
}
ID = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def asks(
    app: Flask, grace: User, set_settings: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., bool]]:
    """Whether the form or the call of a signed-in administrator asks a limit. All are used up."""
    person = signed_in(app, grace)
    token = person.open("/account").form("/account").fields["csrf_token"]
    asked: list[str] = []

    def refuse(_: BoundedMemoryStorage, key: str, *numbers: int) -> Taken:
        asked.append(key)
        return Taken(False, 0, 1.0)

    set_settings(ratelimit_enabled=True)
    monkeypatch.setattr(BoundedMemoryStorage, "take", refuse)

    def asks_one(route: str, **fields: str) -> bool:
        method, rule = route.split()
        path = re.sub("<uuid:[a-z_]+>", ID, re.sub("<digits:[a-z_]+>", "1", rule))
        is_form = method == "POST" and not path.startswith("/api/")
        asked.clear()
        person.ask(
            method,
            path.replace("<name>", "acme"),
            data=fields | {"csrf_token": token} if is_form else None,
        )
        return bool(asked)

    with offered(app):
        yield asks_one


def unsafe_routes(app: Flask) -> set[str]:
    return {
        f"{method} {rule.rule}"
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - SAFE_METHODS
    }


def test_every_other_route_that_writes_has_a_limit(app: Flask, asks: Callable[..., bool]) -> None:
    routes = unsafe_routes(app)
    of_administration = {route for route in routes if ADMINISTRATION.match(route)}
    limited = routes - ENDINGS - of_administration | EXPORTS

    assert routes > ENDINGS
    assert {route for route in limited if not asks(route, locale="zh")} == set()


def test_the_file_of_chosen_people_is_an_export(grace: User, asks: Callable[..., bool]) -> None:
    chosen = {f"user-{grace.id}": "true"}

    assert asks("POST /admin/users/selected", action="export", **chosen)
    assert not asks("POST /admin/users/selected", action="end-sessions", **chosen)
