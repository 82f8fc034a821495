"""Each lie that the answer of a browser can hold, through the front door."""

import time
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.models import User
from tests.auth.passkeys.authenticator import Authenticator
from tests.auth.passkeys.browser import options, with_passkey
from tests.auth.passkeys.lies import ASSERTIONS, BOMBS, REGISTRATIONS, Case
from tests.cases import each
from tests.factories import API, bearer, log_in, problem, refused_fields

# Reading a bad answer must not take longer than this, in seconds of the processor.
LONGEST = 0.05


def told(case: Case, begun: dict[str, Any], authenticator: Authenticator) -> dict[str, Any]:
    make = authenticator.create if "user" in begun["options"] else authenticator.get
    credential = make(begun["options"], case.lies)
    return {
        "ceremony": begun["ceremony"],
        "credential": case.twist(credential) if case.twist else credential,
    }


def post(client: FlaskClient, path: str, body: Any, token: str | None = None) -> TestResponse:
    headers = bearer(token) if token else {}
    began = time.process_time()
    answer = client.post(f"{API}/auth/{path}", json=body, headers=headers)
    assert answer.status_code < 400 or time.process_time() - began < LONGEST
    return answer


@pytest.fixture
def warm(client: FlaskClient, bob: User) -> None:
    """The first use imports the library, which takes a while."""
    with_passkey(client, bob, Authenticator())


@pytest.mark.usefixtures("warm")
def test_a_registration_with_a_lie_is_refused(client: FlaskClient, ada: User) -> None:
    token = log_in(client, ada)["access_token"]

    @each("case", REGISTRATIONS)
    def verdict_is_right(case: Case) -> None:
        begun = options(client, "passkeys/options", token)
        body = told(case, begun, Authenticator(algorithm=case.algorithm))

        answer = post(client, "passkeys", body, token)

        if case.accepted:
            assert answer.status_code == 201, answer.text
        else:
            assert refused_fields(answer) == {"#/credential": "passkey_refused"}

    verdict_is_right()


@pytest.mark.usefixtures("warm")
def test_an_assertion_with_a_lie_logs_nobody_in(client: FlaskClient, ada: User) -> None:
    keys = {algorithm: Authenticator(algorithm=algorithm) for algorithm in (-7, -257, -8)}
    for key in keys.values():
        with_passkey(client, ada, key)

    @each("case", ASSERTIONS)
    def verdict_is_right(case: Case) -> None:
        begun = options(client, "passkeys/login-options")
        body = told(case, begun, keys[case.algorithm])

        answer = post(client, "passkeys/login", body)

        if case.accepted:
            assert answer.status_code == 200, answer.text
        else:
            assert problem(answer) == (401, "invalid_credentials")

    verdict_is_right()


@pytest.mark.usefixtures("warm")
def test_a_credential_that_is_not_an_object_is_refused_by_its_type(
    client: FlaskClient, ada: User
) -> None:
    token = log_in(client, ada)["access_token"]

    @each("value", [None, 1, True, "a", [], [{}]])
    def refused(value: Any) -> None:
        login = options(client, "passkeys/login-options")
        registration = options(client, "passkeys/options", token)

        for path, begun in (("passkeys/login", login), ("passkeys", registration)):
            body = {"ceremony": begun["ceremony"], "credential": value}
            answer = post(client, path, body, token)
            assert list(refused_fields(answer)) == ["#/credential"]

    refused()


@pytest.mark.usefixtures("warm")
def test_a_body_that_is_too_long_or_too_deep_is_refused(client: FlaskClient) -> None:
    begun = options(client, "passkeys/login-options")
    deep: Any = {}
    for _ in range(30):
        deep = {"a": deep}

    too_long = post(client, "passkeys/login", begun | {"credential": {"id": "A" * 65_536}})
    too_deep = post(client, "passkeys/login", {"ceremony": "a", "credential": deep})

    assert problem(too_long) == (413, "body_too_large")
    assert problem(too_deep) == (400, "malformed_json")


@each("bomb", BOMBS.values())
def test_the_walk_through_cbor_refuses_what_is_costly(bomb: bytes) -> None:
    from app.auth.passkeys import cbor

    with pytest.raises(cbor.NotPlain):
        cbor.refuse_unless_plain(bomb)
