"""Each event of the vocabulary: what is done puts one row on record and one line in the log"""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr
from dataclasses import dataclass, field
from datetime import timedelta
from io import StringIO
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
import sqlalchemy
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import OPTIONAL, clock, read_settings
from app.audit import exporting
from app.audit.vocabulary import ALARMING, Event
from app.extensions import db
from app.models import AuditEvent, User
from app.observability import logs
from tests.audit.log import write_and_seal
from tests.conftest import ENVIRONMENT
from tests.factories import API, PASSWORD, bearer, confirm, log_in, make_user, problem, refresh
from tests.mail.letters import rows
from tests.mailbox import Mailbox
from tests.pages.person import Person
from tests.servers import ROOT

NEW_PASSWORD = "a new day begins"
UNKNOWN = "unknown@example.com"
BCRYPT_HASH = "$2b$04$" + "abcdefghijklmnopqrstuu" + "abcdefghijklmnopqrstuvwxyz01234"


@dataclass
class House:
    """Somebody at work in the application, and what came of it since ``begin``."""

    app: Flask
    client: FlaskClient
    ada: User
    grace: User
    mailbox: Mailbox
    set_settings: Callable[..., None]
    stream: StringIO
    begun_at: int = 0
    pairs: list[dict[str, Any]] = field(default_factory=list)

    def begin(self) -> None:
        """What went before is setup."""
        self.begun_at = max([event.id for event in self.events()], default=0)
        self.stream.truncate(self.stream.seek(0))

    def events(self) -> list[AuditEvent]:
        rows = sqlalchemy.select(AuditEvent).where(AuditEvent.id > self.begun_at)
        with self.app.app_context():
            return list(db.session.scalars(rows.order_by(AuditEvent.id)))

    def lines(self) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.stream.getvalue().splitlines()]
        return [line for line in lines if line["logger"] == "app.audit.recording"]

    def log_in(self, password: str = PASSWORD) -> dict[str, Any]:
        self.pairs.append(log_in(self.client, self.ada, password))
        return self.pairs[-1]

    def call(self, method: str, path: str, pair: dict[str, Any], **body: Any) -> TestResponse:
        response = self.client.open(
            f"{API}{path}",
            method=method,
            json=body or None,
            headers=bearer(pair["access_token"]),
        )
        assert response.status_code < 500, response.text
        return response

    def post(self, path: str, **body: Any) -> TestResponse:
        return self.client.post(f"{API}{path}", json=body)

    def unconfirm(self) -> None:
        with self.app.app_context():
            db.session.execute(sqlalchemy.update(User).values(email_verified=False))
            db.session.commit()

    def run(self, *arguments: str, stdin: str = "") -> None:
        result = self.app.test_cli_runner().invoke(args=[*arguments, "--verbose"], input=stdin)
        assert result.exit_code == 0, result.output


@pytest.fixture
def house(
    app: Flask,
    client: FlaskClient,
    ada: User,
    grace: User,
    mailbox: Mailbox,
    set_settings: Callable[..., None],
) -> Iterator[House]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = StringIO()
    with redirect_stderr(stream):
        logs.configure(read_settings(ENVIRONMENT | {"LOG_FORMAT": "json"}))
    yield House(app, client, ada, grace, mailbox, set_settings, stream)
    root.handlers[:] = handlers
    root.setLevel(level)


# One story for each event: it sets the scene, says ``begin``, and acts.

Story = Callable[[House], dict[str, Any]]
STORIES: dict[Event, list[Story]] = {}


def tells(event: Event) -> Callable[[Story], Story]:
    """A story that returns what must be in the row: columns, and details by their names."""

    def register(story: Story) -> Story:
        STORIES.setdefault(event, []).append(story)
        return story

    return register


def by_self(house: House, **also: Any) -> dict[str, Any]:
    return {"subject_id": house.ada.id, "actor_id": house.ada.id, **also}


def by_nobody(house: House, **also: Any) -> dict[str, Any]:
    return {"subject_id": house.ada.id, "actor_id": None, **also}


