"""ID tokens of native applications."""

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.auth import taken
from app.auth.providers import identities, new_account, usernames
from app.auth.providers.models import Identity
from app.auth.providers.visitor import Visitor
from app.auth.sessions.handover import Handover
from app.extensions import db
from app.models import OutboxMessage, User
from app.observability import metrics
from app.security.identifiers import canonical_username
from app.security.one_time_tokens import Purpose
from app.security.outbound.fetching import Answer, OutboundFailed
from tests.auth.mfa.phone import enrol_with
from tests.auth.providers.acme import Acme, link_directly, offered
from tests.auth.sessions.test_races import elsewhere, live_sessions
from tests.auth.test_mail_races import issue, posting
from tests.factories import API, bearer, log_in, make_user, me, problem, refused_fields
from tests.mailbox import Mailbox

CALLS = f"{API}/auth/providers/acme"


def nonce_of(client: FlaskClient) -> str:
    nonce: str = client.post(f"{CALLS}/nonce", json={}).json["nonce"]
    return nonce


def send(client: FlaskClient, acme: Acme, nonce: str | None = None, **claims: Any) -> TestResponse:
    nonce = nonce or nonce_of(client)
    token = acme.id_token(**{"sub": "1", "nonce": nonce, **claims})
    return client.post(f"{CALLS}/id-token", json={"id_token": token, "nonce": nonce})


def test_the_providers_are_listed(client: FlaskClient, acme: Acme) -> None:
    items = client.get(f"{API}/auth/providers").json["items"]

    assert items == [{"name": "acme", "label": "Acme"}]


def test_a_new_person_gets_an_account(client: FlaskClient, acme: Acme) -> None:
    claims = {"email": "ada@acme.example", "email_verified": True}

    answer = send(client, acme, **claims)
    again = send(client, acme, **claims)

    person = me(client, answer.json["access_token"]).json
    assert (person["username"], person["email_verified"]) == ("ada", True)
    assert me(client, again.json["access_token"]).json["id"] == person["id"]


def test_a_nonce_works_once_and_is_ours(
    client: FlaskClient, acme: Acme, app: Flask, ada: User
) -> None:
    link_directly(app, ada)
    nonce = nonce_of(client)
    assert send(client, acme, nonce).status_code == 200

    for refused in (send(client, acme, nonce), send(client, acme, "n" * 43)):
        assert problem(refused) == (401, "invalid_credentials")


