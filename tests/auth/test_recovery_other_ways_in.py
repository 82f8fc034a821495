"""Stories of a thief and an owner: the ways in beside the password.

Ada is the owner. The thief has an old passkey in her account, or an old account
of a provider that is linked with it. "This wasn't me" and an undo leave both,
since they may be Ada's own.
"""

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from app import clock
from app.api_keys.models import ApiKey
from app.auth.mfa.recovery_codes.models import RecoveryCode
from app.auth.mfa.remembered_devices.models import RememberedDevice
from app.auth.mfa.totp.models import TotpFactor
from app.auth.passkeys.models import Passkey
from app.auth.providers.models import Identity
from app.extensions import db
from app.models import User
from app.security.one_time_tokens import Purpose
from docs.write_refusals import codes, operations
from tests.auth.mfa.phone import enrol_with, go_on, ticket_of
from tests.auth.passkeys.authenticator import Authenticator
from tests.auth.passkeys.browser import log_in_with, register, with_passkey
from tests.auth.providers.acme import Acme, link_directly, offered, press, sign_in
from tests.auth.rescuing import OLD, OWN, Rescue, Thief, holder_of, issue, reset
from tests.factories import API, bearer, log_in, me, problem, refresh
from tests.mailbox import Mailbox
from tests.pages.person import Page, Person

REFUSED = (403, "password_reset_required")
FIRST_PASSWORD = {"new_password": "a first one of the thief"}


@pytest.fixture
def acme(app: Flask) -> Iterator[Acme]:
    with offered(app) as provider:
        yield provider


@pytest.fixture
def key(app: Flask, client: FlaskClient, ada: User) -> Authenticator:
    """A passkey that was added too long ago to be removed by the rescue."""
    key = Authenticator()
    with_passkey(client, ada, key)
    make_older(app, Passkey)
    return key


def make_older(app: Flask, model: type[Passkey | Identity]) -> None:
    with app.app_context():
        db.session.execute(update(model).values(created_at=clock.now() - timedelta(days=8)))
        db.session.commit()


def test_nothing_that_a_thief_has_added_lately_outlives_the_rescue(
    app: Flask, client: FlaskClient, ada: User, acme: Acme, thief: Thief, rescue: Rescue
) -> None:
    key = Authenticator()
    codes_of_thief = register(client, thief.pair["access_token"], key).json["recovery_codes"]
    link_directly(app, ada, "of the thief")
    phone = enrol_with(client, thief.pair["access_token"])
    raised = bearer(go_on(client, ticket_of(client, ada), otp=phone.code()).json["access_token"])
    body = {"name": "of the thief", "scopes": ["profile"]}
    api_key = client.post(f"{API}/auth/keys", json=body, headers=raised).json["key"]
    code = {"recovery_code": codes_of_thief[0], "remember_device": True}
    assert go_on(client, ticket_of(client, ada), **code).status_code == 200
    ticket = ticket_of(client, ada)
    assert me(client, api_key).status_code == 200

    link = rescue()

    assert problem(me(client, api_key)) == (401, "invalid_token")
    assert problem(log_in_with(client, key)) == (401, "invalid_credentials")
    late = go_on(client, ticket, recovery_code=codes_of_thief[1])
    assert problem(late) == (400, "mfa_ticket_invalid")
    assert problem(refresh(client, thief.pair["refresh_token"])) == (401, "invalid_refresh_token")
    with app.app_context():
        for model in (Passkey, Identity, TotpFactor, RecoveryCode, RememberedDevice, ApiKey):
            assert db.session.scalars(select(model)).all() == []
    assert reset(client, link).status_code == 204
    assert log_in(client, ada, OWN)


def test_a_thief_with_an_old_passkey_takes_nothing_before_the_owner_has_a_new_password(
    app: Flask,
    client: FlaskClient,
    ada: User,
    mailbox: Mailbox,
    key: Authenticator,
    rescue: Rescue,
) -> None:
    link = rescue()
    headers = bearer(log_in_with(client, key).json["access_token"])

    wants_fresh_login = [
        call
        for call, described in operations(client.get("/openapi.json").json)
        if REFUSED[1] in codes(described) and "x-permission" not in described
    ]
    answers = {
        call: problem(client.open(path_of(call), method=call.split()[0], headers=headers))
        for call in wants_fresh_login
    }

    for call in ("email/change", "password/set", "factors/totp", "passkeys", "keys"):
        assert f"POST {API}/auth/{call}" in answers
    assert {call for call, found in answers.items() if found != REFUSED} == set()
    assert mailbox.deliver() == []
    assert holder_of(app, OLD) == ada.id
    assert reset(client, link).status_code == 204
    again = bearer(log_in_with(client, key).json["access_token"])
    body = {"new_email": "ada@example.org"}
    assert client.post(f"{API}/auth/email/change", json=body, headers=again).status_code == 202


def path_of(call: str) -> str:
    uuid = "4a7c5a3e-6d5c-4a55-8a1a-0d5f0f0a9c11"
    return re.sub(r"{\w+}", lambda _: "1" if "identities" in call else uuid, call.split()[1])


def test_nor_does_a_thief_with_an_old_account_of_a_provider(
    app: Flask, client: FlaskClient, ada: User, mailbox: Mailbox, acme: Acme
) -> None:
    link_directly(app, ada)
    make_older(app, Identity)
    client.post(f"{API}/auth/not-me", json={"token": issue(app, ada, Purpose.NOT_ME, OLD)})
    link = mailbox.token("reset-password", to=OLD)
    thief = Person(app)
    assert sign_in(thief, acme, "1").status_code == 303

    pages = [
        press(thief, thief.open("/account/identities"), acme, purpose="link"),
        thief.ask("POST", "/account/delete", data=thief.open("/account/delete").form().fields),
    ]

    for page in pages:
        assert (page.status_code, Page(page).heading) == (403, "Set a new password first")
    assert reset(client, link).status_code == 204


@pytest.mark.parametrize("was_rescued", [False, True])
def test_an_account_without_a_password_that_no_rescue_has_removed_sets_its_first_one(
    app: Flask,
    client: FlaskClient,
    ada: User,
    mailbox: Mailbox,
    key: Authenticator,
    was_rescued: bool,
) -> None:
    if was_rescued:
        client.post(f"{API}/auth/not-me", json={"token": issue(app, ada, Purpose.NOT_ME, OLD)})
        assert reset(client, mailbox.token("reset-password", to=OLD)).status_code == 204
    with app.app_context():
        db.session.execute(update(User).values(hashed_password=None))
        db.session.commit()
    headers = bearer(log_in_with(client, key).json["access_token"])

    response = client.post(f"{API}/auth/password/set", json=FIRST_PASSWORD, headers=headers)

    assert response.status_code == 204
