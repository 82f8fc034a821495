"""Who may: every route, for nobody, for a user and for a superuser."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.models import User
from tests.factories import API, bearer, log_in

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
    f"GET {API}/users/<digits:user_id>": (401, 403, 200),
    "GET /healthz": (200, 200, 200),
    "GET /readyz": (200, 200, 200),
    "GET /.well-known/jwks.json": (200, 200, 200),
    "GET /metrics": (200, 200, 200),  # unless METRICS_TOKEN is set
    "GET /openapi.json": (200, 200, 200),
    "GET /docs": (200, 200, 200),
    "GET /docs/start.js": (200, 200, 200),
    "GET /docs/assets/<path:name>": (200, 200, 200),
    "GET /account/<name>": (200, 200, 200),
}

CASES = [
    pytest.param(call, who, status, id=f"{call} as {who}")
    for call, statuses in ROUTES.items()
    for who, status in zip(("nobody", "ada", "grace"), statuses, strict=True)
]


def test_every_route_has_a_row(app: Flask) -> None:
    calls = {
        f"{method} {rule}"
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }

    assert calls == set(ROUTES)


def session_of(client: FlaskClient, user: User) -> str:
    headers = bearer(log_in(client, user)["access_token"])
    listed = client.get(f"{API}/auth/sessions", headers=headers).json["items"]
    session_id: str = listed[0]["id"]
    return session_id


@pytest.mark.parametrize(("call", "who", "status"), CASES)
def test_who_may(
    client: FlaskClient, ada: User, bob: User, grace: User, call: str, who: str, status: int
) -> None:
    people = {"ada": ada, "grace": grace}
    headers = bearer(log_in(client, people[who])["access_token"]) if who in people else {}
    method, path = call.split()
    path = path.replace("<digits:user_id>", str(bob.id)).replace("<path:name>", "swagger-ui.css")
    path = path.replace("<name>", "verify-email")
    path = path.replace("<uuid:session_id>", session_of(client, bob))
    body = None if method == "GET" else {}

    response = client.open(path, method=method, headers=headers, json=body, buffered=True)

    assert response.status_code == status, response.text


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
