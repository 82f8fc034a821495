"""Stories of a thief and an owner: the address that the owner may return to.

Ada is the owner. The thief knows her password and is signed in; Bob's account
is another one that the thief has.
"""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app import clock
from app.extensions import db
from app.models import User
from app.security.one_time_tokens import Purpose
from app.users import closing
from tests.auth.providers.acme import offered
from tests.auth.rescuing import OLD, OWN, Thief, cancel, holder_of, issue, reset
from tests.factories import API, PASSWORD, bearer, log_in, make_user, me, problem
from tests.mailbox import Mailbox

DOORS = ("registration", "invitation", "command", "import", "change", "operator", "provider")


@pytest.fixture(params=DOORS)
def door(
    request: pytest.FixtureRequest,
    app: Flask,
    client: FlaskClient,
    grace: User,
    bob: User,
    tmp_path: Path,
) -> Callable[[str, str], bool]:
    """A way to an account with an address and a name: whether it was let in."""

    def was_let_in(response: TestResponse) -> bool:
        assert response.status_code < 300 or problem(response)[0] == 400, response.text
        return response.status_code < 300

    def register(email: str, username: str) -> bool:
        account = {"email": email, "username": username, "password": "of the thief"}
        return was_let_in(client.post(f"{API}/auth/register", json=account))

    def invite(email: str, username: str) -> bool:
        headers = bearer(log_in(client, grace)["access_token"])
        account = {"email": email, "username": username}
        return was_let_in(client.post(f"{API}/users", json=account, headers=headers))

    def create(email: str, username: str) -> bool:
        options = ["--email", email, "--username", username, "--password-stdin"]
        result = app.test_cli_runner().invoke(args=["users", "create", *options], input=OWN)
        assert isinstance(result.exception, SystemExit | None)
        return result.exit_code == 0

    def take_in(email: str, username: str) -> bool:
        rows, told = tmp_path / "accounts.jsonl", tmp_path / "report.jsonl"
        rows.write_text(json.dumps({"email": email, "username": username}) + "\n")
        arguments = ["users", "import", str(rows), "--report", str(told)]
        result = app.test_cli_runner().invoke(args=arguments)
        assert result.exit_code == 0, result.output
        row = json.loads(told.read_text())
        assert (row["outcome"], row["reason"]) in [
            ("created", None),
            ("refused", "email_taken"),
            ("refused", "username_taken"),
        ]
        return bool(row["outcome"] == "created")

    def change(email: str, username: str) -> bool:
        headers = bearer(log_in(client, bob)["access_token"])
        renamed = client.patch(f"{API}/users/me", json={"username": username}, headers=headers)
        # No such link is mailed to an address that is taken. It would not work either.
        token = issue(app, bob, Purpose.EMAIL_CHANGE, email)
        moved = client.post(f"{API}/auth/email/change/confirm", json={"token": token})
        return was_let_in(renamed) and was_let_in(moved)

    def edit(email: str, username: str) -> bool:
        options = ["--email", email, "--username", username]
        result = app.test_cli_runner().invoke(args=["users", "edit", "bob", *options])
        assert isinstance(result.exception, SystemExit | None)
        return result.exit_code == 0

    def come_from_provider(email: str, username: str) -> bool:
        with offered(app, domains=("example.com",)) as acme:
            path = f"{API}/auth/providers/{acme.name}"
            nonce = client.post(f"{path}/nonce", json={}).json["nonce"]
            claims = {"email": email, "email_verified": True, "preferred_username": username}
            token = acme.id_token(sub="1", nonce=nonce, **claims)
            made = client.post(f"{path}/id-token", json={"id_token": token, "nonce": nonce})
        if made.status_code == 409 or not was_let_in(made):
            return False
        # Where the username is taken, the account gets another one.
        return bool(me(client, made.json["access_token"]).json["username"] == username)

    doors = {
        "operator": edit,
        "provider": come_from_provider,
        "registration": register,
        "invitation": invite,
        "command": create,
        "import": take_in,
        "change": change,
    }
    return doors[request.param]