@tells(Event.LOGIN_SUCCEEDED)
def logging_in(house: House) -> dict[str, Any]:
    house.begin()
    house.log_in()
    return by_self(house, details={"is_new_device": False, "sessions_ended": 0}, ip="127.0.0.1")


@tells(Event.LOGIN_SUCCEEDED)
def logging_in_at_the_cap(house: House) -> dict[str, Any]:
    house.set_settings(max_sessions_per_user=1)
    house.log_in()
    house.begin()
    house.log_in()
    return by_self(house, details={"sessions_ended": 1})


@tells(Event.LOGIN_FAILED)
def a_wrong_password(house: House) -> dict[str, Any]:
    house.begin()
    house.post("/auth/login", username="ada", password="wrong")
    return by_nobody(house, details={"reason": "wrong_password"}, ip="127.0.0.1")


@tells(Event.LOGIN_FAILED)
def a_wrong_password_at_the_token_endpoint(house: House) -> dict[str, Any]:
    house.begin()
    form = {"grant_type": "password", "username": "ada", "password": "wrong"}
    house.client.post(f"{API}/auth/token", data=form)
    return by_nobody(house, details={"reason": "wrong_password"})


@tells(Event.LOGIN_FAILED)
def an_unknown_user(house: House) -> dict[str, Any]:
    house.begin()
    house.post("/auth/login", email=UNKNOWN, password=PASSWORD)
    return {"subject_id": None, "actor_id": None, "details": {"reason": "unknown_user"}}


@tells(Event.LOGIN_FAILED)
def a_deactivated_user(house: House) -> dict[str, Any]:
    house.run("users", "deactivate", house.ada.email)
    house.begin()
    house.post("/auth/login", username="ada", password=PASSWORD)
    return by_nobody(house, details={"reason": "inactive"})


@tells(Event.LOGIN_FAILED)
def an_unconfirmed_user(house: House) -> dict[str, Any]:
    house.set_settings(require_verified_email=True)
    house.unconfirm()
    house.begin()
    house.post("/auth/login", username="ada", password=PASSWORD)
    return by_nobody(house, details={"reason": "email_not_verified"})


@tells(Event.LOGGED_OUT)
def logging_out(house: House) -> dict[str, Any]:
    pair = house.log_in()
    house.begin()
    house.call("POST", "/auth/logout", pair)
    house.call("POST", "/auth/logout", pair)
    return by_self(house, details={"scope": "local", "sessions_ended": 1})


@tells(Event.LOGGED_OUT)
def logging_out_by_refresh_token(house: House) -> dict[str, Any]:
    pair = house.log_in()
    house.begin()
    house.post("/auth/logout", refresh_token=pair["refresh_token"])
    house.post("/auth/logout", refresh_token=pair["refresh_token"])
    return by_self(house, details={"scope": "local", "sessions_ended": 1})


@tells(Event.LOGGED_OUT)
def revoking(house: House) -> dict[str, Any]:
    pair = house.log_in()
    house.begin()
    house.client.post(f"{API}/auth/revoke", data={"token": pair["refresh_token"]})
    return by_self(house, details={"scope": "local"})


@tells(Event.LOGGED_OUT)
def logging_out_everywhere(house: House) -> dict[str, Any]:
    house.log_in()
    pair = house.log_in()
    house.begin()
    house.call("POST", "/auth/logout?scope=global", pair)
    return by_self(house, details={"scope": "global", "sessions_ended": 2})


@tells(Event.SESSION_ENDED)
def ending_another_device(house: House) -> dict[str, Any]:
    house.log_in()
    pair = house.log_in()
    sessions = house.call("GET", "/auth/sessions", pair).json["items"]
    (other,) = [session["id"] for session in sessions if not session["is_current"]]
    house.begin()
    house.call("DELETE", f"/auth/sessions/{other}", pair)
    house.call("DELETE", f"/auth/sessions/{other}", pair)
    return by_self(house, details={"session_id": other})


