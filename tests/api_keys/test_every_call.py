"""Every call of the server with an API key: the ones that take keys, and what no key reaches."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import strategies as st
from sqlalchemy import func, select
from werkzeug.routing import Rule

from app.access.key_rules import said_about_keys
from app.access.scopes import known
from app.api_keys.models import ApiKey
from app.auth.mfa.remembered_devices.models import RememberedDevice
from app.auth.mfa.totp.models import TotpFactor
from app.auth.passkeys.models import Passkey
from app.extensions import db
from app.http.blueprint import BY_COOKIE, is_documented
from app.models import Session, User
from tests.factories import API, bearer, permit, problem
from tests.pages.person import ACCEPT

Make = Callable[..., dict[str, Any]]

# The calls that a key may make. A new one must be thought of here.
TAKEN = {
    f"GET {API}/users/me",
    f"PUT {API}/users/me",
    f"PATCH {API}/users/me",
    f"GET {API}/users/<digits:user_id>",
    f"GET {API}/users",
    f"POST {API}/users",
    f"GET {API}/users/<digits:user_id>/audit",
    f"GET {API}/users/audit",
    f"GET {API}/users/<digits:user_id>/roles",
    f"GET {API}/roles",
    f"GET {API}/roles/permissions",
    f"GET {API}/roles/<digits:role_id>",
}


def calls(app: Flask) -> Iterator[tuple[str, str, Rule]]:
    for rule in app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            path = re.sub(r"<digits:\w+>", "1", rule.rule)
            path = re.sub(r"<uuid:\w+>", "6f9619ff-8b86-4d01-b42d-00cf4fc964ff", path)
            yield method, re.sub(r"<[^>]+>", "x", path), rule


def is_guarded(app: Flask, rule: Rule) -> bool:
    manual = getattr(app.view_functions[rule.endpoint], "_apidoc", {}).get("manual_doc", {})
    return BY_COOKIE in manual.get("security", [])


def is_call(app: Flask, rule: Rule) -> bool:
    return is_documented(app.blueprints.get(rule.endpoint.rpartition(".")[0]))


@pytest.fixture
def key(app: Flask, ada: User, make_key: Make) -> str:
    """A key with every scope, of somebody who may do everything by a role."""
    permit(app, ada, *(scope.name for scope in known() if ":" in scope.name))
    made: str = make_key(ada, *(scope.name for scope in known()))["key"]
    return made


def test_every_guarded_call_takes_keys_as_it_says_or_refuses_them(
    app: Flask, client: FlaskClient, key: str
) -> None:
    taken, refused = set(), set()
    for method, path, rule in calls(app):
        if not is_guarded(app, rule) or not is_call(app, rule):
            continue
        answer = client.open(path, method=method, headers=bearer(key), json={})
        call = f"{method} {rule.rule}"
        if answer.status_code == 403 and answer.json.get("code") == "key_not_allowed":
            refused.add(call)
            assert not said_about_keys(app.view_functions[rule.endpoint]), call
        else:
            taken.add(call)
            assert answer.status_code not in (401, 403), (call, answer.text)

    assert taken == TAKEN
    assert len(refused) > 40


def test_no_key_opens_a_page(app: Flask, client: FlaskClient, key: str) -> None:
    headers = bearer(key) | {"Accept": ACCEPT}
    pages = [one for one in calls(app) if is_guarded(app, one[2]) and not is_call(app, one[2])]
    for method, path, _ in pages:
        answer = client.open(path, method=method, headers=headers, data={})
        assert answer.status_code == 403, (method, path, answer.status_code)

    assert len(pages) > 20


@pytest.mark.parametrize("path", ["auth/refresh", "auth/logout"])
def test_calls_that_read_other_tokens_refuse_keys(client: FlaskClient, key: str, path: str) -> None:
    answer = client.post(f"{API}/{path}", headers=bearer(key))

    assert problem(answer) == (403, "key_not_allowed")


def held(app: Flask) -> dict[str, int]:
    """How many there are of what somebody can log in with, or act with."""
    with app.app_context():
        return {
            model.__name__: db.session.scalar(select(func.count()).select_from(model)) or 0
            for model in (Session, ApiKey, Passkey, TotpFactor, RememberedDevice)
        }


# What somebody would send who has the key, and guesses the rest.
BODY = st.fixed_dictionaries(
    {},
    optional={
        "name": st.just("Mine"),
        "scopes": st.just(["profile"]),
        "password": st.just("guess"),
        "current_password": st.just("guess"),
        "new_password": st.just("another long and good password"),
        "new_email": st.just("thief@example.com"),
        "email": st.sampled_from(["ada@example.com", "thief@example.com"]),
        "username": st.sampled_from(["ada", "thief"]),
        "enabled": st.booleans(),
        "otp": st.just("123456"),
        "token": st.just("KEY"),
        "refresh_token": st.just("KEY"),
        "mfa_token": st.just("KEY"),
        "is_superuser": st.booleans(),
        "overlap_seconds": st.just(60),
    },
)
GAINS = ("access_token", "refresh_token", "mfa_token", "device_token", "key", "secret", "session")


@hypothesis.settings(
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture], max_examples=15
)
@hypothesis.given(data=st.data())
def test_no_calls_with_a_key_yield_a_token_a_factor_or_a_key(
    app: Flask, client: FlaskClient, key: str, data: st.DataObject
) -> None:
    """It may make guests by invitation and by registration; none of these can log in by it."""
    every = [one for one in calls(app) if is_call(app, one[2])]
    # Revoking is the one thing that a key may do to itself.
    every = [one for one in every if not one[1].endswith(("/auth/revoke", "/metrics"))]
    before = held(app)

    for _ in range(10):
        method, path, _rule = data.draw(st.sampled_from(every))
        body = {name: key if value == "KEY" else value for name, value in data.draw(BODY).items()}
        fitting = _only_known(client, method, path, body, key)
        assert not (isinstance(fitting, dict) and set(GAINS) & fitting.keys()), (path, fitting)

    assert held(app) == before
    assert client.get(f"{API}/users/me", headers=bearer(key)).status_code == 200


def _only_known(client: FlaskClient, method: str, path: str, body: dict[str, Any], key: str) -> Any:
    """Send the body, and once more without the fields that the call does not have."""
    answer = client.open(path, method=method, headers=bearer(key), json=body)
    if answer.status_code == 422:
        unknown = {
            error.get("pointer", "#/")[2:]
            for error in answer.json["errors"]
            if error["code"] == "unknown_field"
        }
        left = {name: value for name, value in body.items() if name not in unknown}
        answer = client.open(path, method=method, headers=bearer(key), json=left)
    return answer.json if answer.is_json else None
