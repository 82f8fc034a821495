"""Step-up: what only a second factor opens, and who must give one."""

import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

import jwt
import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from flask_jwt_extended import jwt_required
from sqlalchemy import update
from werkzeug.test import TestResponse

from app.access.permissions import USERS_READ, USERS_WRITE
from app.errors import FreshTokenRequired, MfaEnrollmentRequired, NotEnoughPermissions
from app.extensions import db
from app.models import Role, Session, User
from app.users import authority
from tests.auth.mfa.phone import Phone, enrol, enrol_with, give_password, go_on, ticket_of
from tests.auth.passkeys.authenticator import Authenticator
from tests.auth.passkeys.browser import log_in_with, options, register, with_passkey
from tests.factories import API, PASSWORD, bearer, log_in, me, permit, problem, refresh

STALE = (401, "fresh_token_required")
ENROL = (403, "mfa_enrollment_required")
RECENT = 'Bearer error="insufficient_user_authentication", max_age=600'
LEVEL_2 = 'Bearer error="insufficient_user_authentication", acr_values="aal2", max_age=600'


def call(client: FlaskClient, method: str, path: str, token: str, **body: Any) -> TestResponse:
    sent = {"json": body} if body else {}
    return client.open(f"{API}/{path}", method=method, headers=bearer(token), **sent)


def switch(client: FlaskClient, token: str, *, enabled: bool) -> None:
    answer = call(client, "PUT", "auth/factors/second-step", token, enabled=enabled)
    assert answer.status_code == 200, answer.text


def prove(client: FlaskClient, token: str, **proof: Any) -> TestResponse:
    return call(client, "POST", "auth/reauthenticate", token, **proof)


def prove_with(client: FlaskClient, token: str, authenticator: Authenticator) -> str:
    """Raise a session with a passkey. Returns the fresh access token."""
    begun = options(client, "reauthenticate/passkey-options", token)
    credential = authenticator.get(begun["options"])
    answer = prove(client, token, ceremony=begun["ceremony"], credential=credential)
    assert answer.status_code == 200, answer.text
    raised: str = answer.json["access_token"]
    return raised


def claims(token: str) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found


def wanted(answer: TestResponse) -> str:
    """What a refusal asks for (RFC 9470)."""
    assert problem(answer) == STALE
    return answer.headers["WWW-Authenticate"]


# Freshness


def test_without_a_second_step_a_recent_password_is_wanted(
    client: FlaskClient, ada: User, clock: time_machine.Traveller
) -> None:
    token = log_in(client, ada)["access_token"]
    clock.shift(600)

    assert wanted(call(client, "POST", "auth/factors/totp", token)) == RECENT
    fresh = prove(client, token, password=PASSWORD).json["access_token"]
    assert call(client, "POST", "auth/factors/totp", fresh).status_code == 201


@pytest.fixture
def below(client: FlaskClient, ada: User) -> tuple[Phone, str]:
    """Ada's phone, and a recent token of hers that was made before the second step was on."""
    phone = enrol(client, ada)
    switch(client, phone.access_token, enabled=False)
    token = log_in(client, ada)["access_token"]
    switch(client, phone.access_token, enabled=True)
    return phone, token


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "auth/factors/totp"),
        ("POST", "auth/factors/recovery-codes"),
        ("PUT", "auth/factors/second-step"),
        ("POST", "auth/passkeys/options"),
        ("DELETE", "auth/remembered-devices"),
        ("POST", "auth/email/change"),
        ("GET", "users/me/export"),
    ],
)
def test_with_the_second_step_on_a_recent_password_is_not_enough(
    client: FlaskClient, below: tuple[Phone, str], method: str, path: str
) -> None:
    phone, token = below

    assert wanted(call(client, method, path, token)) == LEVEL_2

    factors = call(client, "GET", "auth/factors", phone.access_token).json
    assert factors["second_step"] is True
    assert factors["totp"]
    assert factors["recovery_codes"]["left"] == 10


def test_a_code_raises_the_session_and_makes_it_fresh(
    client: FlaskClient, below: tuple[Phone, str]
) -> None:
    phone, token = below

    alone = prove(client, token, password=PASSWORD)
    assert problem(alone) == (403, "mfa_required")
    assert alone.json["methods"] == ["totp", "recovery_code"]
    assert "mfa_token" not in prove(client, token, password=PASSWORD).json
    assert problem(prove(client, token, password="wrong")) == (403, "wrong_password")
    raised = prove(client, token, otp=phone.code()).json["access_token"]

    assert call(client, "DELETE", "auth/factors/totp", raised).status_code == 204