@tells(Event.REFRESH_RETRIED)
def retrying(house: House) -> dict[str, Any]:
    pair = house.log_in()
    refresh(house.client, pair["refresh_token"])
    house.begin()
    refresh(house.client, pair["refresh_token"])
    refresh(house.client, pair["refresh_token"])
    return by_nobody(house, ip="127.0.0.1")


@tells(Event.REFRESH_RETRIED_LATE)
def retrying_late(house: House) -> dict[str, Any]:
    pair = house.log_in()
    refresh(house.client, pair["refresh_token"])
    house.begin()
    with time_machine.travel(clock.now() + timedelta(hours=1)):
        refresh(house.client, pair["refresh_token"])
    return by_nobody(house, ip="127.0.0.1")


@tells(Event.REFRESH_TOKEN_REUSED)
def replaying(house: House) -> dict[str, Any]:
    pair = house.log_in()
    newer = refresh(house.client, pair["refresh_token"]).json
    refresh(house.client, newer["refresh_token"])
    house.begin()
    assert problem(refresh(house.client, pair["refresh_token"])) == (401, "refresh_token_reused")
    return by_nobody(house, details={"kind": "older"})


@tells(Event.REAUTHENTICATED)
def saying_the_password_again(house: House) -> dict[str, Any]:
    pair = house.log_in()
    house.begin()
    house.call("POST", "/auth/reauthenticate", pair, password=PASSWORD)
    return by_self(house)


@tells(Event.REAUTHENTICATION_FAILED)
def saying_it_wrong(house: House) -> dict[str, Any]:
    pair = house.log_in()
    house.begin()
    house.call("POST", "/auth/reauthenticate", pair, password="wrong")
    return by_self(house)


@tells(Event.REAUTHENTICATION_FAILED)
def saying_it_wrong_when_changing_it(house: House) -> dict[str, Any]:
    pair = house.log_in()
    house.begin()
    body = {"current_password": "wrong", "new_password": NEW_PASSWORD}
    house.call("POST", "/auth/password/change", pair, **body)
    return by_self(house)


@tells(Event.REAUTHENTICATION_FAILED)
def saying_it_wrong_when_leaving(house: House) -> dict[str, Any]:
    pair = house.log_in()
    house.begin()
    house.call("DELETE", "/users/me", pair, password="wrong")
    return by_self(house)


@tells(Event.USER_REGISTERED)
def registering(house: House) -> dict[str, Any]:
    house.begin()
    account = {"email": "bob@example.com", "username": "bob", "password": PASSWORD}
    number = house.post("/auth/register", **account).json["id"]
    return {
        "subject_id": number,
        "actor_id": number,
        "personal": {"email": "bob@example.com", "username": "bob"},
    }


@tells(Event.REGISTRATION_ATTEMPTED)
def registering_a_taken_address_in_hiding(house: House) -> dict[str, Any]:
    house.set_settings(hide_account_existence=True)
    house.begin()
    account = {"email": "ada@example.com", "username": "bob", "password": PASSWORD}
    assert house.post("/auth/register", **account).status_code == 202
    return {"subject_id": None, "actor_id": None, "personal": None, "ip": "127.0.0.1"}


@tells(Event.EMAIL_VERIFIED)
def confirming_the_address(house: House) -> dict[str, Any]:
    house.unconfirm()
    house.post("/auth/email/resend", email=house.ada.email)
    token = house.mailbox.token("verify-email")
    house.begin()
    house.post("/auth/email/verify", token=token)
    house.post("/auth/email/verify", token=token)
    return by_nobody(house)


@tells(Event.EMAIL_CHANGE_ASKED)
def asking_for_another_address(house: House) -> dict[str, Any]:
    pair = house.log_in()
    house.begin()
    house.call("POST", "/auth/email/change", pair, new_email="new@example.com")
    return by_self(house, personal={"email": {"from": "ada@example.com", "to": "new@example.com"}})


@tells(Event.EMAIL_CHANGE_WITHDRAWN)
def stopping_a_change_of_the_address(house: House) -> dict[str, Any]:
    pair = house.log_in()
    house.call("POST", "/auth/email/change", pair, new_email="ada@example.org")
    person = Person(house.app)
    person.log_in(house.ada)
    page = person.open("/account/email")
    house.begin()
    person.send(page, "/account/email/cancel")
    return by_self(house, details={}, personal=None)


