"""Whose passkey it is, and what it may be used for."""

from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, select, update
from sqlalchemy.orm import joinedload

from app.auth.passkeys import keys
from app.auth.passkeys.models import Passkey, PasskeyHandle
from app.errors import SessionEnded
from app.extensions import db
from app.models import AuditEvent, Session, User
from tests import factories
from tests.auth.mfa.phone import enrol_with, ticket_of
from tests.auth.passkeys.authenticator import USER_PRESENT, USER_VERIFIED, Authenticator, Lies
from tests.auth.passkeys.browser import (
    log_in_with,
    options,
    reauthenticate_with,
    register,
    second_step_with,
    switch_second_step_on,
    with_passkey,
)
from tests.factories import API, bearer, log_in, problem, refused_fields
from tests.mailbox import Mailbox

VERIFIED = Lies(flags=USER_PRESENT | USER_VERIFIED)


def test_the_key_of_another_user_is_a_wrong_factor(
    client: FlaskClient, ada: User, bob: User
) -> None:
    bobs = Authenticator()
    with_passkey(client, bob, bobs)
    token = with_passkey(client, ada, Authenticator())
    switch_second_step_on(client, token)

    # Without a user handle only the owner in the database tells.
    for handle in (bobs.user_handle, None):
        bobs.user_handle = handle
        step_up = reauthenticate_with(client, token, bobs)
        second_step = second_step_with(client, ticket_of(client, ada), bobs)

        assert problem(step_up) == (403, "wrong_factor")
        assert problem(second_step) == (403, "wrong_factor")


def test_a_second_step_needs_no_user_handle_but_not_a_wrong_one(
    client: FlaskClient, ada: User
) -> None:
    key = Authenticator()
    switch_second_step_on(client, with_passkey(client, ada, key))

    wrong = second_step_with(client, ticket_of(client, ada), key, Lies(user_handle=bytes(32)))
    key.user_handle = None
    missing = second_step_with(client, ticket_of(client, ada), key)

    assert problem(wrong) == (403, "wrong_factor")
    assert missing.status_code == 200


def test_an_id_that_somebody_has_is_refused_without_naming_the_owner(
    client: FlaskClient, ada: User, bob: User
) -> None:
    adas = Authenticator()
    with_passkey(client, ada, adas)
    with_passkey(client, bob, Authenticator())
    lie = Lies(credential_id=adas.credential_id)

    of_bob = register(client, log_in(client, bob)["access_token"], Authenticator(), lies=lie)
    of_ada = register(client, log_in(client, ada)["access_token"], Authenticator(), lies=lie)

    assert problem(of_bob) == problem(of_ada) == (409, "passkey_exists")
    assert of_bob.json["detail"] == of_ada.json["detail"]
    # The key of Ada is the one that she added.
    assert log_in_with(client, adas).status_code == 200


def test_the_user_handle_is_random_and_stays_the_same(
    app: Flask, client: FlaskClient, ada: User, bob: User
) -> None:
    first, second, bobs = Authenticator(), Authenticator(), Authenticator()
    for user, key in ((ada, first), (ada, second), (bob, bobs)):
        with_passkey(client, user, key)

    assert first.user_handle is not None
    assert len(first.user_handle) == 32
    assert first.user_handle == second.user_handle != bobs.user_handle
    with app.app_context():
        stored = set(db.session.scalars(select(PasskeyHandle.handle)))
    assert stored == {first.user_handle, bobs.user_handle}


def test_a_key_that_could_not_verify_its_user_when_it_was_added_does_not_log_in(
    client: FlaskClient, ada: User
) -> None:
    """Somebody who finds a key without a PIN gives it a PIN of their own."""
    key = Authenticator(verifies_user=False)
    with_passkey(client, ada, key)

    assert problem(log_in_with(client, key, VERIFIED)) == (401, "invalid_credentials")


def test_after_the_password_the_owner_shows_that_the_key_verifies_by_now(
    client: FlaskClient, ada: User
) -> None:
    key = Authenticator(verifies_user=False)
    token = with_passkey(client, ada, key)
    # A token alone may be stolen.
    assert reauthenticate_with(client, token, key, VERIFIED).status_code == 200
    assert log_in_with(client, key, VERIFIED).status_code == 401
    switch_second_step_on(client, token)

    step = second_step_with(client, ticket_of(client, ada), key, VERIFIED)

    assert step.status_code == 200
    assert log_in_with(client, key, VERIFIED).status_code == 200


