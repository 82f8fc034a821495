"""Second factors at the token endpoint, and clients that nobody here wrote."""

from collections.abc import Iterator
from threading import Thread
from typing import Any

import pytest
from authlib.integrations.requests_client import OAuth2Session, OAuthError
from flask import Flask
from flask.testing import FlaskClient
from oauthlib.oauth2 import LegacyApplicationClient, OAuth2Error
from requests_oauthlib import OAuth2Session as RequestsOAuth2Session
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

from app.access.proof import Proof
from app.auth.mfa import second_step
from app.auth.mfa.errors import MfaTicketInvalid
from app.extensions import db
from app.models import User
from tests.auth.mfa.phone import Phone, enrol, give_password, ticket_of
from tests.factories import API, PASSWORD, me, problem
from tests.test_readme import blocks

GRANT = "http://auth0.com/oauth/grant-type/mfa-otp"
REFUSAL = {
    *("type", "title", "status", "detail", "code", "request_id"),
    *("error", "error_description"),
}


def ask(client: FlaskClient, **form: Any) -> TestResponse:
    return client.post(f"{API}/auth/token", data=form)


def by_password(client: FlaskClient, user: User, **beside: Any) -> TestResponse:
    login = {"grant_type": "password", "username": user.username, "password": PASSWORD}
    return ask(client, **login, **beside)


def by_ticket(client: FlaskClient, mfa_token: str, otp: str) -> TestResponse:
    return ask(client, grant_type=GRANT, mfa_token=mfa_token, otp=otp)


@pytest.fixture
def phone(client: FlaskClient, ada: User) -> Phone:
    return enrol(client, ada)


# The form


@pytest.mark.usefixtures("phone")
def test_a_missing_factor_is_403_in_oauths_words(client: FlaskClient, ada: User) -> None:
    refusal = by_password(client, ada)

    assert problem(refusal) == (403, "mfa_required")
    assert refusal.json.keys() == REFUSAL | {"mfa_token", "expires_in", "methods"}
    assert refusal.json["error"] == "mfa_required"
    assert refusal.json["error_description"] == refusal.json["detail"]
    assert refusal.headers["Cache-Control"] == "no-store"


def test_a_code_or_a_recovery_code_goes_with_the_password(
    client: FlaskClient, ada: User, phone: Phone
) -> None:
    with_code = by_password(client, ada, otp=phone.code())
    with_recovery_code = by_password(client, ada, recovery_code=phone.recovery_codes[0])

    assert me(client, with_code.json["access_token"]).status_code == 200
    assert me(client, with_recovery_code.json["access_token"]).status_code == 200


@pytest.mark.usefixtures("phone")
def test_a_wrong_factor_is_403_with_a_ticket(client: FlaskClient, ada: User) -> None:
    refusal = by_password(client, ada, otp="000000")

    assert problem(refusal) == (403, "wrong_factor")
    assert refusal.json.keys() == REFUSAL | {"mfa_token", "tries_left"}
    assert refusal.json["error"] == "wrong_factor"


def test_an_empty_field_counts_as_missing(client: FlaskClient, ada: User, phone: Phone) -> None:
    assert problem(by_password(client, ada, otp="", recovery_code="")) == (403, "mfa_required")
    answer = by_password(client, ada, otp=phone.code(), recovery_code="", device_token="")
    assert answer.status_code == 200


@pytest.mark.parametrize("otp", ["12345", "１２３４５６", "abcdef"])
def test_what_is_no_code_is_an_invalid_request(
    client: FlaskClient, ada: User, phone: Phone, otp: str
) -> None:
    assert problem(by_password(client, ada, otp=otp)) == (400, "invalid_request")
    two = {"otp": phone.code(), "recovery_code": phone.recovery_codes[0]}
    assert problem(by_password(client, ada, **two)) == (400, "invalid_request")


def test_a_wrong_password_is_invalid_grant_and_uses_no_code_up(
    client: FlaskClient, ada: User, phone: Phone
) -> None:
    code = phone.code()

    wrong = ask(client, grant_type="password", username="ada", password="wrong", otp=code)

    assert problem(wrong) == (400, "invalid_grant")
    assert by_password(client, ada, otp=code).status_code == 200


# The grant with a ticket


def test_a_ticket_and_a_code_give_a_token(client: FlaskClient, ada: User, phone: Phone) -> None:
    ticket = by_password(client, ada).json["mfa_token"]

    answer = by_ticket(client, ticket, phone.code())

    assert answer.status_code == 200
    assert answer.json.keys() == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert me(client, answer.json["access_token"]).status_code == 200


def test_a_wrong_code_leaves_the_ticket_for_another_try(
    client: FlaskClient, ada: User, phone: Phone
) -> None:
    ticket = ticket_of(client, ada)

    wrong = by_ticket(client, ticket, "000000")

    assert problem(wrong) == (403, "wrong_factor")
    assert (wrong.json["error"], wrong.json["tries_left"]) == ("wrong_factor", 4)
    assert wrong.json["mfa_token"] == ticket
    assert by_ticket(client, ticket, phone.code()).status_code == 200