@tells(Event.EMAIL_CHANGED)
def moving_to_another_address(house: House) -> dict[str, Any]:
    house.call("POST", "/auth/email/change", house.log_in(), new_email="new@example.com")
    token = house.mailbox.token("confirm-email")
    house.begin()
    house.post("/auth/email/change/confirm", token=token)
    return by_nobody(house, personal={"email": "new@example.com"})


@tells(Event.EMAIL_CHANGE_UNDONE)
def moving_back(house: House) -> dict[str, Any]:
    confirm(house.app, house.ada)
    house.call("POST", "/auth/email/change", house.log_in(), new_email="new@example.com")
    token = house.mailbox.token("undo-email-change")
    house.begin()
    house.post("/auth/email/change/cancel", token=token)
    personal = {"email": {"from": "new@example.com", "to": "ada@example.com"}}
    return by_nobody(house, personal=personal, details={"sessions_ended": 1})


@tells(Event.EMAIL_TAKEN_BACK)
def losing_an_address_to_its_former_owner(house: House) -> dict[str, Any]:
    house.call("POST", "/auth/email/change", house.log_in(), new_email="new@example.com")
    token = house.mailbox.token("undo-email-change")
    house.post("/auth/email/change/confirm", token=house.mailbox.token("confirm-email"))
    bob = make_user(house.app, username="bob", email="ada@example.com")
    house.begin()
    house.post("/auth/email/change/cancel", token=token)
    personal = {"email": {"from": "ada@example.com"}}
    return {"subject_id": bob.id, "actor_id": None, "personal": personal, "details": {}}


@tells(Event.PASSWORD_CHANGED)
def changing_the_password(house: House) -> dict[str, Any]:
    house.log_in()
    pair = house.log_in()
    house.begin()
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    house.call("POST", "/auth/password/change", pair, **body)
    return by_self(house, details={"sessions_ended": 1})


@tells(Event.PASSWORD_RESET_ASKED)
def forgetting_the_password(house: House) -> dict[str, Any]:
    house.begin()
    house.client.post(
        f"{API}/auth/password/forgot",
        json={"email": house.ada.email},
        headers={"User-Agent": "Forgetful/1.0", "X-Request-ID": "the-request"},
        environ_base={"REMOTE_ADDR": "203.0.113.9"},
    )
    house.mailbox.deliver()
    under = {"ip": "203.0.113.9", "user_agent": "Forgetful/1.0", "request_id": "the-request"}
    return by_nobody(house, **under)


@tells(Event.PASSWORD_RESET)
def setting_a_new_password(house: House) -> dict[str, Any]:
    house.log_in()
    house.post("/auth/password/forgot", email=house.ada.email)
    token = house.mailbox.token("reset-password")
    house.begin()
    house.post("/auth/password/reset", token=token, new_password=NEW_PASSWORD)
    return by_nobody(house, details={"by": "password_reset", "sessions_ended": 1})


@tells(Event.ACCOUNT_REPUDIATED)
def saying_it_was_not_me(house: House) -> dict[str, Any]:
    confirm(house.app, house.ada)
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    house.call("POST", "/auth/password/change", house.log_in(), **body)
    token = house.mailbox.token("not-me")
    house.begin()
    house.post("/auth/not-me", token=token)
    return by_nobody(house, details={"sessions_ended": 1})


@tells(Event.DELETION_ASKED)
def closing_the_account(house: House) -> dict[str, Any]:
    with time_machine.travel("2026-11-22T08:00:00Z", tick=False):
        pair = house.log_in()
        house.begin()
        house.call("DELETE", "/users/me", pair, password=PASSWORD)
    details = {"due_at": "2026-12-06T08:00:00+00:00", "sessions_ended": 1}
    return by_self(house, details=details)


