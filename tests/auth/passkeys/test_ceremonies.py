"""A ceremony belongs to one purpose, and to one session or ticket. It succeeds once."""

from typing import Any

import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from app.auth.passkeys import ceremonies
from app.auth.passkeys.models import SpentCeremony
from app.extensions import db
from app.models import User
from tests.auth.mfa.phone import go_on, ticket_of
from tests.auth.passkeys.authenticator import Authenticator, Lies
from tests.auth.passkeys.browser import (
    log_in_with,
    options,
    reauthenticate_with,
    switch_second_step_on,
    with_passkey,
)
from tests.cases import each
from tests.factories import API, bearer, log_in, problem

INVALID = (400, "ceremony_invalid")


def spent(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(SpentCeremony)) or 0


def register_with(client: FlaskClient, token: str, **body: Any) -> TestResponse:
    return client.post(f"{API}/auth/passkeys", json=body, headers=bearer(token))


def test_a_ceremony_of_one_purpose_is_garbage_for_the_others(
    client: FlaskClient, ada: User
) -> None:
    key = Authenticator()
    token = with_passkey(client, ada, key)
    switch_second_step_on(client, token)
    token = log_in_with(client, key).json["access_token"]
    ticket = ticket_of(client, ada)
    begun = {
        "register": options(client, "passkeys/options", token),
        "login": options(client, "passkeys/login-options"),
        "mfa": options(client, "mfa/passkey-options", mfa_token=ticket),
        "reauthenticate": options(client, "reauthenticate/passkey-options", token),
    }

    def answer(purpose: str) -> dict[str, Any]:
        given = begun[purpose]["options"] | {"rpId": "localhost"}
        return {"ceremony": begun[purpose]["ceremony"], "credential": key.get(given)}

    @each("purpose", begun)
    def serves_alone(purpose: str) -> None:
        if purpose != "register":
            made = Authenticator().create(
                begun["register"]["options"] | {"challenge": begun[purpose]["options"]["challenge"]}
            )
            ceremony = begun[purpose]["ceremony"]
            refusal = register_with(client, token, ceremony=ceremony, credential=made)
            assert problem(refusal) == INVALID
        if purpose != "login":
            refusal = client.post(f"{API}/auth/passkeys/login", json=answer(purpose))
            assert problem(refusal) == INVALID
        if purpose != "mfa":
            assert problem(go_on(client, ticket_of(client, ada), **answer(purpose))) == INVALID
        if purpose != "reauthenticate":
            refusal = client.post(
                f"{API}/auth/reauthenticate", json=answer(purpose), headers=bearer(token)
            )
            assert problem(refusal) == INVALID

    serves_alone()


def test_a_registration_belongs_to_the_session_that_began_it(
    client: FlaskClient, ada: User, bob: User
) -> None:
    begun = options(client, "passkeys/options", log_in(client, ada)["access_token"])
    body = {
        "ceremony": begun["ceremony"],
        "credential": Authenticator().create(begun["options"]),
    }

    for other in (log_in(client, ada), log_in(client, bob)):
        assert problem(register_with(client, other["access_token"], **body)) == INVALID


def test_a_second_step_belongs_to_its_ticket(client: FlaskClient, ada: User) -> None:
    key = Authenticator()
    switch_second_step_on(client, with_passkey(client, ada, key))
    first, second = ticket_of(client, ada), ticket_of(client, ada)
    begun = options(client, "mfa/passkey-options", mfa_token=first)
    body = {"ceremony": begun["ceremony"], "credential": key.get(begun["options"])}

    assert problem(go_on(client, second, **body)) == INVALID
    assert go_on(client, first, **body).status_code == 200


def test_a_step_up_belongs_to_its_session(client: FlaskClient, ada: User) -> None:
    key = Authenticator()
    token = with_passkey(client, ada, key)
    other = log_in(client, ada)["access_token"]
    begun = options(client, "reauthenticate/passkey-options", token)
    body = {"ceremony": begun["ceremony"], "credential": key.get(begun["options"])}

    refusal = client.post(f"{API}/auth/reauthenticate", json=body, headers=bearer(other))

    assert problem(refusal) == INVALID