def test_every_ticket_that_is_no_good_is_invalid_grant(
    client: FlaskClient, ada: User, phone: Phone
) -> None:
    used = ticket_of(client, ada)
    assert by_ticket(client, used, phone.code()).status_code == 200

    for ticket in (used, "unknown"):
        refusal = by_ticket(client, ticket, phone.unused_code())
        assert problem(refusal) == (400, "invalid_grant")
        assert refusal.json.keys() == REFUSAL


def test_a_grant_without_its_fields_is_an_invalid_request(
    client: FlaskClient, ada: User, phone: Phone
) -> None:
    ticket = ticket_of(client, ada)

    assert problem(ask(client, grant_type=GRANT, otp=phone.code())) == (400, "invalid_request")
    assert problem(ask(client, grant_type=GRANT, mfa_token=ticket)) == (400, "invalid_request")
    unknown = ask(client, grant_type=GRANT + "-2", mfa_token=ticket, otp=phone.code())
    assert problem(unknown) == (400, "unsupported_grant_type")


def test_nobody_passes_another_users_second_step_with_an_own_ticket_and_an_own_code(
    client: FlaskClient, ada: User, bob: User, phone: Phone
) -> None:
    """The thief knows Ada's password, and has an account with a second step."""
    thief = enrol(client, bob)
    ticket = ticket_of(client, bob)

    refusal = by_password(client, ada, mfa_token=ticket, otp=thief.code())

    # The ticket is ignored, as unknown fields are, and the code is not one of Ada's.
    assert problem(refusal) == (403, "wrong_factor")
    assert give_password(client, ada, otp=phone.code()).status_code == 200


@pytest.mark.usefixtures("phone")
def test_a_ticket_belongs_to_its_user_whoever_hands_it_in(
    app: Flask, client: FlaskClient, ada: User, bob: User
) -> None:
    """The stage itself refuses it, whatever a way in lets through."""
    thief = enrol(client, bob)
    offered = {"mfa_token": ticket_of(client, bob), "otp": thief.code()}

    with app.test_request_context(), pytest.raises(MfaTicketInvalid):
        second_step.stage(db.session.get_one(User, ada.id), Proof(offered=offered))


# Clients


@pytest.fixture
def url(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The token endpoint behind a real socket."""
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "true")
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "true")
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}{API}/auth/token"
    server.shutdown()
    thread.join()
    server.server_close()


class Answers(list[dict[str, Any]]):
    """What the token endpoint answered to a client. Both libraries offer this hook."""

    def keep(self, response: Any) -> Any:
        self.append(response.json())
        return response


def test_authlib_sees_the_refusal_and_goes_on(url: str, ada: User, phone: Phone) -> None:
    answers = Answers()
    with OAuth2Session() as session:
        session.register_compliance_hook("access_token_response", answers.keep)
        with pytest.raises(OAuthError) as caught:
            session.fetch_token(url, username="ada", password=PASSWORD)
        token = session.fetch_token(
            url, grant_type=GRANT, mfa_token=answers[0]["mfa_token"], otp=phone.code()
        )

        response = session.get(url.replace("/auth/token", "/users/me"))

    assert caught.value.error == "mfa_required"
    assert token["token_type"] == "bearer"
    assert response.json()["username"] == "ada"


def test_requests_oauthlib_sees_the_refusal_and_goes_on(url: str, ada: User, phone: Phone) -> None:
    answers = Answers()
    client = LegacyApplicationClient("an-application")
    with RequestsOAuth2Session(client=client) as session:
        session.register_compliance_hook("access_token_response", answers.keep)
        with pytest.raises(OAuth2Error) as caught:
            session.fetch_token(url, username="ada", password=PASSWORD)
        # The library knows this grant as the password's, so the code goes with the password.
        token = session.fetch_token(url, username="ada", password=PASSWORD, otp=phone.code())

        response = session.get(url.replace("/auth/token", "/users/me"))

    assert caught.value.error == "mfa_required"
    assert answers[0]["mfa_token"]
    assert token["refresh_token"]
    assert response.json()["username"] == "ada"


def test_the_example_of_the_page_for_authlib_logs_in(url: str, ada: User, phone: Phone) -> None:
    page = blocks("docs/second-factors.md")
    (example,) = [block.text for block in page if block.language == "python"]
    defined: dict[str, Any] = {}
    exec(example, defined)  # it is ours

    with defined["log_in"](url, "ada", PASSWORD, phone.code) as session:
        response = session.get(url.replace("/auth/token", "/users/me"))

    assert response.json()["username"] == "ada"
    with pytest.raises(OAuthError):
        defined["log_in"](url, "ada", "wrong", phone.code)
