"""Who may: every route, for nobody, for a user and for a superuser."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.access import permissions
from app.models import User
from tests.factories import (
    API,
    bearer,
    give_role,
    log_in,
    make_role,
    problem,
    refresh,
    take_roles,
)
from tests.pages.routes import is_page

# What each call answers, with an empty JSON object as its body where it takes one. Statuses
# under 401 and over 403 come from behind the door. Ids are somebody else's.
ROUTES = {
    # call: (nobody, user, superuser)
    f"POST {API}/auth/register": (422, 422, 422),
    f"POST {API}/auth/login": (422, 422, 422),
    f"POST {API}/auth/refresh": (401, 401, 401),  # the access token is no refresh token
    f"POST {API}/auth/logout": (401, 204, 204),
    f"GET {API}/auth/sessions": (401, 200, 200),
    f"DELETE {API}/auth/sessions/<uuid:session_id>": (401, 404, 404),
    f"GET {API}/auth/sessions/current": (401, 200, 200),
    f"POST {API}/auth/mfa": (422, 422, 422),
    f"GET {API}/auth/factors": (401, 200, 200),
    f"PUT {API}/auth/factors/second-step": (401, 422, 422),
    f"POST {API}/auth/factors/totp": (401, 201, 201),
    f"POST {API}/auth/factors/totp/confirm": (401, 422, 422),
    f"DELETE {API}/auth/factors/totp": (401, 404, 404),
    f"POST {API}/auth/factors/recovery-codes": (401, 409, 409),
    f"GET {API}/auth/remembered-devices": (401, 200, 200),
    f"DELETE {API}/auth/remembered-devices": (401, 204, 204),
    f"DELETE {API}/auth/remembered-devices/<uuid:device_id>": (401, 404, 404),
    f"POST {API}/auth/passkeys/login-options": (200, 200, 200),
    f"POST {API}/auth/passkeys/login": (422, 422, 422),
    f"POST {API}/auth/passkeys/options": (401, 200, 200),
    f"POST {API}/auth/passkeys": (401, 422, 422),
    f"PATCH {API}/auth/passkeys/<uuid:passkey_id>": (401, 422, 422),
    f"DELETE {API}/auth/passkeys/<uuid:passkey_id>": (401, 404, 404),
    f"POST {API}/auth/mfa/passkey-options": (422, 422, 422),
    f"POST {API}/auth/reauthenticate/passkey-options": (401, 200, 200),
    f"GET {API}/users/<digits:user_id>/factors": (401, 403, 200),
    f"DELETE {API}/users/<digits:user_id>/factors": (401, 403, 204),
    f"POST {API}/auth/keys": (401, 422, 422),
    f"GET {API}/auth/keys": (401, 200, 200),
    f"PATCH {API}/auth/keys/<uuid:key_id>": (401, 404, 404),
    f"DELETE {API}/auth/keys/<uuid:key_id>": (401, 404, 404),
    f"POST {API}/auth/keys/<uuid:key_id>/rotate": (401, 404, 404),
    f"GET {API}/users/<digits:user_id>/keys": (401, 403, 200),
    f"DELETE {API}/users/<digits:user_id>/keys/<uuid:key_id>": (401, 403, 404),
    f"GET {API}/auth/providers": (200, 200, 200),
    # No provider is set up.
    f"POST {API}/auth/providers/<name>/nonce": (404, 404, 404),
    f"POST {API}/auth/providers/<name>/id-token": (422, 422, 422),
    f"GET {API}/auth/identities": (401, 200, 200),
    f"DELETE {API}/auth/identities/<digits:identity_id>": (401, 404, 404),
    f"POST {API}/auth/password/set": (401, 422, 422),
    f"POST {API}/auth/reauthenticate": (401, 422, 422),
    f"POST {API}/auth/token": (415, 415, 415),  # it takes a form
    f"POST {API}/auth/revoke": (415, 415, 415),
    f"POST {API}/auth/password/change": (401, 422, 422),
    f"POST {API}/auth/password/forgot": (422, 422, 422),
    f"POST {API}/auth/password/reset": (422, 422, 422),
    f"POST {API}/auth/not-me": (422, 422, 422),
    f"POST {API}/auth/email/resend": (422, 422, 422),
    f"POST {API}/auth/email/verify": (422, 422, 422),
    f"POST {API}/auth/email/change": (401, 422, 422),
    f"POST {API}/auth/email/change/confirm": (422, 422, 422),
    f"POST {API}/auth/email/change/cancel": (422, 422, 422),
    f"GET {API}/users/me": (401, 200, 200),
    f"PUT {API}/users/me": (401, 200, 200),
    f"PATCH {API}/users/me": (401, 200, 200),
    f"DELETE {API}/users/me": (401, 422, 422),
    f"GET {API}/users/me/export": (401, 200, 200),
    f"GET {API}/users/me/activity": (401, 200, 200),
    f"GET {API}/users/<digits:user_id>": (401, 403, 200),
    f"GET {API}/users": (401, 403, 200),
    f"POST {API}/users": (401, 403, 422),
    f"PATCH {API}/users/<digits:user_id>": (401, 403, 200),
    f"DELETE {API}/users/<digits:user_id>": (401, 403, 204),
    f"GET {API}/users/<digits:user_id>/sessions": (401, 403, 200),
    f"DELETE {API}/users/<digits:user_id>/sessions": (401, 403, 204),
    f"POST {API}/users/<digits:user_id>/password-reset": (401, 403, 202),
    f"GET {API}/users/<digits:user_id>/audit": (401, 403, 200),
    f"GET {API}/users/audit": (401, 403, 200),
    f"GET {API}/users/<digits:user_id>/roles": (401, 403, 200),
    f"PUT {API}/users/<digits:user_id>/roles": (401, 403, 422),
    f"GET {API}/roles": (401, 403, 200),
    f"POST {API}/roles": (401, 403, 422),
    f"GET {API}/roles/permissions": (401, 403, 200),
    f"GET {API}/roles/<digits:role_id>": (401, 403, 200),
    f"PATCH {API}/roles/<digits:role_id>": (401, 403, 200),
    f"DELETE {API}/roles/<digits:role_id>": (401, 403, 204),
    "GET /healthz": (200, 200, 200),
    "GET /readyz": (200, 200, 200),
    "GET /.well-known/jwks.json": (200, 200, 200),
    "GET /.well-known/passkey-endpoints": (200, 200, 200),
    "GET /.well-known/oauth-authorization-server": (200, 200, 200),
    "GET /.well-known/security.txt": (404, 404, 404),
    "GET /metrics": (200, 200, 200),  # unless METRICS_TOKEN is set
    "GET /openapi.json": (200, 200, 200),
    "GET /docs": (200, 200, 200),
    "GET /docs/start.js": (200, 200, 200),
    "GET /docs/page.css": (200, 200, 200),
    "GET /docs/assets/<path:name>": (200, 200, 200),
}

# The permission that opens a call, for who is no superuser, and what it answers then.
PERMITTED = {
    f"GET {API}/users/<digits:user_id>": ("users:read", 200),
    f"GET {API}/users": ("users:read", 200),
    f"POST {API}/users": ("users:write", 422),
    f"PATCH {API}/users/<digits:user_id>": ("users:write", 200),
    f"DELETE {API}/users/<digits:user_id>": ("users:delete", 204),
    f"GET {API}/users/<digits:user_id>/sessions": ("sessions:read", 200),
    f"DELETE {API}/users/<digits:user_id>/sessions": ("sessions:revoke", 204),
    f"POST {API}/users/<digits:user_id>/password-reset": ("users:write", 202),
    f"GET {API}/users/<digits:user_id>/audit": ("audit:read", 200),
    f"GET {API}/users/audit": ("audit:read", 200),
    f"GET {API}/users/<digits:user_id>/roles": ("roles:read", 200),
    f"PUT {API}/users/<digits:user_id>/roles": ("roles:write", 422),
    f"GET {API}/users/<digits:user_id>/factors": ("factors:read", 200),
    f"DELETE {API}/users/<digits:user_id>/factors": ("factors:reset", 204),
    f"GET {API}/users/<digits:user_id>/keys": ("keys:read", 200),
    f"DELETE {API}/users/<digits:user_id>/keys/<uuid:key_id>": ("keys:revoke", 404),
    f"GET {API}/roles": ("roles:read", 200),
    f"POST {API}/roles": ("roles:write", 422),
    f"GET {API}/roles/permissions": ("roles:read", 200),
    f"GET {API}/roles/<digits:role_id>": ("roles:read", 200),
    f"PATCH {API}/roles/<digits:role_id>": ("roles:write", 200),
    f"DELETE {API}/roles/<digits:role_id>": ("roles:write", 204),
}
FRESH = {
    f"PATCH {API}/users/<digits:user_id>",
    f"DELETE {API}/users/<digits:user_id>",
    f"PUT {API}/users/<digits:user_id>/roles",
    f"DELETE {API}/users/<digits:user_id>/factors",
    f"DELETE {API}/users/<digits:user_id>/keys/<uuid:key_id>",
    f"POST {API}/roles",
    f"PATCH {API}/roles/<digits:role_id>",
    f"DELETE {API}/roles/<digits:role_id>",
}


def test_every_route_has_a_row(app: Flask) -> None:
    calls = {
        f"{method} {rule}"
        for rule in app.url_map.iter_rules()
        if not is_page(app, rule)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }

    assert calls == set(ROUTES)


def session_of(client: FlaskClient, user: User) -> str:
    headers = bearer(log_in(client, user)["access_token"])
    listed = client.get(f"{API}/auth/sessions", headers=headers).json["items"]
    session_id: str = listed[0]["id"]
    return session_id


@pytest.fixture
def some_role(app: Flask) -> int:
    """A role that allows nothing, by its id."""
    return make_role(app, "newcomer").id


@pytest.fixture
def call_it(client: FlaskClient, bob: User, some_role: int) -> Callable[..., TestResponse]:
    """Make a call about Bob, with an empty JSON object as its body where it takes one."""
    bobs_session = session_of(client, bob)

    def make(call: str, headers: dict[str, str]) -> TestResponse:
        method, path = call.split()
        for variable, value in (
            ("<digits:user_id>", str(bob.id)),
            ("<digits:role_id>", str(some_role)),
            ("<digits:identity_id>", str(bob.id)),
            ("<uuid:session_id>", bobs_session),
            ("<uuid:device_id>", bobs_session),
            ("<uuid:passkey_id>", bobs_session),
            ("<uuid:key_id>", bobs_session),
            ("<path:name>", "swagger-ui.css"),
            ("<name>", "acme"),
        ):
            path = path.replace(variable, value)
        body = None if method == "GET" else {}
        return client.open(path, method=method, headers=headers, json=body, buffered=True)

    return make


@pytest.mark.parametrize("call", ROUTES)
def test_who_may(
    client: FlaskClient, ada: User, grace: User, call_it: Callable[..., TestResponse], call: str
) -> None:
    by_ada, by_grace = (bearer(log_in(client, who)["access_token"]) for who in (ada, grace))

    answers = [call_it(call, headers) for headers in ({}, by_ada, by_grace)]

    assert tuple(answer.status_code for answer in answers) == ROUTES[call]


@pytest.mark.parametrize("call", PERMITTED)
def test_one_permission_opens_a_call_and_all_others_together_do_not(
    app: Flask, client: FlaskClient, ada: User, call_it: Callable[..., TestResponse], call: str
) -> None:
    permission, status = PERMITTED[call]
    every = {one.name for one in permissions.declared()}
    headers = bearer(log_in(client, ada)["access_token"])
    give_role(app, ada, make_role(app, "all-others", *(every - {permission})))

    refused = call_it(call, headers)
    take_roles(app, ada)
    give_role(app, ada, make_role(app, "this-one", permission))
    opened = call_it(call, headers)

    assert problem(refused) == (403, "not_enough_permissions")
    assert opened.status_code == status, opened.text


def test_every_call_that_refuses_a_user_is_opened_by_a_permission() -> None:
    closed = {call for call, (_, user, _) in ROUTES.items() if user == 403}

    assert closed == set(PERMITTED)


@pytest.mark.parametrize("call", sorted(FRESH))
def test_what_changes_rights_or_deletes_wants_a_fresh_login(
    client: FlaskClient, grace: User, call_it: Callable[..., TestResponse], call: str
) -> None:
    stale = refresh(client, log_in(client, grace)["refresh_token"]).json["access_token"]

    response = call_it(call, bearer(stale))

    assert problem(response) == (401, "fresh_token_required")


@pytest.mark.parametrize("call", sorted(FRESH))
def test_who_may_not_is_not_asked_for_a_fresh_login(
    client: FlaskClient, ada: User, call_it: Callable[..., TestResponse], call: str
) -> None:
    stale = refresh(client, log_in(client, ada)["refresh_token"]).json["access_token"]

    response = call_it(call, bearer(stale))

    assert problem(response) == (403, "not_enough_permissions")


@pytest.mark.parametrize("parameter", ["access_token", "token", "jwt"])
def test_a_token_in_the_query_opens_nothing(client: FlaskClient, ada: User, parameter: str) -> None:
    token = log_in(client, ada)["access_token"]

    response = client.get(f"{API}/users/me", query_string={parameter: token})

    assert response.status_code == 401


def test_a_header_cannot_turn_one_method_into_another(client: FlaskClient, ada: User) -> None:
    headers = bearer(log_in(client, ada)["access_token"])
    override = {"X-HTTP-Method-Override": "PATCH", "X-Method-Override": "DELETE"}

    response = client.get(
        f"{API}/users/me", headers=headers | override, json={"full_name": "Overridden"}
    )

    assert response.status_code == 200
    assert response.json["full_name"] is None