def test_it_ends_after_five_minutes(
    client: FlaskClient, ada: User, clock: time_machine.Traveller
) -> None:
    key = Authenticator()
    with_passkey(client, ada, key)
    begun = options(client, "passkeys/login-options")
    body = {"ceremony": begun["ceremony"], "credential": key.get(begun["options"])}
    clock.shift(5 * 60)

    assert problem(client.post(f"{API}/auth/passkeys/login", json=body)) == INVALID


def test_one_that_succeeded_does_not_succeed_again(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    # It does not count, so the counter would not refuse the second answer.
    key = Authenticator(counts=False)
    with_passkey(client, ada, key)
    begun = options(client, "passkeys/login-options")
    body = {"ceremony": begun["ceremony"], "credential": key.get(begun["options"])}
    before = spent(app)

    first = client.post(f"{API}/auth/passkeys/login", json=body)
    second = client.post(f"{API}/auth/passkeys/login", json=body)

    assert first.status_code == 200
    assert problem(second) == INVALID
    assert spent(app) == before + 1


def test_the_same_answer_sent_twice_does_not_look_like_a_copied_key(
    client: FlaskClient, ada: User
) -> None:
    key = Authenticator()
    with_passkey(client, ada, key)
    begun = options(client, "passkeys/login-options")
    body = {"ceremony": begun["ceremony"], "credential": key.get(begun["options"])}

    client.post(f"{API}/auth/passkeys/login", json=body)

    assert problem(client.post(f"{API}/auth/passkeys/login", json=body)) == INVALID
    assert log_in_with(client, key).status_code == 200


def test_a_bad_post_uses_nothing_up(app: Flask, client: FlaskClient, ada: User) -> None:
    key = Authenticator()
    token = with_passkey(client, ada, key)
    before = spent(app)
    login = options(client, "passkeys/login-options")
    bad = {"ceremony": login["ceremony"], "credential": key.get(login["options"], Lies(flags=1))}
    registration = options(client, "passkeys/options", token)
    another = Authenticator()
    lie = another.create(registration["options"], Lies(origin="https://evil.example"))

    assert client.post(f"{API}/auth/passkeys/login", json=bad).status_code == 401
    refusal = register_with(client, token, ceremony=registration["ceremony"], credential=lie)
    assert refusal.status_code == 422
    assert spent(app) == before

    good = {"ceremony": login["ceremony"], "credential": key.get(login["options"])}
    assert client.post(f"{API}/auth/passkeys/login", json=good).status_code == 200
    made = another.create(registration["options"])
    added = register_with(client, token, ceremony=registration["ceremony"], credential=made)
    assert added.status_code == 201


def test_a_bad_ceremony_has_one_answer(client: FlaskClient, ada: User) -> None:
    key = Authenticator()
    token = with_passkey(client, ada, key)
    begun = options(client, "passkeys/login-options")
    credential = key.get(begun["options"])

    @each(
        "text", ["", "a", "a.b", "ä", "." * 2000, begun["ceremony"][:-1], "A" + begun["ceremony"]]
    )
    def refused(text: str) -> None:
        body = {"ceremony": text, "credential": credential}
        assert problem(client.post(f"{API}/auth/passkeys/login", json=body)) == INVALID
        assert problem(register_with(client, token, **body)) == INVALID
        answer = client.post(f"{API}/auth/reauthenticate", json=body, headers=bearer(token))
        assert problem(answer) == INVALID

    refused()


def test_spent_ceremonies_are_forgotten_when_they_would_have_ended(
    app: Flask, client: FlaskClient, ada: User, clock: time_machine.Traveller
) -> None:
    key = Authenticator()
    with_passkey(client, ada, key)
    assert log_in_with(client, key).status_code == 200
    assert spent(app) == 2

    with app.app_context():
        assert ceremonies.prune(10) == 0
    clock.shift(5 * 60 + 1)
    with app.app_context():
        assert ceremonies.prune(10) == 2


def test_a_passkey_raises_a_session(client: FlaskClient, ada: User) -> None:
    key = Authenticator(verifies_user=False)
    with_passkey(client, ada, key)
    token = log_in(client, ada)["access_token"]

    raised = reauthenticate_with(client, token, key)

    assert raised.status_code == 200, raised.text
    headers = bearer(raised.json["access_token"])
    session = client.get(f"{API}/auth/sessions/current", headers=headers).json
    assert session["aal"] == 2
    assert session["amr"] == ["pwd", "pop", "mfa"]
