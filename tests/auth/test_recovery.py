"""Stories of a thief and an owner: whose the account is in the end.

Ada is the owner. The thief knows her password and is signed in; Bob's account
is another one that the thief has.
"""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app import clock
from app.extensions import db
from app.models import OneTimeToken, User
from app.models.one_time_token import Purpose
from app.security import one_time_tokens, passwords
from app.users import closing
from tests.factories import API, PASSWORD, bearer, log_in, make_user, me, problem
from tests.mailbox import Mailbox

OLD, THIEFS, OWN = "ada@example.com", "thief@example.com", "set by ada herself"

Rescue = Callable[[], str]


class Thief:
    """Somebody who knows Ada's password."""

    def __init__(self, app: Flask, mailbox: Mailbox, ada: User) -> None:
        self.client, self.mailbox, self.ada = app.test_client(), mailbox, ada
        self.pair: dict[str, Any] = {}

    def log_in(self, **identifier: str) -> TestResponse:
        response = self.client.post(
            f"{API}/auth/login",
            json=(identifier or {"username": "ada"}) | {"password": PASSWORD},
            headers={"User-Agent": "the browser of a thief"},
        )
        if response.status_code == 200:
            self.pair = response.json
        return response

    def ask_to_move(self, to: str = THIEFS) -> TestResponse:
        return self.client.post(
            f"{API}/auth/email/change",
            json={"new_email": to},
            headers=bearer(self.pair["access_token"]),
        )

    def move(self) -> None:
        """Move Ada's account to the own mailbox."""
        assert self.log_in().status_code == 200
        assert self.ask_to_move().status_code == 202
        body = {"token": self.mailbox.token("confirm-email", to=THIEFS)}
        assert self.post("/auth/email/change/confirm", body).status_code == 204

    def post(self, path: str, body: dict[str, Any]) -> TestResponse:
        return self.client.post(API + path, json=body)


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


def reset(client: FlaskClient, token: str, password: str = OWN) -> TestResponse:
    body = {"token": token, "new_password": password}
    return client.post(f"{API}/auth/password/reset", json=body)


def cancel(client: FlaskClient, token: str) -> TestResponse:
    return client.post(f"{API}/auth/email/change/cancel", json={"token": token})


def holder_of(app: Flask, email: str) -> int | None:
    with app.app_context():
        return db.session.scalar(select(User.id).where(User.email == email))


def issue(app: Flask, user: User, purpose: Purpose, email: str) -> str:
    with app.app_context():
        token = one_time_tokens.issue(user.id, purpose, email=email)
        db.session.commit()
    return token


# The address that the owner may return to