@tells(Event.DELETION_CALLED_OFF)
def coming_back(house: House) -> dict[str, Any]:
    house.call("DELETE", "/users/me", house.log_in(), password=PASSWORD)
    house.begin()
    house.log_in()
    house.log_in()
    return by_self(house)


@tells(Event.DELETION_CALLED_OFF)
def not_having_left(house: House) -> dict[str, Any]:
    confirm(house.app, house.ada)
    house.call("DELETE", "/users/me", house.log_in(), password=PASSWORD)
    token = house.mailbox.token("not-me")
    house.begin()
    house.post("/auth/not-me", token=token)
    return by_nobody(house)


@tells(Event.USER_UPDATED)
def editing_the_profile(house: House) -> dict[str, Any]:
    pair = house.log_in()
    house.begin()
    house.call("PATCH", "/users/me", pair, full_name="Ada Lovelace", username="countess")
    house.call("PATCH", "/users/me", pair)
    personal = {"username": "countess"}
    return by_self(house, details={"fields": ["full_name", "username"]}, personal=personal)


@tells(Event.USER_CREATED)
def being_made_by_an_operator(house: House) -> dict[str, Any]:
    house.begin()
    command = ("users", "create", "--email", "bob@example.com", "--username", "bob")
    house.run(*command, "--superuser", "--password-stdin", stdin=PASSWORD)
    return {
        "actor_id": None,
        "ip": None,
        "details": {"via": "cli", "is_superuser": True},
        "personal": {"email": "bob@example.com", "username": "bob"},
    }


def by_command(event: Event, name: str, before: str | None, **details: Any) -> None:
    @tells(event)
    def commanded(house: House) -> dict[str, Any]:
        house.log_in()
        if before:
            house.run("users", before, house.ada.email)
        house.begin()
        house.run("users", name, house.ada.email)
        house.run("users", name, house.ada.email)
        return by_nobody(house, ip=None, details={"via": "cli", **details})

    commanded.__name__ = name


by_command(Event.USER_PROMOTED, "promote", None)
by_command(Event.USER_DEMOTED, "demote", "promote")
by_command(Event.USER_ACTIVATED, "activate", "deactivate")
by_command(Event.USER_DEACTIVATED, "deactivate", None, sessions_ended=1)


@tells(Event.USER_UNLOCKED)
def unlocked(house: House) -> dict[str, Any]:
    house.set_settings(ratelimit_enabled=True)
    house.post("/auth/login", username="ada", password="a wrong password")
    house.begin()
    house.run("users", "unlock", "ada")
    house.run("users", "unlock", "ada")
    return by_nobody(house, ip=None, details={"via": "cli"})


@tells(Event.MAIL_RETRIED)
def trying_a_mail_again(house: House) -> dict[str, Any]:
    house.post("/auth/register", email="bob@example.com", username="bob", password=PASSWORD)
    mail = rows(house.app)[-1]
    house.begin()
    house.run("outbox", "retry", str(mail.id))
    details = {"via": "cli", "mail": "verify_email", "state": "waiting"}
    return {"subject_id": mail.user_id, "actor_id": None, "details": details}


@tells(Event.MAIL_DROPPED)
def deleting_a_mail(house: House) -> dict[str, Any]:
    house.post("/auth/register", email="bob@example.com", username="bob", password=PASSWORD)
    mail = rows(house.app)[-1]
    house.begin()
    house.run("outbox", "drop", "--yes", str(mail.id))
    details = {"via": "cli", "mail": "verify_email", "state": "waiting"}
    return {"subject_id": mail.user_id, "actor_id": None, "details": details}


@tells(Event.USER_ERASED)
def being_erased(house: House) -> dict[str, Any]:
    house.call("DELETE", "/users/me", house.log_in(), password=PASSWORD)
    house.begin()
    with time_machine.travel(clock.now() + timedelta(days=15)):
        house.run("prune")
    return by_nobody(house, ip=None, personal=None, details={"reason": "closed", "via": "cli"})