def test_a_key_from_before_the_flag_was_recorded_goes_on(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    key = Authenticator(is_synced=True)
    with_passkey(client, ada, key)
    with app.app_context():
        db.session.execute(update(Passkey).values(may_sync=None))
        db.session.commit()

    assert log_in_with(client, key).status_code == 200


def test_a_deactivated_or_unknown_owner_gets_the_same_answer(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    key = Authenticator()
    with_passkey(client, ada, key)
    unknown = log_in_with(client, Authenticator())
    with app.app_context():
        db.session.execute(update(User).values(is_active=False))
        db.session.commit()

    inactive = log_in_with(client, key)

    assert problem(inactive) == problem(unknown) == (401, "invalid_credentials")
    assert inactive.json["detail"] == unknown.json["detail"]


def test_a_refused_login_is_on_record(app: Flask, client: FlaskClient, ada: User) -> None:
    key = Authenticator()
    with_passkey(client, ada, key)

    log_in_with(client, key, Lies(flags=USER_PRESENT))
    log_in_with(client, Authenticator())

    failed = select(AuditEvent).where(AuditEvent.event == "login_failed").order_by(AuditEvent.id)
    with app.app_context():
        found = [(one.subject_id, one.details) for one in db.session.scalars(failed)]
    assert found == [(ada.id, {"reason": "wrong_passkey"}), (None, {"reason": "wrong_passkey"})]


def test_the_owner_is_told_of_a_new_passkey_at_a_confirmed_address(
    client: FlaskClient, ada: User, bob: User, mailbox: Mailbox
) -> None:
    for user in (ada, bob):
        with_passkey(client, user, Authenticator())

    added = [mail for mail in mailbox.deliver() if "second factor was added" in mail.subject]

    assert [mail.to for mail in added] == [ada.email]
    assert "a passkey" in added[0].text
    assert added[0].page == "not-me"


def test_names(client: FlaskClient, ada: User, bob: User) -> None:
    token = log_in(client, ada)["access_token"]
    bobs = log_in(client, bob)["access_token"]
    made = register(client, token, Authenticator()).json["passkey"]
    path = f"{API}/auth/passkeys/{made['id']}"

    def rename(name: str, access_token: str = token) -> object:
        return client.patch(path, json={"name": name}, headers=bearer(access_token))

    assert made["name"]
    assert rename("é" * 100).json["name"] == "é" * 100
    assert refused_fields(rename("x" * 101)) == {"#/name": "too_long"}
    assert refused_fields(rename("a\nb")) == {"#/name": "invalid_characters"}
    assert problem(rename("mine", bobs)) == (404, "not_found")
    too_long = register(client, token, Authenticator(), name="x" * 101)
    assert refused_fields(too_long) == {"#/name": "too_long"}


def test_another_users_passkey_cannot_be_removed(client: FlaskClient, ada: User, bob: User) -> None:
    token = log_in(client, ada)["access_token"]
    bobs = log_in(client, bob)["access_token"]
    made = register(client, token, Authenticator()).json["passkey"]

    for access_token, passkey_id, status in (
        (bobs, made["id"], 404),
        (token, uuid4(), 404),
        (token, made["id"], 204),
        (token, made["id"], 404),
    ):
        path = f"{API}/auth/passkeys/{passkey_id}"
        assert client.delete(path, headers=bearer(access_token)).status_code == status


def test_a_second_passkey_makes_no_new_recovery_codes(client: FlaskClient, ada: User) -> None:
    token = with_passkey(client, ada, Authenticator())

    assert "recovery_codes" not in register(client, token, Authenticator()).json


def test_a_removed_key_does_not_log_in(app: Flask, client: FlaskClient) -> None:
    eve = factories.make_user(app, username="eve", email="eve@example.com")
    key = Authenticator()
    token = log_in(client, eve)["access_token"]
    made = register(client, token, key).json["passkey"]
    client.delete(f"{API}/auth/passkeys/{made['id']}", headers=bearer(token))

    assert problem(log_in_with(client, key)) == (401, "invalid_credentials")


def test_registration_options_exclude_the_keys_that_are_there(
    client: FlaskClient, ada: User
) -> None:
    key = Authenticator()
    token = with_passkey(client, ada, key)

    given = options(client, "passkeys/options", token)["options"]

    assert [one["type"] for one in given["excludeCredentials"]] == ["public-key"]
    assert given["attestation"] == "none"
    assert given["authenticatorSelection"]["residentKey"] == "required"
    assert [one["alg"] for one in given["pubKeyCredParams"]] == [-7, -257, -8]
    assert given["user"]["name"] == ada.email


def test_an_account_that_was_erased_meanwhile_begins_no_registration(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    log_in(client, ada)
    with app.app_context():
        session = db.session.scalars(select(Session).options(joinedload(Session.user))).one()
        db.session.expunge_all()
        db.session.execute(delete(User))
        db.session.commit()

        with pytest.raises(SessionEnded):
            keys.begin(session)


def test_an_account_has_no_more_passkeys_than_it_may(
    client: FlaskClient, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "MOST_PASSKEYS", 2)
    token = with_passkey(client, ada, Authenticator())
    assert register(client, token, Authenticator()).status_code == 201

    assert problem(register(client, token, Authenticator())) == (409, "too_many_passkeys")
    headers = bearer(token)
    first, *_ = client.get(f"{API}/auth/factors", headers=headers).json["passkeys"]
    client.delete(f"{API}/auth/passkeys/{first['id']}", headers=headers)
    assert register(client, token, Authenticator()).status_code == 201


def test_a_stranger_who_registered_the_address_first_keeps_no_factor(
    app: Flask, client: FlaskClient, mailbox: Mailbox
) -> None:
    """The owner of the address proves it with a reset. Nobody had confirmed it before."""
    account = factories.make_user(app, username="stranger", email="owner@example.com")
    key = Authenticator()
    token = with_passkey(client, account, key)
    enrol_with(client, token)

    client.post(f"{API}/auth/password/forgot", json={"email": account.email})
    body = {"token": mailbox.token("reset-password"), "new_password": "a password of the owner"}
    assert client.post(f"{API}/auth/password/reset", json=body).status_code == 204

    assert problem(log_in_with(client, key)) == (401, "invalid_credentials")
    owners = log_in(client, account, "a password of the owner")["access_token"]
    factors = client.get(f"{API}/auth/factors", headers=bearer(owners)).json
    assert factors == {
        "second_step": False,
        "required": False,
        "totp": None,
        "recovery_codes": None,
        "passkeys": [],
    }
