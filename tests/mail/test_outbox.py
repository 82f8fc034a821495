"""The outbox: queued with the change, delivered outside it, lost never."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import inspect, text, update

from app import clock
from app.extensions import db
from app.mail import delivery, messages, outbox, transport
from app.mail.content import Content
from app.models import OutboxMessage, User
from tests.factories import API, PASSWORD
from tests.mail.letters import Letter, deliver, make_due, only_row, queue, rows
from tests.mailbox import deliver_due

Letters = Callable[[], list[Letter]]

BOB = {"email": "bob@example.com", "username": "bob", "password": PASSWORD}


@dataclass
class Post:
    """Takes the place of the mail server: refuses as told, and remembers what it was given."""

    refusals: dict[str, Exception] = field(default_factory=dict)
    tried: list[tuple[str, str, Content]] = field(default_factory=list)

    def send(self, content: Content, *, to: str, message_id: str) -> None:
        self.tried.append((to, message_id, content))
        if to in self.refusals:
            raise self.refusals[to]


@pytest.fixture
def post(monkeypatch: pytest.MonkeyPatch) -> Post:
    post = Post()
    monkeypatch.setattr(transport, "send", post.send)
    return post


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Set the clock."""
    return lambda moment: monkeypatch.setattr(clock, "now", lambda: moment)


# Queued with the change


def test_a_mail_is_queued_with_the_change_that_it_tells_of(app: Flask, client: FlaskClient) -> None:
    response = client.post(f"{API}/auth/register", json=BOB)

    row = only_row(app)
    assert response.status_code == 201
    assert (row.message, row.recipient, row.state) == ("verify_email", BOB["email"], "waiting")
    assert row.user_id == response.json["id"]


def test_a_mail_is_gone_when_its_change_is_rolled_back(app: Flask, ada: User) -> None:
    with app.app_context():
        outbox.queue(messages.address_in_use, to=ada.email, user=ada)
        db.session.flush()

        db.session.rollback()

    assert rows(app) == []


def test_a_refused_registration_queues_nothing(app: Flask, client: FlaskClient, bob: User) -> None:
    client.post(f"{API}/auth/register", json=BOB)

    assert rows(app) == []


def test_nothing_is_delivered_inside_the_request(
    app: Flask, client: FlaskClient, post: Post
) -> None:
    client.post(f"{API}/auth/register", json=BOB)
    client.post(f"{API}/auth/password/forgot", json={"email": BOB["email"]})

    assert post.tried == []


# Delivered


def test_what_is_due_is_delivered_once(app: Flask, letters: Letters) -> None:
    queue(app)

    tried = [deliver(app), deliver(app)]

    assert tried == [1, 0]
    assert len(letters()) == 1
    assert only_row(app).state == "delivered"


def test_the_oldest_is_delivered_first(app: Flask, post: Post) -> None:
    queue(app, to="ada@example.com")
    queue(app, to="bob@example.com")
    queue(app, to="grace@example.com")

    for _ in range(3):
        with app.app_context():
            deliver_due(limit=1)

    assert [to for to, *_ in post.tried] == [
        "ada@example.com",
        "bob@example.com",
        "grace@example.com",
    ]


def test_what_is_claimed_is_not_claimed_again_before_its_lease_is_over(
    app: Flask, post: Post, at: Callable[[datetime], None]
) -> None:
    queue(app)
    now = clock.now()
    at(now)

    with app.app_context():
        first = len(delivery.claim(10))
        during = len(delivery.claim(10))
        at(now + delivery.LEASE)
        after = len(delivery.claim(10))

    assert (first, during, after) == (1, 0, 1)


