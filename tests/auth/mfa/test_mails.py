"""What the owner of an account is told about its second factors."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.models import User
from tests.auth.mfa.phone import Phone, enrol, give_password
from tests.factories import API, bearer
from tests.mailbox import Mailbox

Change = Callable[..., TestResponse]


@pytest.fixture
def phone(client: FlaskClient, ada: User, mailbox: Mailbox) -> Phone:
    phone = enrol(client, ada)
    assert told(mailbox) == ["A second factor was added to your account"]
    return phone


@pytest.fixture
def change(client: FlaskClient, phone: Phone) -> Change:
    """Make a call on the factors with the token that confirmed the app."""

    def call(method: str, path: str, **body: object) -> TestResponse:
        headers = bearer(phone.access_token)
        sent = {"json": body} if body else {}
        return client.open(f"{API}/auth/factors/{path}", method=method, headers=headers, **sent)

    return call


def told(mailbox: Mailbox) -> list[str]:
    """The subjects of the new mails, each of which has a link that says "this wasn't me"."""
    mails = mailbox.deliver()
    assert {mail.page for mail in mails} <= {"not-me"}
    return [mail.subject for mail in mails]


def test_switching_the_second_step_off_is_mailed_and_switching_it_on_is_not(
    change: Change, mailbox: Mailbox
) -> None:
    change("PUT", "second-step", enabled=False)
    assert told(mailbox) == ["The second step of your logins was switched off"]

    change("PUT", "second-step", enabled=False)
    change("PUT", "second-step", enabled=True)
    assert told(mailbox) == []


def test_new_recovery_codes_are_mailed(change: Change, mailbox: Mailbox) -> None:
    """They are second proofs, and whoever made them has seen them."""
    assert change("POST", "recovery-codes").status_code == 200

    assert told(mailbox) == ["New recovery codes were made for your account"]


def test_removing_the_app_is_mailed(change: Change, mailbox: Mailbox) -> None:
    assert change("DELETE", "totp").status_code == 204

    assert told(mailbox) == ["A second factor was removed from your account"]


def test_each_use_of_a_recovery_code_is_mailed_and_the_last_ones_in_other_words(
    app: Flask, client: FlaskClient, ada: User, phone: Phone, mailbox: Mailbox
) -> None:
    for left in (9, 8):
        assert give_password(client, ada, recovery_code=phone.recovery_codes[left]).json
        assert told(mailbox) == ["A recovery code of your account was used"]
    for left in (7, 6, 5, 4):
        give_password(client, ada, recovery_code=phone.recovery_codes[left])
    mailbox.deliver()

    give_password(client, ada, recovery_code=phone.recovery_codes[3])

    assert told(mailbox) == ["You have few recovery codes left"]