def test_the_thief_cannot_take_the_address_that_the_owner_may_return_to(
    app: Flask,
    client: FlaskClient,
    ada: User,
    mailbox: Mailbox,
    thief: Thief,
    door: Callable[[str, str], bool],
) -> None:
    thief.move()

    let_in = door(OLD, "mallory")

    assert not let_in
    assert cancel(client, mailbox.token("undo-email-change", to=OLD)).status_code == 204
    assert reset(client, mailbox.token("reset-password", to=OLD)).status_code == 204
    pair = log_in(client, ada, OWN)
    assert me(client, pair["access_token"]).json["email"] == OLD


def test_anybody_may_have_the_address_when_the_owner_cannot_return_to_it_any_more(
    thief: Thief, door: Callable[[str, str], bool]
) -> None:
    with time_machine.travel(clock.now() - timedelta(days=7, minutes=1)):
        thief.move()

    assert door(OLD, "mallory")


def test_a_link_that_was_used_keeps_the_address_no_longer(
    app: Flask, client: FlaskClient, ada: User, mailbox: Mailbox, thief: Thief
) -> None:
    thief.log_in()
    thief.ask_to_move()
    assert cancel(client, mailbox.token("undo-email-change", to=OLD)).status_code == 204
    options = ["users", "edit", "ada", "--email", "ada@example.org"]
    assert app.test_cli_runner().invoke(args=options).exit_code == 0

    account = {"email": OLD, "username": "newcomer", "password": PASSWORD}
    assert client.post(f"{API}/auth/register", json=account).status_code == 201


def test_the_owner_may_return_to_the_own_address_without_the_link(
    app: Flask, client: FlaskClient, ada: User, thief: Thief
) -> None:
    thief.move()
    token = issue(app, ada, Purpose.EMAIL_CHANGE, OLD)

    response = client.post(f"{API}/auth/email/change/confirm", json={"token": token})

    assert response.status_code == 204
    assert holder_of(app, OLD) == ada.id


@pytest.mark.parametrize("taken", ["address", "username"])
def test_an_account_that_waits_to_be_erased_keeps_its_address_and_its_username(
    client: FlaskClient, ada: User, door: Callable[[str, str], bool], taken: str
) -> None:
    headers = bearer(log_in(client, ada)["access_token"])
    closed = client.delete(f"{API}/users/me", json={"password": PASSWORD}, headers=headers)
    assert closed.status_code == 202

    let_in = door(OLD, "mallory") if taken == "address" else door("new@example.com", "ADA")

    assert not let_in
    assert log_in(client, ada)


def test_where_existence_is_hidden_the_address_looks_new_and_its_mailbox_is_told(
    app: Flask,
    client: FlaskClient,
    mailbox: Mailbox,
    thief: Thief,
    set_settings: Callable[..., None],
    statements: list[str],
) -> None:
    set_settings(hide_account_existence=True)
    thief.move()
    mailbox.deliver()
    statements.clear()
    account = {"email": "new@example.com", "username": "newcomer", "password": PASSWORD}
    new = client.post(f"{API}/auth/register", json=account)
    for_new = list(statements)
    mailbox.deliver()
    statements.clear()

    taken = client.post(f"{API}/auth/register", json=account | {"email": OLD, "username": "other"})

    assert (taken.status_code, taken.data) == (new.status_code, new.data) == (202, b"{}\n")
    assert abs(len(statements) - len(for_new)) <= 1
    assert holder_of(app, OLD) is None
    (told,) = mailbox.deliver()
    assert (told.to, told.subject) == (OLD, "Your email address is in use already")