@tells(Event.USER_ERASED)
def being_erased_unconfirmed(house: House) -> dict[str, Any]:
    house.set_settings(unverified_account_lifetime=timedelta(days=3))
    house.unconfirm()
    make_user(house.app, username="bob", email="bob@example.com", email_verified=True)
    house.begin()
    with time_machine.travel(clock.now() + timedelta(days=4)):
        house.run("prune")
    return by_nobody(house, details={"reason": "unconfirmed", "via": "cli"})


@tells(Event.USERS_IMPORTED)
def importing_accounts(house: House) -> dict[str, Any]:
    file = Path(mkdtemp()) / "accounts.jsonl"
    account = {"email": "bob@example.com", "username": "bob", "hashed_password": BCRYPT_HASH}
    file.write_text(json.dumps(account))
    house.begin()
    house.run("users", "import", str(file))
    return {"subject_id": None, "actor_id": None, "details": {"accounts": 1, "superusers": 0}}


@tells(Event.USER_DELETED)
def being_deleted(house: House) -> dict[str, Any]:
    house.begin()
    house.run("users", "delete", house.ada.email, "--yes")
    return by_nobody(house, details={"via": "cli"})


@tells(Event.SESSIONS_ENDED)
def being_signed_out(house: House) -> dict[str, Any]:
    house.log_in()
    house.begin()
    house.run("users", "end-sessions", house.ada.email, "--yes")
    return by_nobody(house, details={"via": "cli", "sessions_ended": 1})


@tells(Event.ROLE_CREATED)
def making_a_role(house: House) -> dict[str, Any]:
    house.begin()
    house.run("roles", "create", "support", "users:read")
    details = {"role": "support", "permissions": ["users:read"]}
    return {"subject_id": None, "actor_id": None, "details": details}


@tells(Event.ROLE_CHANGED)
def changing_a_role(house: House) -> dict[str, Any]:
    house.run("roles", "create", "support", "users:read")
    house.begin()
    house.run("roles", "revoke", "support", "users:read")
    details = {"role": "support", "permissions": {"from": ["users:read"], "to": []}}
    return {"subject_id": None, "actor_id": None, "details": details}


@tells(Event.ROLE_DELETED)
def deleting_a_role(house: House) -> dict[str, Any]:
    house.run("roles", "create", "support", "users:read")
    house.begin()
    house.run("roles", "delete", "support", "--yes")
    return {"subject_id": None, "actor_id": None, "details": {"role": "support"}}


@tells(Event.ROLES_CHANGED)
def being_given_a_role(house: House) -> dict[str, Any]:
    house.run("roles", "create", "support", "users:read")
    house.begin()
    house.run("roles", "assign", house.ada.email, "support")
    return by_nobody(house, details={"roles": {"from": [], "to": ["support"]}})


@tells(Event.AUDIT_PRUNED)
def pruning_the_log(house: House) -> dict[str, Any]:
    with house.app.app_context():
        write_and_seal(3, at=clock.now() - timedelta(days=10))
    house.set_settings(audit_retention=timedelta(days=5))
    house.begin()
    house.run("prune")
    details = {"through": 3, "events": 3, "via": "cli"}
    return {"subject_id": None, "actor_id": None, "details": details}


@tells(Event.AUDIT_EXPORTED)
def exporting_the_log(house: House) -> dict[str, Any]:
    with house.app.test_request_context():
        exporting.download(since=None, actor_id=house.ada.id)
    return {"subject_id": None, "actor_id": house.ada.id, "details": {"after": 0}}


CASES = [
    pytest.param(event, story, id=f"{event.value}-{story.__name__}")
    for event, stories in STORIES.items()
    for story in stories
]


@pytest.mark.parametrize(("event", "story"), CASES)
def test_it_puts_one_row_on_record_and_one_line_in_the_log(
    house: House, event: Event, story: Story
) -> None:
    expected = story(house)

    (row,) = [row for row in house.events() if row.event == event.value]
    (line,) = [line for line in house.lines() if line["event"] == event.value]
    details = expected.pop("details", {})
    assert {name: getattr(row, name) for name in expected} == expected
    assert {name: row.details.get(name) for name in details} == details
    assert line["level"] == ("warning" if event in ALARMING else "info")
    assert (line["subject_id"], line["actor_id"]) == (row.subject_id, row.actor_id)
    assert (line["ip"], line.get("request_id")) == (row.ip, row.request_id)
    assert {name: line[name] for name in row.details} == row.details


