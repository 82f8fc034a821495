"""DELETE /users/me, GET /users/me/export, and what `flask prune` erases"""

import json
import tracemalloc
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from app import audit, clock
from app.audit.vocabulary import Event
from app.auth.login import authentication, login
from app.extensions import db
from app.http.client import Client
from app.models import (
    AuditCheck,
    AuditEvent,
    AuditSeal,
    IdempotencyKey,
    OneTimeToken,
    OutboxMessage,
    Session,
    User,
)
from app.users import closing
from tests import factories
from tests.factories import (
    API,
    PASSWORD,
    bearer,
    log_in,
    make_user,
    me,
    problem,
    refresh,
    refused_fields,
)
from tests.mailbox import Mailbox

USER_KEYS = {
    *("id", "email", "username", "full_name", "bio", "avatar_url", "is_active", "is_superuser"),
    *("email_verified", "locale", "created_at", "updated_at"),
}


def close(client: FlaskClient, pair: dict[str, Any], password: str = PASSWORD) -> TestResponse:
    return client.delete(
        f"{API}/users/me", json={"password": password}, headers=bearer(pair["access_token"])
    )


def export(client: FlaskClient, pair: dict[str, Any]) -> TestResponse:
    return client.get(f"{API}/users/me/export", headers=bearer(pair["access_token"]))


def prune(app: Flask) -> str:
    result = app.test_cli_runner().invoke(args=["prune"])
    assert result.exit_code == 0, result.output
    return result.output


def count(app: Flask, model: type) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(model)) or 0


def due_at(app: Flask, user: User) -> object:
    with app.app_context():
        return db.session.scalar(select(User.deletion_due_at).where(User.id == user.id))


def later(**length: float) -> Any:
    return time_machine.travel(clock.now() + timedelta(**length))


# Asking for it


def test_the_answer_says_when_the_account_will_be_erased(client: FlaskClient, ada: User) -> None:
    with time_machine.travel("2026-11-22T08:00:00Z", tick=False):
        pair = log_in(client, ada)

        response = close(client, pair)

    assert response.status_code == 202
    assert response.json == {"deletion_due_at": "2026-12-06T08:00:00Z"}


def test_the_grace_is_what_the_settings_say(
    client: FlaskClient, ada: User, set_settings: Callable[..., None]
) -> None:
    set_settings(account_deletion_grace=timedelta(days=1))
    with time_machine.travel("2026-11-22T08:00:00Z", tick=False):
        response = close(client, log_in(client, ada))

    assert response.json == {"deletion_due_at": "2026-11-23T08:00:00Z"}


def test_every_session_ends_at_once(client: FlaskClient, ada: User, bob: User) -> None:
    pair, other, bobs = log_in(client, ada), log_in(client, ada), log_in(client, bob)

    close(client, pair)

    for ended in (pair, other):
        assert problem(me(client, ended["access_token"])) == (401, "session_ended")
        assert problem(refresh(client, ended["refresh_token"])) == (401, "invalid_refresh_token")
    assert me(client, bobs["access_token"]).status_code == 200


def test_a_wrong_password_closes_nothing(
    client: FlaskClient, ada: User, app: Flask, mailbox: Mailbox
) -> None:
    pair = log_in(client, ada)

    response = close(client, pair, "wrong")

    assert problem(response) == (403, "wrong_password")
    assert me(client, pair["access_token"]).status_code == 200
    assert due_at(app, ada) is None
    assert mailbox.deliver() == []


def test_it_wants_a_token_and_a_password(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)

    nobody = client.delete(f"{API}/users/me", json={"password": PASSWORD})
    without = client.delete(f"{API}/users/me", json={}, headers=bearer(pair["access_token"]))

    assert problem(nobody) == (401, "not_authenticated")
    assert refused_fields(without).keys() == {"#/password"}


def test_the_address_and_the_name_stay_taken_until_then(client: FlaskClient, ada: User) -> None:
    close(client, log_in(client, ada))
    account = {"email": "ada@example.com", "username": "another", "password": PASSWORD}

    same_email = client.post(f"{API}/auth/register", json=account)
    account |= {"email": "another@example.com", "username": "ada"}
    same_name = client.post(f"{API}/auth/register", json=account)

    assert problem(same_email) == (400, "email_taken")
    assert problem(same_name) == (400, "username_taken")