def test_the_factor_must_be_recent(
    client: FlaskClient, ada: User, clock: time_machine.Traveller
) -> None:
    phone = enrol(client, ada)
    token = give_password(client, ada, otp=phone.code()).json["access_token"]

    clock.shift(599)
    assert call(client, "GET", "users/me/export", token).status_code == 200
    clock.shift(1)
    assert wanted(call(client, "GET", "users/me/export", token)) == LEVEL_2


def test_a_new_password_makes_nothing_fresh_where_the_second_step_is_on(
    client: FlaskClient, ada: User, bob: User
) -> None:
    phone = enrol(client, ada)
    body = {"current_password": PASSWORD, "new_password": "another horse battery staple"}

    of_ada = call(client, "POST", "auth/password/change", phone.access_token, **body).json
    token = log_in(client, bob)["access_token"]
    of_bob = call(client, "POST", "auth/password/change", token, **body).json

    assert wanted(call(client, "GET", "users/me/export", of_ada["access_token"])) == LEVEL_2
    assert call(client, "GET", "users/me/export", of_bob["access_token"]).status_code == 200


def test_a_remembered_device_is_never_fresh(client: FlaskClient, ada: User) -> None:
    phone = enrol(client, ada)
    ticket = ticket_of(client, ada)
    device = go_on(client, ticket, otp=phone.code(), remember_device=True).json["device_token"]

    token = give_password(client, ada, device_token=device).json["access_token"]

    assert claims(token)["acr"] == "aal2"
    assert wanted(call(client, "GET", "users/me/export", token)) == LEVEL_2
    assert call(client, "GET", "auth/sessions/current", token).json["fresh_until"] is None


# Claims


def test_the_claims_say_how_the_user_logged_in(client: FlaskClient, ada: User) -> None:
    phone = enrol(client, ada)
    authenticator = Authenticator()
    register(client, phone.access_token, authenticator)
    ticket, another = ticket_of(client, ada), ticket_of(client, ada)
    begun = options(client, "mfa/passkey-options", mfa_token=another)

    by_code = go_on(client, ticket, otp=phone.code(), remember_device=True).json
    device = by_code["device_token"]
    pairs = {
        "otp": by_code,
        "rc": give_password(client, ada, recovery_code=phone.recovery_codes[0]).json,
        "device": give_password(client, ada, device_token=device).json,
        "passkey": log_in_with(client, authenticator).json,
        "pop": go_on(
            client,
            another,
            ceremony=begun["ceremony"],
            credential=authenticator.get(begun["options"]),
        ).json,
    }

    found = {name: claims(pair["access_token"]) for name, pair in pairs.items()}
    assert {name: claim["amr"] for name, claim in found.items()} == {
        "otp": ["pwd", "otp", "mfa"],
        "rc": ["pwd", "rc", "mfa"],
        "device": ["pwd", "mfa"],
        "passkey": ["pop", "user", "mfa"],
        "pop": ["pwd", "pop", "mfa"],
    }
    assert {claim["acr"] for claim in found.values()} == {"aal2"}
    assert claims(phone.access_token)["acr"] == "aal1", "it was made before"


def test_a_refresh_copies_the_level_and_a_proof_raises_it(
    client: FlaskClient, ada: User, clock: time_machine.Traveller
) -> None:
    authenticator = Authenticator()
    pair = log_in(client, ada)
    register(client, pair["access_token"], authenticator)
    begun_at = claims(pair["access_token"])["auth_time"]
    clock.shift(60)

    refreshed = refresh(client, pair["refresh_token"]).json
    raised = claims(prove_with(client, refreshed["access_token"], authenticator))
    again = claims(refresh(client, refreshed["refresh_token"]).json["access_token"])

    first = claims(refreshed["access_token"])
    assert (first["acr"], first["amr"], first["auth_time"]) == ("aal1", ["pwd"], begun_at)
    assert (raised["acr"], raised["auth_time"]) == ("aal2", begun_at + 60)
    assert raised["amr"] == ["pwd", "pop", "mfa"]
    assert (again["acr"], again["amr"]) == ("aal2", raised["amr"])
    assert (again["fresh"], again["auth_time"]) == (False, begun_at + 60)


def test_nothing_lowers_a_session(client: FlaskClient, ada: User) -> None:
    authenticator = Authenticator()
    with_passkey(client, ada, authenticator)
    token = log_in_with(client, authenticator).json["access_token"]

    again = prove(client, token, password=PASSWORD).json["access_token"]

    assert claims(again)["acr"] == "aal2"


# MFA_REQUIRED

