"""A key that was copied gives itself away: sooner or later its counter goes back."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, select, update

from app.auth.mfa.models import MfaTicket
from app.auth.passkeys import proving, verification
from app.auth.passkeys.models import Passkey, SpentCeremony
from app.auth.passkeys.verification import Asserted
from app.extensions import db
from app.models import AuditEvent, Session, User
from tests.auth.mfa.phone import ticket_of
from tests.auth.passkeys.authenticator import Authenticator, Lies
from tests.auth.passkeys.browser import (
    log_in_with,
    reauthenticate_with,
    second_step_with,
    switch_second_step_on,
    with_passkey,
)
from tests.factories import problem
from tests.mailbox import Mailbox

COPIED = "A passkey of your account may have been copied"


def events(app: Flask) -> list[str]:
    with app.app_context():
        return list(db.session.scalars(select(AuditEvent.event).order_by(AuditEvent.id)))


def state(app: Flask) -> dict[str, Any]:
    """What a refused counter must leave as it is."""
    with app.app_context():
        passkey = db.session.scalars(select(Passkey)).one()
        return {
            "count": passkey.sign_count,
            "last used": passkey.last_used_at,
            "spent": len(db.session.scalars(select(SpentCeremony)).all()),
            "sessions": len(db.session.scalars(select(Session)).all()),
            "levels": sorted(db.session.scalars(select(Session.aal))),
            "tickets used": [one for one in db.session.scalars(select(MfaTicket.used_at)) if one],
        }


@pytest.mark.parametrize("count", [4, 5, 0])
def test_a_login_with_a_counter_that_did_not_rise(
    app: Flask, client: FlaskClient, ada: User, mailbox: Mailbox, count: int
) -> None:
    key = Authenticator()
    with_passkey(client, ada, key)
    assert log_in_with(client, key, Lies(sign_count=5)).status_code == 200
    mailbox.deliver()
    before = state(app)

    refusal = log_in_with(client, key, Lies(sign_count=count))

    assert problem(refusal) == (401, "invalid_credentials")
    assert state(app) == before
    assert events(app)[-2:] == ["passkey_copied", "login_failed"]
    assert [mail.subject for mail in mailbox.deliver()] == [COPIED]


def test_a_second_step_with_a_counter_that_did_not_rise_spends_a_try_and_nothing_else(
    app: Flask, client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    key = Authenticator()
    switch_second_step_on(client, with_passkey(client, ada, key))
    assert log_in_with(client, key, Lies(sign_count=5)).status_code == 200
    mailbox.deliver()
    ticket = ticket_of(client, ada)
    before = state(app)

    refusal = second_step_with(client, ticket, key, Lies(sign_count=5))

    assert problem(refusal) == (403, "wrong_factor")
    assert refusal.json["tries_left"] == 4
    assert state(app) == before
    assert events(app)[-2:] == ["passkey_copied", "factor_failed"]
    assert [mail.subject for mail in mailbox.deliver()] == [COPIED]
    assert second_step_with(client, ticket, key, Lies(sign_count=6)).status_code == 200


def test_a_step_up_with_a_counter_that_did_not_rise(
    app: Flask, client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    key = Authenticator()
    token = with_passkey(client, ada, key)
    assert log_in_with(client, key, Lies(sign_count=5)).status_code == 200
    mailbox.deliver()
    before = state(app)

    refusal = reauthenticate_with(client, token, key, Lies(sign_count=5))

    assert problem(refusal) == (403, "wrong_factor")
    assert state(app) == before
    assert events(app)[-2:] == ["passkey_copied", "factor_failed"]
    assert [mail.subject for mail in mailbox.deliver()] == [COPIED]


def test_a_key_that_does_not_count_says_0_always(client: FlaskClient, ada: User) -> None:
    key = Authenticator(counts=False)
    with_passkey(client, ada, key)

    assert log_in_with(client, key).status_code == 200
    assert log_in_with(client, key).status_code == 200


def test_the_highest_counter_is_stored(app: Flask, client: FlaskClient, ada: User) -> None:
    key = Authenticator()
    with_passkey(client, ada, key)

    assert log_in_with(client, key, Lies(sign_count=2**32 - 1)).status_code == 200
    assert state(app)["count"] == 2**32 - 1


def test_the_database_compares_the_counter(
    app: Flask, client: FlaskClient, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another request stores a higher counter after this one has read the passkey."""
    key = Authenticator()
    with_passkey(client, ada, key)
    look = verification.asserted

    def overtaken(*arguments: Any, **named: Any) -> Asserted:
        found = look(*arguments, **named)
        db.session.execute(update(Passkey).values(sign_count=9))
        return found

    monkeypatch.setattr(verification, "asserted", overtaken)

    assert problem(log_in_with(client, key)) == (401, "invalid_credentials")


@pytest.mark.postgresql
def test_a_passkey_that_is_removed_meanwhile_is_not_called_a_copy(
    app: Flask, client: FlaskClient, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = Authenticator()
    with_passkey(client, ada, key)
    lock = proving.lock

    def too_late(*arguments: Any) -> Any:
        with db.engine.begin() as other:
            other.execute(delete(Passkey))
        return lock(*arguments)

    monkeypatch.setattr(proving, "lock", too_late)

    assert problem(log_in_with(client, key)) == (401, "invalid_credentials")
    assert "passkey_copied" not in events(app)