def test_whoever_claims_and_dies_loses_nothing(
    app: Flask, letters: Letters, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue(app)
    with monkeypatch.context() as patch:
        patch.setattr(transport, "send", _die)
        with pytest.raises(SystemExit):
            deliver(app)
    before = deliver(app)
    make_due(app)

    deliver(app)

    assert before == 0
    assert len(letters()) == 1


def test_a_mail_whose_deliverer_dies_each_time_is_set_aside(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue(app)
    with app.app_context():
        db.session.execute(update(OutboxMessage).values(attempts=delivery.MAX_ATTEMPTS))
        db.session.commit()
    monkeypatch.setattr(transport, "send", _die)

    deliver(app)

    (row,) = rows(app)
    assert (row.state, row.lease) == ("set aside", None)
    assert "tried too often" in (row.last_error or "")


def test_whoever_delivers_and_dies_repeats_the_same_mail(
    app: Flask, letters: Letters, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue(app, messages.verify_email, token="a-token")
    really_send = transport.send
    sent: list[Letter] = []

    def send_and_die(content: Content, **about: str) -> None:
        really_send(content, **about)
        sent.extend(letters())
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(transport, "send", send_and_die)
        with pytest.raises(SystemExit):
            deliver(app)
    make_due(app)

    deliver(app)

    (first,), (again,) = sent, letters()
    assert first.headers["Message-ID"] == again.headers["Message-ID"]
    assert first.link == again.link


def _die(*_: Any, **__: Any) -> None:
    raise SystemExit


# Retried


def test_a_mail_that_is_not_taken_waits_longer_each_time(
    app: Flask, post: Post, at: Callable[[datetime], None]
) -> None:
    post.refusals["ada@example.com"] = ConnectionRefusedError("away")
    queue(app)
    now = clock.now()
    waits = []

    for _ in range(delivery.MAX_ATTEMPTS - 1):
        at(now)
        deliver(app)
        due_at = only_row(app).due_at
        waits.append((due_at - now).total_seconds())
        now = due_at

    expected = [min(30 * 2**attempt, 3600) for attempt in range(delivery.MAX_ATTEMPTS - 1)]
    assert all(
        0.5 * middle <= wait <= 1.5 * middle for wait, middle in zip(waits, expected, strict=True)
    )


def test_what_failed_together_does_not_come_back_together(app: Flask, post: Post) -> None:
    recipients = [f"ada+{number}@example.com" for number in range(8)]
    for recipient in recipients:
        post.refusals[recipient] = TimeoutError("away")
        queue(app, to=recipient)

    deliver(app)

    dues = sorted(row.due_at for row in rows(app))
    assert dues[-1] - dues[0] > timedelta(seconds=3)


def test_a_mail_is_not_tried_before_its_wait_is_over(app: Flask, post: Post) -> None:
    post.refusals["ada@example.com"] = ConnectionRefusedError("away")
    queue(app)

    tried = [deliver(app), deliver(app)]

    assert tried == [1, 0]


def test_a_mail_is_set_aside_with_its_error_after_the_last_try(app: Flask, post: Post) -> None:
    post.refusals["ada@example.com"] = ConnectionRefusedError("nobody there")
    queue(app)

    states = []
    for _ in range(delivery.MAX_ATTEMPTS + 2):
        make_due(app)
        deliver(app)
        states.append(only_row(app).state)

    row = only_row(app)
    assert states == ["waiting"] * (delivery.MAX_ATTEMPTS - 1) + ["set aside"] * 3
    assert len(post.tried) == row.attempts == delivery.MAX_ATTEMPTS
    assert row.last_error == "ConnectionRefusedError: nobody there"
    assert row.sealed


def test_a_final_refusal_sets_a_mail_aside_at_once(app: Flask, post: Post) -> None:
    post.refusals["ada@example.com"] = transport.Refused("550 no such user")
    queue(app)

    deliver(app)

    row = only_row(app)
    assert (row.state, row.attempts, row.last_error) == ("set aside", 1, "550 no such user")


def test_a_refusal_is_kept_whatever_characters_are_in_it(app: Flask, post: Post) -> None:
    post.refusals["ada@example.com"] = transport.Refused("550 \x00\x1b[31mno\r\n" + "x" * 900)
    queue(app)

    deliver(app)

    error = only_row(app).last_error
    assert only_row(app).state == "set aside"
    assert error is not None
    assert error.isprintable()


@pytest.mark.parametrize("separator", ["=", "=3D", "%3D"])
def test_a_refusal_that_quotes_the_mail_does_not_show_its_token(
    app: Flask, post: Post, separator: str
) -> None:
    quoted = f"550 spam: https://app.example.com/account/x#token{separator}s3cr-et_7 is listed"
    post.refusals["ada@example.com"] = transport.Refused(quoted)
    queue(app)

    deliver(app)

    error = only_row(app).last_error or ""
    assert "s3cr" not in error
    assert "https://app.example.com/account/x#token" in error
    assert error.endswith("is listed")


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (
            transport.Refused("550 <ada@example.com>: no such user"),
            "the mail server refuses it with 550",
        ),
        (ConnectionError("(451, 'ada@example.com is greylisted')"), "ConnectionError"),
    ],
)
def test_the_log_of_a_failure_does_not_name_the_address_and_the_row_does(
    app: Flask, post: Post, caplog: pytest.LogCaptureFixture, failure: Exception, kind: str
) -> None:
    post.refusals["ada@example.com"] = failure
    queue(app)

    deliver(app)

    (record,) = (record for record in caplog.records if record.name == "app.mail.outbox")
    assert vars(record)["reason"] == kind
    assert "ada@example.com" not in str(vars(record))
    assert "ada@example.com" in (only_row(app).last_error or "")


def test_a_mail_that_fails_keeps_no_other_waiting(app: Flask, post: Post) -> None:
    post.refusals["ada@example.com"] = ConnectionResetError("gone")
    post.refusals["bob@example.com"] = transport.Refused("550 no")
    for name in ("ada", "bob", "grace"):
        queue(app, to=f"{name}@example.com")

    deliver(app)

    states = {row.recipient: row.state for row in rows(app)}
    assert states == {
        "ada@example.com": "waiting",
        "bob@example.com": "set aside",
        "grace@example.com": "delivered",
    }


def test_a_mail_that_nobody_can_word_keeps_no_other_waiting(app: Flask, post: Post) -> None:
    number = queue(app, to="ada@example.com")
    queue(app, to="bob@example.com")
    with app.app_context():
        gone = update(OutboxMessage).where(OutboxMessage.id == number)
        db.session.execute(gone.values(message="of_an_older_release"))
        db.session.commit()

    deliver(app)

    assert [to for to, *_ in post.tried] == ["bob@example.com"]
    assert [row.state for row in rows(app)] == ["waiting", "delivered"]


def test_repeats_carry_the_same_message_id_and_the_same_link(
    app: Flask, client: FlaskClient, ada: User, post: Post
) -> None:
    client.post(f"{API}/auth/password/forgot", json={"email": ada.email})
    post.refusals[ada.email] = ConnectionResetError("gone")

    for _ in range(3):
        deliver(app)
        make_due(app)

    assert len(post.tried) == 3
    assert len({message_id for _, message_id, _ in post.tried}) == 1
    assert len({content.link for _, _, content in post.tried}) == 1


# Sealed


def test_a_dump_of_the_database_holds_no_token(
    app: Flask, client: FlaskClient, letters: Letters
) -> None:
    client.post(f"{API}/auth/register", json=BOB)
    before = dump(app)
    client.post(f"{API}/auth/password/forgot", json={"email": BOB["email"]})

    deliver(app)

    tokens = [letter.token for letter in letters()]
    assert len(tokens) == 2
    assert all(tokens)
    assert not [token for token in tokens if token in before + dump(app)]


def test_what_is_in_a_mail_is_gone_once_it_is_delivered(app: Flask, letters: Letters) -> None:
    queue(app, messages.verify_email, token="a-token")

    deliver(app)

    assert only_row(app).sealed is None


def test_a_mail_sealed_with_another_secret_is_set_aside(
    app: Flask,
    post: Post,
    set_settings: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    queue(app)
    set_settings(secret_key="another secret: 9876543210 zyxwvutsrqponm")

    deliver(app)

    row = only_row(app)
    assert row.state == "set aside"
    assert "SECRET_KEY" in (row.last_error or "")
    (record,) = (record for record in caplog.records if record.name == "app.mail.outbox")
    assert vars(record)["reason"] == (
        "cannot be opened: SECRET_KEY is not the one it was sealed with"
    )
    assert post.tried == []


def test_a_mail_that_somebody_altered_is_set_aside(app: Flask, post: Post) -> None:
    queue(app)
    with app.app_context():
        db.session.execute(update(OutboxMessage).values(sealed="gAAAAA not sealed by us"))
        db.session.commit()

    deliver(app)

    assert only_row(app).state == "set aside"
    assert post.tried == []


def dump(app: Flask) -> str:
    """Every cell of every table."""
    with app.app_context():
        tables = inspect(db.engine).get_table_names()
        found = [db.session.execute(text(f"SELECT * FROM {table}")).all() for table in tables]
    assert len(found) > 3
    return repr(found)


# Requests


def test_who_is_meant_by_a_request_is_found_out_outside_it(
    app: Flask, client: FlaskClient, ada: User, post: Post
) -> None:
    client.post(f"{API}/auth/password/forgot", json={"email": ada.email})
    asked = only_row(app)

    deliver(app)

    row = only_row(app)
    assert (asked.message, asked.user_id) == ("reset_asked", None)
    assert (row.message, row.user_id, row.state) == ("password_reset", ada.id, "delivered")


def test_a_request_about_nobody_is_dropped(app: Flask, client: FlaskClient, post: Post) -> None:
    client.post(f"{API}/auth/password/forgot", json={"email": "nobody@example.com"})

    deliver(app)

    row = only_row(app)
    assert (row.state, row.sealed, post.tried) == ("delivered", None, [])


def test_a_mail_goes_to_the_stored_address_and_not_as_somebody_typed_it(
    app: Flask, client: FlaskClient, ada: User, post: Post
) -> None:
    client.post(f"{API}/auth/password/forgot", json={"email": "ADA@Example.COM"})

    deliver(app)

    assert [to for to, *_ in post.tried] == [ada.email]


def test_of_twenty_requests_two_become_mails(
    app: Flask, client: FlaskClient, ada: User, post: Post
) -> None:
    for _ in range(20):
        client.post(f"{API}/auth/password/forgot", json={"email": ada.email})

    deliver(app)

    assert len(post.tried) == outbox.CAP
    assert {row.state for row in rows(app)} == {"delivered"}


def test_after_a_while_there_may_be_more(
    app: Flask, client: FlaskClient, ada: User, post: Post, at: Callable[[datetime], None]
) -> None:
    for _ in range(3):
        client.post(f"{API}/auth/password/forgot", json={"email": ada.email})
    deliver(app)
    at(clock.now() + outbox.CAP_PERIOD + timedelta(seconds=1))

    client.post(f"{API}/auth/password/forgot", json={"email": ada.email})
    deliver(app)

    assert len(post.tried) == outbox.CAP + 1


# Forgotten


def test_delivered_mails_are_forgotten_after_a_week(
    app: Flask, letters: Letters, at: Callable[[datetime], None]
) -> None:
    queue(app)
    deliver(app)
    queue(app, to="bob@example.com")
    now = clock.now()

    at(now + timedelta(days=6))
    with app.app_context():
        early = delivery.prune(100)
    at(now + timedelta(days=7, seconds=1))
    with app.app_context():
        late = delivery.prune(100)

    assert (early, late) == (0, 1)
    assert only_row(app).recipient == "bob@example.com"


def test_mails_set_aside_are_not_forgotten(
    app: Flask, post: Post, at: Callable[[datetime], None]
) -> None:
    post.refusals["ada@example.com"] = transport.Refused("550 no")
    queue(app)
    deliver(app)
    at(clock.now() + timedelta(days=30))

    with app.app_context():
        removed = delivery.prune(100)

    assert removed == 0
    assert only_row(app).state == "set aside"