@pytest.mark.parametrize(("event", "story"), CASES)
def test_no_password_no_token_and_no_address_is_in_the_row_or_the_line(
    house: House, event: Event, story: Story
) -> None:
    story(house)

    rows = json.dumps([row.details for row in house.events()])
    written = rows + "".join(map(json.dumps, house.lines()))
    tokens = [pair[kind] for pair in house.pairs for kind in ("access_token", "refresh_token")]
    tokens += [mail.token for mail in house.mailbox.mails if mail.link]
    for secret in [PASSWORD, NEW_PASSWORD, "wrong@", "@example.com", "countess", *tokens]:
        assert secret not in written


def test_every_event_has_its_story() -> None:
    # A refusal is a line and no row: tests/auth/login/test_throttle.py tells of it.
    assert set(STORIES) == set(Event) - {Event.LOGIN_THROTTLED}


def test_every_event_is_in_audit_md_and_no_other() -> None:
    page = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")
    table = page.split("\n| event ", 1)[1].split("\n\n", 1)[0].splitlines()[2:]

    documented = [line.split("`")[1] for line in table]

    of_features = [event.value for feature in OPTIONAL for event in feature.events]
    assert sorted(documented) == sorted([*(event.value for event in Event), *of_features])


# What is not on record


def test_a_refresh_is_not_recorded_and_costs_no_statement_for_it(
    house: House, statements: list[str]
) -> None:
    pair = house.log_in()
    house.begin()
    statements.clear()

    refresh(house.client, pair["refresh_token"])

    assert not [statement for statement in statements if "audit" in statement]
    assert house.events() == []


def test_who_exists_makes_no_difference_to_the_statements_of_a_failed_login(
    house: House, statements: list[str]
) -> None:
    executed = []
    for name in ("ada", "nobody-here"):
        statements.clear()
        house.post("/auth/login", username=name, password="wrong")
        executed.append(list(statements))

    assert executed[0] == executed[1]
    assert len([statement for statement in executed[0] if "audit_events" in statement]) == 1


def test_what_was_typed_for_a_name_is_not_kept(house: House) -> None:
    house.begin()

    house.post("/auth/login", username="my password: hunter2", password="oops")

    (row,) = house.events()
    kept = {name: getattr(row, name) for name in AuditEvent.__table__.columns.keys()}  # noqa: SIM118
    assert "hunter2" not in str(kept)
    assert "hunter2" not in house.stream.getvalue()


def test_what_is_refused_is_not_recorded(house: House) -> None:
    pair = house.log_in()
    house.begin()

    house.call("PATCH", "/users/me", pair, username="grace")
    house.post("/auth/email/verify", token="garbage")
    house.post("/auth/password/reset", token="garbage", new_password=NEW_PASSWORD)
    house.post("/auth/logout", refresh_token="garbage")
    house.post("/auth/password/forgot", email=UNKNOWN)
    house.mailbox.deliver()

    assert house.events() == []
    assert house.lines() == []


def test_no_text_of_a_client_makes_a_line_of_its_own(house: House) -> None:
    house.begin()

    house.client.post(
        f"{API}/auth/login",
        json={"username": 'ada\n{"event": "login_succeeded"}', "password": "wrong"},
        headers={"User-Agent": 'x\u2028{"event": "login_succeeded"}'.encode().decode("latin-1")},
    )

    assert [line["event"] for line in house.lines()] == ["login_failed"]


@pytest.mark.parametrize("event", [Event.LOGIN_FAILED, Event.LOGIN_SUCCEEDED])
def test_what_happens_is_counted(house: House, event: Event) -> None:
    from app.observability import metrics

    counter = metrics.SECURITY_EVENTS.labels(event.value)
    before = counter._value.get()

    STORIES[event][0](house)

    assert counter._value.get() == before + 1