@pytest.fixture(params=["registration", "invitation", "command", "import", "change"])
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

    doors = {
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


# The password that the thief knows


def test_the_stolen_password_is_dead_until_the_mailed_link_sets_a_new_one(
    client: FlaskClient, ada: User, thief: Thief, rescue: Rescue
) -> None:
    link = rescue()

    for identifier in ({"username": "ada"}, {"email": OLD}):
        assert problem(thief.log_in(**identifier)) == (401, "invalid_credentials")
    form = {"grant_type": "password", "username": "ada", "password": PASSWORD}
    granted = thief.client.post(f"{API}/auth/token", data=form)
    assert (granted.status_code, granted.json["code"]) == (400, "invalid_grant")
    assert reset(client, link).status_code == 204
    assert problem(thief.log_in()) == (401, "invalid_credentials")
    assert log_in(client, ada, OWN)


def test_a_login_is_answered_as_for_a_wrong_password_by_the_same_statements(
    client: FlaskClient,
    bob: User,
    thief: Thief,
    rescue: Rescue,
    set_settings: Callable[..., None],
    statements: list[str],
) -> None:
    rescue()
    set_settings(ratelimit_enabled=True)
    wrong = {"username": "bob", "password": "the wrong one"}
    statements.clear()
    expected = thief.post("/auth/login", wrong)
    for_wrong = list(statements)
    statements.clear()

    response = thief.log_in()

    assert statements == for_wrong
    assert {**response.json, "request_id": ""} == {**expected.json, "request_id": ""}
    assert response.headers["WWW-Authenticate"] == expected.headers["WWW-Authenticate"]


def test_a_login_costs_the_same_hash_as_with_a_wrong_password(
    thief: Thief, rescue: Rescue, monkeypatch: pytest.MonkeyPatch
) -> None:
    rescue()
    costs: list[int] = []
    compare = passwords._compare_one

    def noted(password: str, known: Any, rounds: int) -> bool:
        costs.append(known.cost)
        return compare(password, known, rounds)

    monkeypatch.setattr(passwords, "_compare_one", noted)

    thief.log_in()

    assert costs == [4]


def test_a_thief_who_was_signed_in_asks_for_no_other_address(
    app: Flask, mailbox: Mailbox, thief: Thief, rescue: Rescue
) -> None:
    rescue()
    mailbox.deliver()

    response = thief.ask_to_move("other-thief@example.com")

    assert problem(response) == (401, "session_ended")
    assert mailbox.deliver() == []
    with app.app_context():
        waiting = select(OneTimeToken).where(OneTimeToken.purpose == Purpose.EMAIL_CHANGE.value)
        assert db.session.scalars(waiting).all() == []


def test_a_change_that_the_thief_asked_for_before_moves_nothing_any_more(
    app: Flask, client: FlaskClient, ada: User, mailbox: Mailbox, thief: Thief
) -> None:
    thief.log_in()
    thief.ask_to_move()
    waiting = mailbox.token("confirm-email", to=THIEFS)
    assert cancel(client, mailbox.token("undo-email-change", to=OLD)).status_code == 204

    response = thief.post("/auth/email/change/confirm", {"token": waiting})

    assert problem(response) == (400, "invalid_link")
    assert holder_of(app, OLD) == ada.id


def test_nothing_that_the_thief_asks_for_kills_the_owners_link(
    client: FlaskClient,
    ada: User,
    mailbox: Mailbox,
    thief: Thief,
    rescue: Rescue,
    set_settings: Callable[..., None],
) -> None:
    set_settings(hide_account_existence=True)
    now = clock.now()
    link = rescue()

    for minutes in (0, 16, 29):
        with time_machine.travel(now + timedelta(minutes=minutes)):
            for number in range(3):
                thief.post("/auth/password/forgot", {"email": OLD})
                name = f"mallory{minutes}-{number}"
                account = {"email": OLD, "username": name, "password": "of the thief"}
                thief.post("/auth/register", account)
            thief.post("/auth/email/resend", {"email": OLD})
            assert thief.log_in().status_code == 401
            assert thief.ask_to_move().status_code == 401
            mailbox.deliver()

    with time_machine.travel(now + timedelta(minutes=29)):
        assert reset(client, link).status_code == 204
        assert log_in(client, ada, OWN)


def test_the_link_for_a_new_password_is_one_that_the_mail_explains(
    client: FlaskClient, mailbox: Mailbox, rescue: Rescue
) -> None:
    rescue()

    mail = mailbox.mails[-1]

    assert (mail.to, mail.subject, mail.page) == (OLD, "Set a new password", "reset-password")
    assert "the old password no longer works" in mail.text
    assert "your password stays as it is" not in mail.text


def test_after_an_undo_nothing_goes_to_the_thiefs_mailbox_and_its_links_are_dead(
    client: FlaskClient, ada: User, mailbox: Mailbox, thief: Thief
) -> None:
    thief.move()
    thief.post("/auth/password/forgot", {"email": THIEFS})
    link = mailbox.token("reset-password", to=THIEFS)
    already = len(mailbox.mails)

    cancel(client, mailbox.token("undo-email-change", to=OLD))
    thief.post("/auth/password/forgot", {"email": THIEFS})
    mailbox.deliver()

    assert {mail.to for mail in mailbox.mails[already:]} == {OLD}
    assert problem(reset(client, link, "of the thief")) == (400, "invalid_link")


def test_a_not_me_after_the_thief_has_moved_the_account_is_not_the_end(
    client: FlaskClient, ada: User, mailbox: Mailbox, thief: Thief
) -> None:
    log_in(client, ada)
    thief.move()
    assert (
        client.post(
            f"{API}/auth/not-me", json={"token": mailbox.token("not-me", to=OLD)}
        ).status_code
        == 204
    )
    # The link goes to the address of now, and the thief uses it.
    link = mailbox.token("reset-password", to=THIEFS)
    reset(client, link, PASSWORD)
    assert thief.log_in().status_code == 200

    assert cancel(client, mailbox.token("undo-email-change", to=OLD)).status_code == 204

    assert problem(thief.log_in()) == (401, "invalid_credentials")
    assert reset(client, mailbox.token("reset-password", to=OLD)).status_code == 204
    assert me(client, log_in(client, ada, OWN)["access_token"]).json["email"] == OLD


def test_an_administrator_sends_the_owner_another_link_and_no_invitation(
    client: FlaskClient, ada: User, grace: User, mailbox: Mailbox, rescue: Rescue
) -> None:
    rescue()
    headers = bearer(log_in(client, grace)["access_token"])
    mailbox.deliver()

    client.post(f"{API}/users/{ada.id}/password-reset", headers=headers)

    (mail,) = mailbox.deliver()
    assert (mail.to, mail.page) == (OLD, "reset-password")


def test_the_only_superuser_stays_one_while_the_password_is_gone(
    app: Flask, client: FlaskClient, mailbox: Mailbox
) -> None:
    grace = make_user(
        app, username="grace", email="grace@example.com", superuser=True, email_verified=True
    )
    token = issue(app, grace, Purpose.NOT_ME, grace.email)
    assert client.post(f"{API}/auth/not-me", json={"token": token}).status_code == 204

    for command in ("demote", "deactivate"):
        result = app.test_cli_runner().invoke(args=["users", command, grace.email])

        assert result.exit_code == 1
        assert isinstance(result.exception, SystemExit)


# What an administrator, or the owner, ends


PATHS = {
    Purpose.PASSWORD_RESET: "/auth/password/reset",
    Purpose.ACCOUNT_RECOVERY: "/auth/password/reset",
    Purpose.INVITATION: "/auth/password/reset",
    Purpose.EMAIL_VERIFICATION: "/auth/email/verify",
    Purpose.EMAIL_CHANGE: "/auth/email/change/confirm",
    Purpose.EMAIL_UNDO: "/auth/email/change/cancel",
    Purpose.NOT_ME: "/auth/not-me",
}
LASTING = (Purpose.EMAIL_UNDO, Purpose.NOT_ME)


def use(client: FlaskClient, purpose: Purpose, token: str) -> TestResponse:
    body = {"token": token}
    if PATHS[purpose].endswith("reset"):
        body["new_password"] = OWN
    return client.post(API + PATHS[purpose], json=body)


def links_of(app: Flask, user: User) -> dict[Purpose, str]:
    """One of each kind; the change leads to the thief's mailbox."""
    return {
        purpose: issue(app, user, purpose, THIEFS if purpose is Purpose.EMAIL_CHANGE else OLD)
        for purpose in Purpose
    }


@pytest.fixture(
    params=["deactivated", "signed out", "deactivate", "end-sessions", "end-sessions --everybody"]
)
def shut_out(
    request: pytest.FixtureRequest, app: Flask, client: FlaskClient, ada: User, grace: User
) -> Callable[[], None]:
    """What an administrator or an operator does."""

    def shut_out() -> None:
        if request.param in ("deactivated", "signed out"):
            headers = bearer(log_in(client, grace)["access_token"])
            response = (
                client.patch(f"{API}/users/{ada.id}", json={"is_active": False}, headers=headers)
                if request.param == "deactivated"
                else client.delete(f"{API}/users/{ada.id}/sessions", headers=headers)
            )
            assert response.status_code < 300, response.text
            return
        command, *options = request.param.split()
        target = [] if options else [OLD]
        if command == "end-sessions":
            target.append("--yes")
        result = app.test_cli_runner().invoke(args=["users", command, *options, *target])
        assert result.exit_code == 0, result.output

    return shut_out


@pytest.mark.parametrize("purpose", Purpose)
def test_shutting_somebody_out_ends_every_mailed_link_but_those_that_undo(
    app: Flask, client: FlaskClient, ada: User, shut_out: Callable[[], None], purpose: Purpose
) -> None:
    links = links_of(app, ada)

    shut_out()

    response = use(client, purpose, links[purpose])
    if purpose in LASTING:
        assert response.status_code == 204
    else:
        assert problem(response) == (400, "invalid_link")


@pytest.mark.parametrize("purpose", [purpose for purpose in Purpose if purpose not in LASTING])
def test_activating_an_account_again_revives_no_link(
    app: Flask, client: FlaskClient, ada: User, grace: User, purpose: Purpose
) -> None:
    links = links_of(app, ada)

    for command in ("deactivate", "activate"):
        assert app.test_cli_runner().invoke(args=["users", command, OLD]).exit_code == 0

    assert problem(use(client, purpose, links[purpose])) == (400, "invalid_link")


@pytest.mark.parametrize("purpose", Purpose)
def test_while_an_account_is_deactivated_only_links_that_undo_work(
    app: Flask, client: FlaskClient, ada: User, grace: User, purpose: Purpose
) -> None:
    assert app.test_cli_runner().invoke(args=["users", "deactivate", OLD]).exit_code == 0
    links = links_of(app, ada)

    response = use(client, purpose, links[purpose])

    if purpose in LASTING:
        assert response.status_code == 204
    else:
        assert problem(response) == (400, "invalid_link")
        with app.app_context():
            user = db.session.get_one(User, ada.id)
            assert (user.email, user.is_active) == (OLD, False)
    assert problem(thief_tries(client)) in [(400, "inactive_user"), (401, "invalid_credentials")]


def thief_tries(client: FlaskClient) -> TestResponse:
    return client.post(f"{API}/auth/login", json={"username": "ada", "password": PASSWORD})


def test_a_change_of_address_does_not_outlive_the_owners_global_logout(
    app: Flask, client: FlaskClient, ada: User, mailbox: Mailbox, thief: Thief
) -> None:
    pair = log_in(client, ada)
    thief.log_in()
    thief.ask_to_move()
    waiting = mailbox.token("confirm-email", to=THIEFS)
    link = issue(app, ada, Purpose.PASSWORD_RESET, OLD)

    client.post(f"{API}/auth/logout?scope=global", headers=bearer(pair["access_token"]))

    response = thief.post("/auth/email/change/confirm", {"token": waiting})
    assert problem(response) == (400, "invalid_link")
    assert holder_of(app, OLD) == ada.id
    # The thief can log out everywhere as well, and must not kill the owner's link by it.
    assert reset(client, link).status_code == 204


@pytest.mark.parametrize("scope", ["local", "others"])
def test_a_logout_of_some_devices_leaves_a_change_of_address_alone(
    client: FlaskClient, ada: User, mailbox: Mailbox, thief: Thief, scope: str
) -> None:
    thief.log_in()
    thief.ask_to_move()
    waiting = mailbox.token("confirm-email", to=THIEFS)

    client.post(f"{API}/auth/logout?scope={scope}", headers=bearer(thief.pair["access_token"]))

    response = thief.post("/auth/email/change/confirm", {"token": waiting})
    assert response.status_code == 204