# What a session reaches that lacks the second level. Everything else is refused.
BEFORE_SECOND_STEP = {
    "GET users/me",
    "GET auth/factors",
    "PUT auth/factors/second-step",
    "POST auth/factors/totp",
    "POST auth/factors/totp/confirm",
    "DELETE auth/factors/totp",
    "POST auth/factors/recovery-codes",
    "POST auth/passkeys/options",
    "POST auth/passkeys",
    "PATCH auth/passkeys/…",
    "DELETE auth/passkeys/…",
    "GET auth/remembered-devices",
    "DELETE auth/remembered-devices",
    "DELETE auth/remembered-devices/…",
    "POST auth/reauthenticate",
    "POST auth/reauthenticate/passkey-options",
    "POST auth/password/change",
    "GET auth/sessions",
    "GET auth/sessions/current",
    "DELETE auth/sessions/…",
    "POST auth/logout",
}


def value_of(variable: re.Match[str]) -> str:
    """Something that its route takes. A call that found no route would not be refused."""
    numbers = ("{user_id}", "{role_id}", "{identity_id}")
    return "1" if variable[0] in numbers else str(UUID(int=1))


def guarded_calls(app: Flask, client: FlaskClient) -> dict[str, str]:
    """Every call that needs a token: its name in the list above, and a path to call."""
    document = client.get("/openapi.json").json
    found = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if method != "parameters" and operation.get("security"):
                name = path.removeprefix(f"{API}/")
                filled = re.sub("{.*?}", value_of, name)
                found[f"{method.upper()} {re.sub('{.*?}', '…', name)}"] = filled
    return found


def test_before_the_second_step_only_these_calls_work(
    app: Flask, client: FlaskClient, grace: User, set_settings: Callable[..., None]
) -> None:
    token = log_in(client, grace)["access_token"]
    set_settings(mfa_required="all")
    calls = guarded_calls(app, client)

    refused = {
        name
        for name, path in calls.items()
        # Logging out comes last, because it ends the session.
        if name != "POST auth/logout"
        and problem_of(call(client, name.split()[0], path, token)) == ENROL
    }

    assert len(calls) > 40
    assert calls.keys() - refused == BEFORE_SECOND_STEP
    assert call(client, "POST", "auth/logout", token).status_code == 204


def problem_of(answer: TestResponse) -> tuple[int, str] | None:
    return problem(answer) if answer.status_code >= 400 else None


def test_enrolment_comes_before_freshness(
    client: FlaskClient,
    ada: User,
    set_settings: Callable[..., None],
    clock: time_machine.Traveller,
) -> None:
    token = log_in(client, ada)["access_token"]
    set_settings(mfa_required="all")
    clock.shift(600)

    assert problem(call(client, "GET", "users/me/export", token)) == ENROL


def test_whoever_must_have_a_factor_can_set_one_up_and_goes_on(
    client: FlaskClient, ada: User, set_settings: Callable[..., None]
) -> None:
    set_settings(mfa_required="all")
    token = log_in(client, ada)["access_token"]
    assert me(client, token).status_code == 200

    phone = enrol_with(client, token)

    assert call(client, "GET", "users/me/export", token).status_code == 200
    removal = call(client, "DELETE", "auth/factors/totp", token)
    off = call(client, "PUT", "auth/factors/second-step", token, enabled=False)
    assert problem(removal) == problem(off) == (409, "factor_required")
    assert give_password(client, ada, otp=phone.code()).status_code == 200


def test_whoever_has_a_factor_is_asked_for_it(
    client: FlaskClient, ada: User, set_settings: Callable[..., None]
) -> None:
    authenticator = Authenticator()
    with_passkey(client, ada, authenticator)
    set_settings(mfa_required="all")
    token = log_in(client, ada)["access_token"]

    assert wanted(call(client, "GET", "users/me/export", token)) == LEVEL_2
    raised = prove_with(client, token, authenticator)
    assert call(client, "GET", "users/me/export", raised).status_code == 200


def test_the_setting_may_ask_superusers_alone(
    client: FlaskClient, ada: User, grace: User, set_settings: Callable[..., None]
) -> None:
    of_ada, of_grace = (log_in(client, user)["access_token"] for user in (ada, grace))
    set_settings(mfa_required="superusers")

    assert problem(call(client, "GET", "users", of_grace)) == ENROL
    assert call(client, "GET", "users/me/export", of_ada).status_code == 200


def test_jwt_required_of_a_feature_knows_the_setting(
    new_app: Callable[..., Flask], client: FlaskClient, ada: User
) -> None:
    token = log_in(client, ada)["access_token"]
    answers = {}
    for demand in ("none", "all"):
        other = new_app(MFA_REQUIRED=demand)
        other.add_url_rule("/theirs", "theirs", jwt_required()(dict))
        answers[demand] = other.test_client().get("/theirs", headers=bearer(token))

    assert answers["none"].status_code == 200
    assert problem(answers["all"]) == ENROL