def test_who_asks_to_move_to_the_address_learns_nothing_and_its_mailbox_is_told(
    app: Flask, client: FlaskClient, bob: User, mailbox: Mailbox, thief: Thief
) -> None:
    thief.move()
    headers = bearer(log_in(client, bob)["access_token"])
    mailbox.deliver()

    response = client.post(f"{API}/auth/email/change", json={"new_email": OLD}, headers=headers)

    assert (response.status_code, response.json) == (202, {})
    (told,) = mailbox.deliver()
    assert (told.to, told.link) == (OLD, None)
    exported = client.get(f"{API}/users/me/export", headers=headers).json
    assert [mail["message"] for mail in exported["mails"]] == []


@pytest.mark.parametrize("is_confirmed", [False, True])
def test_an_undo_wins_over_an_account_that_got_the_address_after_the_change(
    app: Flask,
    client: FlaskClient,
    ada: User,
    mailbox: Mailbox,
    thief: Thief,
    is_confirmed: bool,
) -> None:
    thief.move()
    # As an older version let it be made.
    squatter = make_user(app, username="squatter", email=OLD, email_verified=is_confirmed)
    not_me = issue(app, squatter, Purpose.NOT_ME, OLD)
    pair = log_in(client, squatter)

    response = cancel(client, mailbox.token("undo-email-change", to=OLD))

    assert response.status_code == 204
    assert holder_of(app, OLD) == ada.id
    left = me(client, pair["access_token"]).json
    assert left["username"] == "squatter"
    assert left["email"].endswith("@no-address.invalid")
    assert left["email_verified"] is False
    assert problem(thief.log_in(email=OLD)) == (401, "invalid_credentials")
    assert log_in(client, squatter)
    refused = client.post(f"{API}/auth/not-me", json={"token": not_me})
    assert problem(refused) == (400, "invalid_link")
    assert reset(client, mailbox.token("reset-password", to=OLD)).status_code == 204
    assert log_in(client, ada, OWN)


def test_an_account_that_lost_the_address_can_ask_for_another(
    app: Flask, client: FlaskClient, mailbox: Mailbox, thief: Thief
) -> None:
    thief.move()
    squatter = make_user(app, username="squatter", email=OLD, email_verified=True)
    cancel(client, mailbox.token("undo-email-change", to=OLD))
    pair = log_in(client, squatter)
    body = {"new_email": "another@example.com"}
    mailbox.deliver()

    client.post(f"{API}/auth/email/change", json=body, headers=bearer(pair["access_token"]))

    (mail,) = mailbox.deliver()
    confirmed = client.post(f"{API}/auth/email/change/confirm", json={"token": mail.token})
    assert (mail.to, confirmed.status_code) == ("another@example.com", 204)
    assert holder_of(app, "another@example.com") == squatter.id


@pytest.mark.parametrize("is_confirmed", [True, False])
def test_an_account_that_lost_the_address_logs_in_and_stays(
    app: Flask,
    client: FlaskClient,
    mailbox: Mailbox,
    thief: Thief,
    set_settings: Callable[..., None],
    is_confirmed: bool,
) -> None:
    """Also where an address must be confirmed, and where the unconfirmed are erased."""
    set_settings(require_verified_email=True, unverified_account_lifetime=timedelta(days=3))
    thief.move()
    squatter = make_user(app, username="squatter", email=OLD, email_verified=is_confirmed)
    never = make_user(app, username="never", email="never@example.com")
    cancel(client, mailbox.token("undo-email-change", to=OLD))

    with time_machine.travel(clock.now() + timedelta(days=4)), app.app_context():
        erased = closing.erase_unverified(100)
        left = set(db.session.scalars(select(User.id)))

    assert erased == 1
    assert squatter.id in left
    assert never.id not in left
    assert log_in(client, squatter)


def test_an_undo_kills_the_later_links_that_lead_others_to_its_address(
    app: Flask, client: FlaskClient, ada: User, bob: User, mailbox: Mailbox, thief: Thief
) -> None:
    thief.move()
    token = issue(app, bob, Purpose.EMAIL_UNDO, OLD)

    assert cancel(client, mailbox.token("undo-email-change", to=OLD)).status_code == 204

    assert problem(cancel(client, token)) == (400, "invalid_link")
    assert holder_of(app, OLD) == ada.id
