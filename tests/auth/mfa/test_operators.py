"""What administrators and operators do about the second factors of others."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.auth.mfa.models import MfaTicket
from app.auth.mfa.recovery_codes.models import RecoveryCode
from app.auth.mfa.remembered_devices.models import RememberedDevice
from app.auth.mfa.totp.models import TotpFactor
from app.extensions import db
from app.models import AuditEvent, LoginThrottle, User
from tests.auth.mfa.phone import Phone, enrol, give_password, go_on, ticket_of
from tests.factories import API, bearer, log_in, make_user, me, permit, problem
from tests.mailbox import Mailbox

Run = Callable[..., Result]
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


@pytest.fixture
def phone(client: FlaskClient, ada: User) -> Phone:
    return enrol(client, ada)


@pytest.fixture
def clerk(app: Flask) -> User:
    """Somebody who may see and reset factors."""
    user = make_user(app, username="clerk", email="clerk@example.com")
    permit(app, user, "factors:read", "factors:reset")
    return user


def read(client: FlaskClient, access_token: str, user: User) -> TestResponse:
    return client.get(f"{API}/users/{user.id}/factors", headers=bearer(access_token))


def reset(client: FlaskClient, access_token: str, user: User) -> TestResponse:
    return client.delete(f"{API}/users/{user.id}/factors", headers=bearer(access_token))


def number_of(app: Flask, model: Any, user: User) -> int:
    with app.app_context():
        return len(db.session.scalars(db.select(model).where(model.user_id == user.id)).all())


def event_of(app: Flask, name: str) -> AuditEvent:
    with app.app_context():
        found = db.session.scalars(db.select(AuditEvent).where(AuditEvent.event == name)).one()
        db.session.expunge_all()
        return found


# Reading


@pytest.mark.usefixtures("phone")
def test_an_administrator_sees_them(client: FlaskClient, ada: User, clerk: User) -> None:
    answer = read(client, log_in(client, clerk)["access_token"], ada)

    assert answer.status_code == 200
    assert answer.json.keys() == {"second_step", "required", "totp", "recovery_codes", "passkeys"}
    assert answer.json["second_step"] is True
    assert answer.json["totp"].keys() == {"confirmed_at"}
    assert answer.json["recovery_codes"]["left"] == 10


def test_of_somebody_who_has_none_that_is_told(client: FlaskClient, ada: User, clerk: User) -> None:
    answer = read(client, log_in(client, clerk)["access_token"], ada)

    assert answer.json == {
        "second_step": False,
        "required": False,
        "totp": None,
        "recovery_codes": None,
        "passkeys": [],
    }


def test_reading_needs_its_permission_and_resetting_another(
    app: Flask, client: FlaskClient, ada: User, bob: User
) -> None:
    permit(app, bob, "users:read", "users:write", "users:delete", "factors:read")
    token = log_in(client, bob)["access_token"]

    assert read(client, token, ada).status_code == 200
    assert problem(reset(client, token, ada)) == (403, "not_enough_permissions")
    permitless = log_in(client, ada)["access_token"]
    assert problem(read(client, permitless, bob)) == (403, "not_enough_permissions")


def test_of_nobody_there_is_nothing(client: FlaskClient, grace: User) -> None:
    headers = bearer(log_in(client, grace)["access_token"])

    for method in ("GET", "DELETE"):
        answer = client.open(f"{API}/users/999999/factors", method=method, headers=headers)
        assert problem(answer) == (404, "not_found")


# Resetting


def test_a_reset_removes_everything_and_signs_out(
    app: Flask, client: FlaskClient, ada: User, clerk: User, phone: Phone
) -> None:
    go_on(client, ticket_of(client, ada), otp=phone.code(), remember_device=True)
    waiting = ticket_of(client, ada)
    assert number_of(app, RememberedDevice, ada) == 1

    answer = reset(client, log_in(client, clerk)["access_token"], ada)

    assert answer.status_code == 204
    for model in (TotpFactor, RecoveryCode, RememberedDevice, MfaTicket):
        assert number_of(app, model, ada) == 0
    assert problem(me(client, phone.access_token)) == (401, "session_ended")
    assert problem(go_on(client, waiting, otp=phone.unused_code())) == (400, "mfa_ticket_invalid")
    assert give_password(client, ada).status_code == 200


def test_a_reset_is_mailed_and_recorded_with_who_did_it(
    app: Flask, client: FlaskClient, ada: User, clerk: User, phone: Phone, mailbox: Mailbox
) -> None:
    mailbox.deliver()

    reset(client, log_in(client, clerk)["access_token"], ada)

    subjects = [mail.subject for mail in mailbox.deliver() if mail.to == ada.email]
    event = event_of(app, "factors_reset")
    assert subjects == ["Your second factors were removed"]
    assert (event.actor_id, event.subject_id, event.details) == (clerk.id, ada.id, {"factors": 1})


def test_a_reset_forgets_the_wrong_codes(
    app: Flask,
    client: FlaskClient,
    ada: User,
    clerk: User,
    phone: Phone,
    set_settings: Callable[..., None],
) -> None:
    set_settings(ratelimit_enabled=True)
    go_on(client, ticket_of(client, ada), otp="000000")
    with app.app_context():
        assert db.session.scalars(db.select(LoginThrottle)).all()

    reset(client, log_in(client, clerk)["access_token"], ada)

    with app.app_context():
        assert db.session.scalars(db.select(LoginThrottle)).all() == []


def test_nobody_resets_their_own(app: Flask, client: FlaskClient, clerk: User) -> None:
    clerks = enrol(client, clerk)

    assert problem(reset(client, clerks.access_token, clerk)) == (403, "not_enough_permissions")
    assert number_of(app, TotpFactor, clerk) == 1


def test_not_even_a_superuser_resets_their_own(client: FlaskClient, grace: User) -> None:
    graces = enrol(client, grace)

    assert problem(reset(client, graces.access_token, grace)) == (403, "not_enough_permissions")


@pytest.mark.usefixtures("app")
def test_nobody_resets_those_of_somebody_who_may_do_more(
    app: Flask, client: FlaskClient, clerk: User, grace: User, ada: User
) -> None:
    enrol(client, grace)
    permit(app, ada, "users:read")
    enrol(client, ada)
    token = log_in(client, clerk)["access_token"]

    assert problem(reset(client, token, grace)) == (403, "not_enough_permissions")
    assert problem(reset(client, token, ada)) == (403, "not_enough_permissions")
    assert number_of(app, TotpFactor, grace) == number_of(app, TotpFactor, ada) == 1


def test_what_somebody_may_do_with_a_second_factor_counts_too(
    app: Flask, client: FlaskClient, clerk: User, ada: User
) -> None:
    """The role of the other user gives its permissions only at the second level."""
    permit(app, ada, "users:delete")
    with app.app_context():
        db.session.execute(db.text("UPDATE roles SET require_mfa = true"))
        db.session.execute(
            db.text(
                "UPDATE roles SET require_mfa = false WHERE id IN (SELECT role_id FROM "
                "user_roles WHERE user_id = :clerk)"
            ),
            {"clerk": clerk.id},
        )
        db.session.commit()

    answer = reset(client, log_in(client, clerk)["access_token"], ada)

    assert problem(answer) == (403, "not_enough_permissions")


def test_an_administrator_with_a_second_step_must_have_given_it_lately(
    client: FlaskClient, ada: User, clerk: User, phone: Phone
) -> None:
    """The session is of before the step was switched on, or a remembered device began it."""
    clerks = enrol(client, clerk)
    pair = go_on(client, ticket_of(client, clerk), otp=clerks.code(), remember_device=True).json
    by_device = give_password(client, clerk, device_token=pair["device_token"]).json

    refusal = reset(client, by_device["access_token"], ada)

    assert problem(refusal) == (401, "fresh_token_required")
    assert 'acr_values="aal2"' in refusal.headers["WWW-Authenticate"]
    assert read(client, by_device["access_token"], ada).status_code == 200
    assert reset(client, pair["access_token"], ada).status_code == 204


def test_a_session_of_the_first_level_resets_nothing(
    app: Flask, client: FlaskClient, ada: User, clerk: User
) -> None:
    """The step was switched on after the session began, from another device."""
    token = log_in(client, clerk)["access_token"]
    with app.app_context():
        db.session.execute(db.update(User).where(User.id == clerk.id).values(second_step_at=NOW))
        db.session.commit()

    assert problem(reset(client, token, ada)) == (401, "fresh_token_required")


# The list


@pytest.mark.usefixtures("phone")
def test_accounts_are_found_by_their_second_step(
    client: FlaskClient, ada: User, bob: User, grace: User
) -> None:
    headers = bearer(log_in(client, grace)["access_token"])

    def found(value: str) -> list[str]:
        answer = client.get(f"{API}/users?second_step={value}", headers=headers)
        assert answer.status_code == 200, answer.text
        return [user["username"] for user in answer.json["items"]]

    assert found("true") == [ada.username]
    assert found("false") == [bob.username, grace.username]
    wrong = client.get(f"{API}/users?second_step=maybe", headers=headers)
    assert problem(wrong) == (422, "validation_failed")


# In the shell


@pytest.fixture
def run(app: Flask) -> Run:
    def command(*arguments: str, stdin: str = "") -> Result:
        return app.test_cli_runner().invoke(args=["users", *arguments], input=stdin)

    return command


@pytest.mark.usefixtures("phone")
def test_the_shell_lists_by_the_second_step(run: Run, ada: User, bob: User) -> None:
    with_step = json.loads(run("list", "--second-step", "--json").stdout)
    without = json.loads(run("list", "--no-second-step", "--json").stdout)
    everybody = json.loads(run("list", "--json").stdout)

    assert [user["username"] for user in with_step] == [ada.username]
    assert [user["username"] for user in without] == [bob.username]
    assert len(everybody) == 2


@pytest.mark.usefixtures("phone")
def test_show_says_the_factors(run: Run, ada: User, bob: User) -> None:
    lines = run("show", ada.email).output.splitlines()
    shown = json.loads(run("show", ada.email, "--json").stdout)
    bobs = run("show", bob.email).output.splitlines()

    assert "second_step: yes" in lines
    assert "factors: authenticator app, recovery codes: 10" in lines
    assert shown["factors"]["recovery_codes"]["left"] == 10
    assert "second_step: no" in bobs
    assert "factors:" in bobs


def test_the_shell_resets_after_a_question(
    app: Flask, client: FlaskClient, run: Run, ada: User, phone: Phone, mailbox: Mailbox
) -> None:
    refused = run("reset-factors", ada.email, stdin="n\n")
    assert refused.exit_code == 1
    assert "log in with the password alone" in refused.output
    assert me(client, phone.access_token).status_code == 200
    mailbox.deliver()

    done = run("reset-factors", "Ada@Example.com", stdin="y\n")

    assert done.exit_code == 0, done.output
    assert "Removed 1 second factor of ada@example.com" in done.output
    assert problem(me(client, phone.access_token)) == (401, "session_ended")
    assert give_password(client, ada).status_code == 200
    assert mailbox.deliver()[0].subject == "Your second factors were removed"
    event = event_of(app, "factors_reset")
    assert (event.actor_id, event.subject_id) == (None, ada.id)
    assert event.details == {"factors": 1, "via": "cli"}

    pair = give_password(client, ada).json
    again = run("reset-factors", ada.email, "--yes")
    counted = json.loads(run("reset-factors", ada.email, "--yes", "--json").stdout)

    assert again.output == "Nothing to reset: ada@example.com has no second factor.\n"
    assert counted["factors_removed"] == 0
    assert me(client, pair["access_token"]).status_code == 200
    assert mailbox.deliver() == []
    assert event_of(app, "factors_reset").id == event.id


@pytest.mark.usefixtures("phone")
def test_the_shell_prints_json(run: Run, ada: User) -> None:
    shown = json.loads(run("reset-factors", ada.email, "--yes", "--json").stdout)

    assert (shown["id"], shown["factors_removed"]) == (ada.id, 1)
