"""Passkeys: adding them, logging in with them, and using them as a second factor."""

import pytest
from flask.testing import FlaskClient

from app.models import User
from tests.auth.mfa.phone import give_password, go_on, ticket_of
from tests.auth.passkeys.authenticator import Authenticator
from tests.auth.passkeys.browser import log_in_with, options, register, with_passkey
from tests.factories import API, bearer, log_in, me, problem


@pytest.fixture(params=[-7, -257, -8], ids=["ES256", "RS256", "EdDSA"])
def authenticator(request: pytest.FixtureRequest) -> Authenticator:
    return Authenticator(algorithm=request.param)


def test_a_passkey_is_registered_and_logs_in(
    client: FlaskClient, ada: User, authenticator: Authenticator
) -> None:
    token = log_in(client, ada)["access_token"]

    added = register(client, token, authenticator, name="Ada's laptop")
    answer = log_in_with(client, authenticator)

    assert added.status_code == 201, added.text
    assert added.json["passkey"]["name"] == "Ada's laptop"
    assert len(added.json["recovery_codes"]) == 10
    assert answer.status_code == 200, answer.text
    session = client.get(
        f"{API}/auth/sessions/current", headers=bearer(answer.json["access_token"])
    ).json
    assert session["aal"] == 2
    assert session["amr"] == ["pop", "user", "mfa"]
    assert session["signed_in_by"] == "passkey"


def test_a_passkey_alone_does_not_switch_the_second_step_on(client: FlaskClient, ada: User) -> None:
    with_passkey(client, ada, Authenticator())

    assert give_password(client, ada).status_code == 200


def test_it_serves_as_the_second_step(client: FlaskClient, ada: User) -> None:
    authenticator = Authenticator(verifies_user=False)
    token = with_passkey(client, ada, authenticator)
    switch = client.put(
        f"{API}/auth/factors/second-step", json={"enabled": True}, headers=bearer(token)
    )
    assert switch.json["second_step"] is True
    ticket = ticket_of(client, ada)

    begun = options(client, "mfa/passkey-options", mfa_token=ticket)
    answer = go_on(
        client,
        ticket,
        ceremony=begun["ceremony"],
        credential=authenticator.get(begun["options"]),
    )

    assert answer.status_code == 200, answer.text
    assert me(client, answer.json["access_token"]).status_code == 200


def test_an_authenticator_that_does_not_verify_its_user_cannot_log_in(
    client: FlaskClient, ada: User
) -> None:
    authenticator = Authenticator(verifies_user=False)
    with_passkey(client, ada, authenticator)

    assert problem(log_in_with(client, authenticator)) == (401, "invalid_credentials")


def test_a_counter_that_goes_back_is_refused(client: FlaskClient, ada: User) -> None:
    authenticator = Authenticator()
    with_passkey(client, ada, authenticator)
    assert log_in_with(client, authenticator).status_code == 200
    authenticator.sign_count -= 1

    assert problem(log_in_with(client, authenticator)) == (401, "invalid_credentials")