def test_jwt_required_of_a_feature_knows_the_second_step(
    new_app: Callable[..., Flask], client: FlaskClient, below: tuple[Phone, str]
) -> None:
    """The library itself looks at the token alone, which is from before the step was on."""
    phone, token = below
    other = new_app()
    other.add_url_rule("/theirs", "theirs", jwt_required(fresh=True)(dict))

    def visit(access_token: str) -> TestResponse:
        return other.test_client().get("/theirs", headers=bearer(access_token))

    assert wanted(visit(token)) == LEVEL_2
    raised = prove(client, token, otp=phone.code()).json["access_token"]
    assert visit(raised).status_code == 200


# Somebody who knows only the password


@pytest.mark.parametrize("demand", ["role", "setting"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "auth/passkeys/options"),
        ("POST", "auth/factors/totp"),
        ("POST", "auth/factors/recovery-codes"),
        ("DELETE", "auth/remembered-devices"),
    ],
)
def test_a_password_adds_no_factor_where_another_one_is_due(
    app: Flask,
    client: FlaskClient,
    ada: User,
    set_settings: Callable[..., None],
    demand: str,
    method: str,
    path: str,
) -> None:
    authenticator = Authenticator()
    with_passkey(client, ada, authenticator)
    if demand == "setting":
        set_settings(mfa_required="all")
    else:
        demanding(app, ada, "users:read")
    token = log_in(client, ada)["access_token"]

    assert wanted(call(client, method, path, token)) == LEVEL_2
    raised = prove_with(client, token, authenticator)
    assert call(client, method, path, raised).status_code in (200, 201, 204)


# Roles


def demanding(app: Flask, user: User, *permissions: str) -> None:
    """Give a user a role that needs a second factor."""
    permit(app, user, *permissions)
    with app.app_context():
        db.session.execute(update(Role).values(require_mfa=True))
        db.session.commit()


def test_the_permissions_of_such_a_role_count_at_the_second_level_only(
    app: Flask, client: FlaskClient, ada: User, bob: User
) -> None:
    demanding(app, ada, "users:read")
    token = log_in(client, ada)["access_token"]

    assert call(client, "GET", "auth/factors", token).json["required"] is True
    one = f"users/{bob.id}"
    assert problem(call(client, "GET", "users", token)) == ENROL
    assert problem(call(client, "GET", one, token)) == ENROL
    assert problem(call(client, "GET", "roles", token)) == (403, "not_enough_permissions")
    assert problem(call(client, "GET", f"{one}/roles", token)) == (403, "not_enough_permissions")
    authenticator = Authenticator()
    register(client, token, authenticator)
    refusal = call(client, "GET", "users", token)
    assert wanted(refusal) == wanted(call(client, "GET", one, token)) == LEVEL_2
    assert refusal.json["detail"] == FreshTokenRequired.WITH_FACTOR
    raised = prove_with(client, token, authenticator)
    assert call(client, "GET", "users", raised).status_code == 200


def test_they_count_no_sooner_where_something_is_written(
    app: Flask, client: FlaskClient, ada: User, bob: User
) -> None:
    """The guard looked at them before. Under the lock they are looked at again."""
    demanding(app, ada, "users:write")
    token = log_in(client, ada)["access_token"]
    with app.app_context():
        session = db.session.get_one(Session, UUID(claims(token)["sid"]))
        assert session.aal == 1
        with pytest.raises(MfaEnrollmentRequired):
            authority.lock_account(bob.id, USERS_WRITE, actor=session)
        db.session.rollback()
        with pytest.raises(NotEnoughPermissions):
            authority.lock_actor(USERS_READ, actor=session)
        db.session.rollback()
        session.aal = 2
        assert authority.lock_account(bob.id, USERS_WRITE, actor=session).user.id == bob.id
        db.session.rollback()


def test_what_only_a_second_factor_would_allow_is_told_where_something_is_written(
    app: Flask, client: FlaskClient, ada: User, bob: User
) -> None:
    """Ada may edit people, and with a second factor also those who may read what Bob may read."""
    permit(app, bob, "audit:read", "roles:read")
    demanding(app, ada, "audit:read", "roles:read")
    permit(app, ada, "users:write", "roles:write")
    authenticator = Authenticator()
    token = log_in(client, ada)["access_token"]
    edit = ("PATCH", f"users/{bob.id}", token)
    assert problem(call(client, *edit, bio="Edited")) == ENROL
    register(client, token, authenticator)
    for method, path, body in (
        ("PATCH", f"users/{bob.id}", {"bio": "Edited"}),
        ("POST", f"users/{bob.id}/password-reset", {}),
        ("POST", "roles", {"name": "readers", "permissions": ["roles:read"]}),
    ):
        assert wanted(call(client, method, path, token, **body)) == LEVEL_2

    raised = prove_with(client, token, authenticator)

    assert call(client, "PATCH", f"users/{bob.id}", raised, bio="Edited").status_code == 200