def test_the_token_may_be_for_one_of_our_applications_and_no_other(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    link_directly(app, ada)
    with offered(app, audiences=("our-phone",)) as acme:
        theirs = send(client, acme, aud="their-phone")
        ours = send(client, acme, aud="our-phone")
        both = send(client, acme, aud="our-client", azp="our-phone")
        stranger = send(client, acme, aud="our-client", azp="their-phone")

    assert problem(theirs) == problem(stranger) == (401, "invalid_credentials")
    assert (ours.status_code, both.status_code) == (200, 200)


def test_what_cannot_be_done_without_a_page_is_said(
    app: Flask, client: FlaskClient, acme: Acme, ada: User
) -> None:
    assert problem(send(client, acme, email=ada.email)) == (409, "link_required")
    assert refused_fields(send(client, acme)) == {"#/id_token": "address_missing"}
    enrol_with(client, log_in(client, ada)["access_token"])
    link_directly(app, ada)
    due = send(client, acme)
    assert problem(due) == (403, "mfa_required")
    assert due.json["mfa_token"]


@pytest.mark.parametrize("name", ["github", "nobody"])
def test_a_provider_without_id_tokens_is_not_found(
    client: FlaskClient, acme: Acme, name: str
) -> None:
    answer = client.post(f"{API}/auth/providers/{name}/nonce", json={})

    assert problem(answer) == (404, "not_found")


def test_without_registration_no_account_is_made(
    client: FlaskClient, acme: Acme, set_settings: Any
) -> None:
    set_settings(pages_registration=False)

    assert problem(send(client, acme, email="ada@acme.example")) == (403, "registration_closed")


@pytest.mark.parametrize(
    "local", ["=?utf-8?q?victim?=", "victim%example.org", "example.org!victim"]
)
def test_an_address_that_may_mean_another_mailbox_becomes_no_account(
    app: Flask, client: FlaskClient, acme: Acme, local: str
) -> None:
    response = send(client, acme, email=f"{local}@acme.example", email_verified=True)

    assert response.status_code in (403, 409, 422)
    with app.app_context():
        assert db.session.scalars(select(User.email)).all() == []
        assert db.session.scalars(select(OutboxMessage.id)).all() == []


def test_while_the_provider_is_away_the_answer_is_503(
    client: FlaskClient, acme: Acme, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(url: str, **_: Any) -> Answer:
        raise OutboundFailed("unreachable", "nobody answers")

    monkeypatch.setattr(acme, "fetch", away)

    assert problem(send(client, acme)) == (503, "unavailable")


@pytest.mark.parametrize("has_account", [True, False])
def test_an_unproved_address_does_not_tell_whether_it_has_an_account(
    app: Flask, client: FlaskClient, acme: Acme, mailbox: Mailbox, has_account: bool,
    set_settings: Any,
) -> None:  # fmt: skip
    set_settings(hide_account_existence=True)
    if has_account:
        make_user(app, username="owner", email="ada@elsewhere.example", email_verified=True)

    answer = send(client, acme, email="ada@elsewhere.example")

    assert problem(answer) == (403, "email_not_verified")
    [mail] = mailbox.deliver()
    assert mail.page == ("reset-password" if has_account else "verify-email")


def test_a_username_that_is_taken_at_this_moment_is_replaced(
    client: FlaskClient, acme: Acme, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = iter(["bob", "bob2"])
    monkeypatch.setattr(usernames, "suggested", lambda _: next(names))

    answer = send(client, acme, email="robert@acme.example")

    assert me(client, answer.json["access_token"]).json["username"] == "bob2"


@pytest.mark.postgresql
def test_an_identity_that_a_rescue_unlinks_at_this_moment_opens_nothing(
    app: Flask, client: FlaskClient, acme: Acme, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    link_directly(app, ada)
    save = posting(app, "/auth/not-me", {"token": issue(app, ada, Purpose.NOT_ME)})
    find = identities.find

    def found_and_unlinked(visitor: Visitor) -> Identity | None:
        found = find(visitor)
        elsewhere(app, save).join()
        return found

    monkeypatch.setattr(identities, "find", found_and_unlinked)

    # It is tried again, and then nobody knows the person.
    assert refused_fields(send(client, acme)) == {"#/id_token": "address_missing"}
    assert live_sessions(app) == 0


def test_two_tokens_of_a_new_person_at_once_are_of_one_account(
    client: FlaskClient, acme: Acme, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = new_account.make

    def after_another(*given: Any, **named: Any) -> Handover:
        make(*given, **named)
        return make(*given, **named)

    monkeypatch.setattr(new_account, "make", after_another)

    slower = send(client, acme, email="ada@acme.example")

    assert me(client, slower.json["access_token"]).json["username"] == "ada"


def test_an_address_to_which_an_account_may_return_is_taken(
    client: FlaskClient, acme: Acme, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taken, "former_owner", lambda *_, **__: 1)

    assert problem(send(client, acme, email="ada@acme.example")) == (400, "email_taken")


@pytest.mark.parametrize(
    ("hint", "username"),
    [
        # What is left is one letter with an accent, which is stored as one character.
        ("a⁠̀nna@acme.example", "ànna"),
        # The name is taken. Written out, it is too long to have digits behind it.
        ("ﷺ" * 11, "newcomer......"),
        ("bob", "bob......"),
    ],
    ids=["accent", "ligatures", "taken"],
)
def test_a_suggested_username_can_be_stored(
    app: Flask, bob: User, hint: str, username: str
) -> None:
    make_user(app, username="ﷺ" * 11, email="ligatures@example.com")

    with app.app_context():
        suggested = usernames.suggested(hint)

    assert re.fullmatch(username, suggested)
    assert canonical_username(suggested) == suggested


def test_sign_ins_are_counted_and_the_log_says_why_one_failed(
    client: FlaskClient, acme: Acme, caplog: pytest.LogCaptureFixture
) -> None:
    def counted(result: str) -> float:
        labels = {"provider": "acme", "result": result}
        return metrics.REGISTRY.get_sample_value("federated_total", labels) or 0

    before = {result: counted(result) for result in ("registered", "signed_in", "provider_failed")}
    send(client, acme, email="ada@acme.example")
    send(client, acme, aud="another-client")

    assert {result: counted(result) - number for result, number in before.items()} == {
        "registered": 1,
        "signed_in": 1,
        "provider_failed": 1,
    }
    assert "its ID token is for another program: 'another-client'" in [
        getattr(record, "reason", None) for record in caplog.records
    ]


def test_an_api_call_lists_nothing_of_others(
    app: Flask, client: FlaskClient, acme: Acme, ada: User, bob: User
) -> None:
    link_directly(app, bob)
    headers = bearer(log_in(client, ada)["access_token"])

    assert client.get(f"{API}/auth/identities", headers=headers).json == {"items": []}
