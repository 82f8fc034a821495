"""A thief who knows Ada's password, and what Ada does about it."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.models import User
from tests.auth.rescuing import OLD, Rescue, Thief
from tests.factories import API, log_in
from tests.mailbox import Mailbox


@pytest.fixture
def thief(app: Flask, mailbox: Mailbox, ada: User) -> Thief:
    return Thief(app, mailbox, ada)


@pytest.fixture(params=["not me", "undo"])
def rescue(
    request: pytest.FixtureRequest, client: FlaskClient, ada: User, mailbox: Mailbox, thief: Thief
) -> Rescue:
    """The owner takes the account back; what the link for a new password carries."""
    log_in(client, ada)
    thief.log_in()
    if request.param == "undo":
        thief.move()
        page, path = "undo-email-change", "/auth/email/change/cancel"
    else:
        page, path = "not-me", "/auth/not-me"

    def rescue() -> str:
        token = mailbox.token(page, to=OLD)
        assert client.post(API + path, json={"token": token}).status_code == 204
        return mailbox.token("reset-password", to=OLD)

    return rescue