def test_outstanding_links_die_with_it(client: FlaskClient, ada: User, mailbox: Mailbox) -> None:
    client.post(f"{API}/auth/password/forgot", json={"email": ada.email})
    token = mailbox.token("reset-password")

    close(client, log_in(client, ada))

    body = {"token": token, "new_password": "a new day begins"}
    response = client.post(f"{API}/auth/password/reset", json=body)
    assert problem(response) == (400, "invalid_link")


# Coming back


def test_logging_in_again_keeps_the_account(app: Flask, client: FlaskClient, ada: User) -> None:
    close(client, log_in(client, ada))

    log_in(client, ada)

    assert due_at(app, ada) is None
    with later(days=15):
        prune(app)
        log_in(client, ada)


def test_a_login_after_a_reset_keeps_the_account(
    app: Flask, client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    close(client, log_in(client, ada))
    client.post(f"{API}/auth/password/forgot", json={"email": ada.email})
    body = {"token": mailbox.token("reset-password"), "new_password": "a new day begins"}
    client.post(f"{API}/auth/password/reset", json=body)

    log_in(client, ada, "a new day begins")

    assert due_at(app, ada) is None


def test_a_failed_login_keeps_nothing(app: Flask, client: FlaskClient, ada: User) -> None:
    close(client, log_in(client, ada))

    client.post(f"{API}/auth/login", json={"username": "ada", "password": "wrong"})

    assert due_at(app, ada) is not None


def test_a_login_that_began_before_the_closing_and_ends_after_it_keeps_the_account(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    pair = log_in(client, ada)
    with app.app_context():
        user = authentication.authenticate(PASSWORD, username="ada")
    close(client, pair)

    with app.test_request_context():
        login.start(user)

    assert due_at(app, ada) is None


# Erasing


def test_what_is_due_is_erased_and_the_audit_log_keeps_a_number_alone(
    app: Flask, client: FlaskClient, ada: User, bob: User, mailbox: Mailbox
) -> None:
    pair = log_in(client, ada)
    newer = refresh(client, pair["refresh_token"]).json
    refresh(client, newer["refresh_token"])
    assert problem(refresh(client, pair["refresh_token"])) == (401, "refresh_token_reused")
    for _ in range(3):
        client.post(f"{API}/auth/password/forgot", json={"email": ada.email})
    mailbox.deliver()
    client.post(f"{API}/auth/password/forgot", json={"email": ada.email})
    close(client, log_in(client, ada))

    with later(days=14, seconds=1):
        output = prune(app)

    assert "Removed 1 closed accounts." in output
    with app.app_context():
        assert db.session.scalars(select(User.username)).all() == ["bob"]
        events = db.session.scalars(select(AuditEvent).order_by(AuditEvent.id)).all()
    assert {event.subject_id for event in events} == {ada.id}
    assert {(event.ip, event.user_agent, event.personal) for event in events} == {(None,) * 3}
    # No id has an "@" or a quotation mark in it.
    details = json.dumps([event.details for event in events])
    assert "ada@" not in details
    assert '"ada"' not in details
    assert events[-1].event == "user_erased"
    assert [count(app, model) for model in (Session, OneTimeToken, OutboxMessage)] == [0, 0, 0]


def test_anothers_events_keep_their_address(app: Flask, client: FlaskClient, ada: User) -> None:
    with app.app_context():
        db.session.add(AuditEvent(event="e", subject_id=ada.id + 1, ip="192.0.2.1", details={}))
        db.session.commit()
    close(client, log_in(client, ada))

    with later(days=15):
        prune(app)

    with app.app_context():
        others = select(AuditEvent.ip).where(AuditEvent.subject_id == ada.id + 1)
        assert db.session.scalars(others).all() == ["192.0.2.1"]


def test_the_address_and_the_name_become_free(app: Flask, client: FlaskClient, ada: User) -> None:
    close(client, log_in(client, ada))
    with later(days=15):
        prune(app)
    account = {"email": "ada@example.com", "username": "ada", "password": PASSWORD}

    response = client.post(f"{API}/auth/register", json=account)

    assert response.status_code == 201
    assert response.json["id"] > ada.id


def test_nothing_is_erased_before_it_is_due(app: Flask, client: FlaskClient, ada: User) -> None:
    close(client, log_in(client, ada))

    with later(days=13, hours=23, minutes=59):
        prune(app)

    assert count(app, User) == 1
    log_in(client, ada)


def test_without_a_grace_the_next_pruning_erases(
    app: Flask, client: FlaskClient, ada: User, set_settings: Callable[..., None]
) -> None:
    set_settings(account_deletion_grace=timedelta(0))
    close(client, log_in(client, ada))

    prune(app)

    assert count(app, User) == 0


def test_an_access_token_of_somebody_erased_is_refused(
    app: Flask, client: FlaskClient, ada: User, set_settings: Callable[..., None]
) -> None:
    set_settings(account_deletion_grace=timedelta(0))
    pair = log_in(client, ada)
    close(client, pair)
    prune(app)

    response = me(client, pair["access_token"])

    assert problem(response) == (401, "session_ended")


def test_erasing_takes_no_more_than_it_is_told(app: Flask) -> None:
    for number in range(3):
        make_user(
            app,
            username=f"user{number}",
            email=f"user{number}@example.com",
            deletion_due_at=clock.now() - timedelta(days=1),
        )

    with app.app_context():
        erased = [closing.erase_due(2), closing.erase_due(2), closing.erase_due(2)]

    assert erased == [2, 1, 0]


# Accounts whose address nobody confirmed


@pytest.mark.parametrize(("days", "left"), [(0, 1), (3, 0), (30, 1)])
def test_unconfirmed_accounts_expire_where_that_is_wanted(
    app: Flask, bob: User, set_settings: Callable[..., None], days: int, left: int
) -> None:
    set_settings(unverified_account_lifetime=timedelta(days=days))

    with later(days=4):
        prune(app)

    assert count(app, User) == left


def test_confirmed_accounts_and_superusers_do_not_expire(
    app: Flask, grace: User, set_settings: Callable[..., None]
) -> None:
    make_user(app, username="ada", email="ada@example.com", email_verified=True)
    set_settings(unverified_account_lifetime=timedelta(days=3))

    with later(days=4):
        prune(app)

    assert count(app, User) == 2


# The export


def test_the_export_is_an_attachment_with_everything(
    app: Flask, client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    factories.confirm(app, ada)
    pair = log_in(client, ada)
    newer = refresh(client, pair["refresh_token"]).json
    refresh(client, newer["refresh_token"])
    refresh(client, pair["refresh_token"])
    client.post(f"{API}/auth/password/forgot", json={"email": ada.email})
    mailbox.deliver()

    response = export(client, log_in(client, ada))

    assert response.status_code == 200
    assert response.mimetype == "application/json"
    assert response.headers["Content-Disposition"] == 'attachment; filename="account.json"'
    assert response.headers["Cache-Control"] == "no-store"
    held = response.json
    assert held.keys() == {
        *("user", "roles", "sessions", "one_time_tokens", "mails", "audit_events"),
        *("second_step_at", "totp", "recovery_codes", "passkeys"),
        *("mfa_tickets", "remembered_devices"),
        *("api_keys", "identities", "provider_attempts"),
    }
    assert held["user"].keys() == USER_KEYS
    assert held["sessions"][0].keys() == {
        *("id", "ip", "user_agent", "created_at", "last_seen_at", "expires_at", "ended_at"),
        *("aal", "amr", "signed_in_by", "authenticated_at", "kind", "is_remembered"),
    }
    assert {token["purpose"] for token in held["one_time_tokens"]} == {"not_me", "password_reset"}
    assert {mail["message"] for mail in held["mails"]} == {"refresh_token_reused", "password_reset"}
    assert {event["event"] for event in held["audit_events"]} == {
        *("login_succeeded", "refresh_token_reused", "password_reset_asked")
    }
    assert len(held["sessions"]) == 2


def test_nothing_derived_from_a_password_or_a_token_is_in_the_export(
    app: Flask, client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    client.post(f"{API}/auth/password/forgot", json={"email": ada.email})
    mailbox.deliver()
    client.post(f"{API}/auth/password/forgot", json={"email": ada.email})
    pair = log_in(client, ada)
    with app.app_context():
        secrets = [
            *db.session.scalars(select(User.hashed_password)),
            *db.session.scalars(select(OneTimeToken.token_hash)),
            *db.session.scalars(select(OutboxMessage.sealed)),
            *map(str, db.session.scalars(select(Session.refresh_jti))),
        ]

    text = export(client, pair).text

    assert len(secrets) == 5
    for secret in filter(None, secrets):
        assert secret not in text
    assert "$2" not in text


def test_the_export_holds_nothing_of_anybody_else(
    client: FlaskClient, ada: User, bob: User, mailbox: Mailbox
) -> None:
    log_in(client, bob)
    client.post(f"{API}/auth/password/forgot", json={"email": bob.email})
    mailbox.deliver()

    response = export(client, log_in(client, ada))

    assert "bob" not in response.text
    assert len(response.json["sessions"]) == 1


def test_the_export_does_not_tell_from_where_somebody_else_did_it(
    app: Flask, client: FlaskClient, ada: User, grace: User
) -> None:
    with app.app_context():
        for actor_id in (grace.id, ada.id):
            audit.record(
                Event.USER_UPDATED,
                subject_id=ada.id,
                actor_id=actor_id,
                origin=Client("192.0.2.1", "Browser/1.0"),
            )
        db.session.commit()

    held = export(client, log_in(client, ada)).json["audit_events"]

    from_where = [(event["ip"], event["user_agent"]) for event in held[:2]]
    assert from_where == [(None, None), ("192.0.2.1", "Browser/1.0")]


# How large one event is, and how many an account of years has.
LONG_HISTORY = 20_000


@pytest.fixture
def long_history(app: Flask, ada: User) -> None:
    with app.app_context():
        events = [
            {
                "at": clock.now(),
                "event": "user_updated",
                "subject_id": ada.id,
                "user_agent": "x" * 300,
                "details": {"fields": ["bio"], "number": number},
            }
            for number in range(LONG_HISTORY)
        ]
        db.session.execute(sqlalchemy.insert(AuditEvent), events)
        db.session.commit()


@pytest.mark.usefixtures("long_history")
def test_the_export_of_a_long_history_is_whole_and_in_order(client: FlaskClient, ada: User) -> None:
    response = export(client, log_in(client, ada))

    held = response.json["audit_events"]
    numbers = [event["details"]["number"] for event in held if event["event"] == "user_updated"]
    assert numbers == list(range(LONG_HISTORY))
    assert held[-1]["event"] == "login_succeeded"


@pytest.mark.usefixtures("long_history")
def test_the_export_is_written_while_it_is_read_in_little_memory(
    client: FlaskClient, ada: User
) -> None:
    pair = log_in(client, ada)
    tracemalloc.start()
    try:
        response = export(client, pair)
        length = sum(map(len, response.iter_encoded()))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert response.content_length is None
    assert length > 8_000_000
    assert most < 4_000_000


@pytest.mark.usefixtures("long_history")
def test_the_export_holds_no_connection_while_the_client_takes_its_time(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    pieces = export(client, log_in(client, ada)).iter_encoded()
    for _ in range(20):
        next(pieces)

    with app.app_context():
        pool: Any = db.engine.pool
        assert pool.checkedout() == 0


def test_the_export_wants_a_fresh_login(client: FlaskClient, ada: User) -> None:
    pair = refresh(client, log_in(client, ada)["refresh_token"]).json

    response = export(client, pair)

    assert problem(response) == (401, "fresh_token_required")


def test_every_column_about_a_user_is_exported_or_left_out_on_purpose() -> None:
    left_out = {
        "User": {"username_key", "hashed_password", "deletion_due_at"},
        "Session": {
            *("user_id", "refresh_jti", "previous_jti", "retried_jti", "generation"),
            # The cookie is exported as the kind of the session.
            *("rotated_at", "max_expires_at", "cookie_hash"),
        },
        "OneTimeToken": {"id", "user_id", "token_hash"},
        "OutboxMessage": {
            *("id", "message_id", "user_id", "sealed", "due_at", "attempts"),
            *("set_aside_at", "last_error", "lease"),
        },
        "UserRole": {"user_id"},
        # Whoever guessed at an account is somebody else.
        "LoginThrottle": {"subject", "network", "failures", "blocked_until", "last_failure_at"},
        # About nobody.
        "DeploymentWarning": {"kind", "detail", "seen_at"},
        # The number in the system that the account came from, by which the next import knows it.
        "ImportedAccount": {"user_id", "system", "identity"},
        "Role": {"id", "name", "description", "require_mfa", "created_at"},
        "RolePermission": {"role_id", "permission"},
        # What an event says of a person is among its details there.
        "AuditEvent": {"id", "actor_id", "subject_id", "personal"},
        "AuditSeal": set(sqlalchemy.inspect(AuditSeal).columns.keys()),
        "AuditPruning": {"through"},
        # The secrets of second factors are for the server alone, in whatever form it keeps them.
        "MfaTicket": {"id", "user_id", "token_hash", "account_mark", "tries_left"},
        "TotpFactor": {"user_id", "sealed_secret", "key_id", "last_step"},
        "RecoveryCode": {"id", "user_id", "code_hash", "key_id"},
        "RememberedDevice": {"id", "user_id", "token_hash", "previous_hash", "rotated_at"},
        "Passkey": {*("id", "user_id", "credential_id", "public_key", "algorithm", "sign_count")},
        # Random, so that it tells nothing of its user.
        "PasskeyHandle": {"user_id", "handle"},
        # About nobody.
        "SpentCeremony": {"ceremony_hash", "expires_at"},
        # What opens the account, and how the server follows the key. The mail of the end is
        # exported as a mail, and the level with the session.
        "ApiKey": {
            *("id", "user_id", "key_hash", "previous_hash", "previous_expires_at"),
            *("end_told_at", "aal", "previous_aal"),
        },
        "Identity": {"id", "user_id"},
        # What a provider said until its visitor went on. The visitor may be somebody else than
        # the user who has the address.
        "Attempt": {
            *("id", "user_id", "session_id", "state_hash", "browser_hash", "next_path"),
            *("issuer", "subject", "label", "username", "email", "is_email_proved"),
        },
        # About nobody.
        "AuditCheck": set(sqlalchemy.inspect(AuditCheck).columns.keys()),
        # Keyed digests and sealed answers, which name no user.
        "IdempotencyKey": set(sqlalchemy.inspect(IdempotencyKey).columns.keys()),
    }
    exported = {
        "User": USER_KEYS | {"second_step_at"},
        "Session": {
            *("id", "ip", "user_agent", "created_at", "refreshed_at", "expires_at", "ended_at"),
            *("aal", "amr", "signed_in_by", "authenticated_at", "is_remembered"),
        },
        "OneTimeToken": {
            *("purpose", "email", "replaced_email", "created_at", "expires_at", "used_at")
        },
        "OutboxMessage": {"recipient", "message", "locale", "created_at", "delivered_at"},
        "AuditEvent": {"at", "event", "ip", "user_agent", "request_id", "details"},
        "UserRole": {"role_id"},  # by the role's name
        "AuditSeal": set(),
        "AuditPruning": set(),
        "MfaTicket": {"signed_in_by", "amr", "created_at", "expires_at", "used_at"},
        "TotpFactor": {"created_at", "confirmed_at"},
        "RecoveryCode": {"created_at", "used_at"},
        "RememberedDevice": {"ip", "user_agent", "created_at", "last_used_at", "expires_at"},
        "Passkey": {
            *("name", "rp_id", "transports", "may_sync", "synced", "verifies_user", "aaguid"),
            *("created_at", "last_used_at"),
        },
        "ApiKey": {
            *("name", "prefix", "last4", "scopes", "networks", "created_at", "rotated_at"),
            *("expires_at", "last_used_at", "last_used_ip"),
        },
        "Identity": {"provider", "issuer", "subject", "label", "created_at", "last_used_at"},
        "Attempt": {"provider", "purpose", "created_at", "expires_at", "used_at"},
    }

    columns = {
        mapper.class_.__name__: set(sqlalchemy.inspect(mapper.class_).columns.keys())
        for mapper in db.Model.registry.mappers
        if mapper.class_.__module__.startswith("app.")
    }

    assert columns == {name: left_out[name] | exported.get(name, set()) for name in left_out}
