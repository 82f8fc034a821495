"""Who may write what became of a mail: only the deliverer that holds it."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Event, Thread
from typing import Any
from unittest.mock import Mock

import pytest
import sqlalchemy
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app import clock
from app.extensions import db
from app.mail import deliverer, delivery, messages, transport
from app.models import OneTimeToken, OutboxMessage, User
from tests.factories import API
from tests.mail.letters import deliver, only_row, queue, rows
from tests.mailbox import deliver_due
from tests.waiting import until

At = Callable[[datetime], None]


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> At:
    """Set the clock."""
    return lambda moment: monkeypatch.setattr(clock, "now", lambda: moment)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """To whom mails went."""
    recipients: list[str] = []
    monkeypatch.setattr(transport, "send", lambda _content, *, to, **_: recipients.append(to))
    return recipients


def claim(app: Flask) -> OutboxMessage:
    with app.app_context():
        (row,) = delivery.claim(1)
        return row


def deliver_claimed(app: Flask, row: OutboxMessage) -> None:
    with app.app_context():
        delivery.deliver(row)


@pytest.mark.parametrize(
    "outcome",
    [None, transport.Refused("550 no"), ConnectionError("away"), transport.Interrupted()],
    ids=["delivered", "refused", "away", "interrupted"],
)
def test_a_deliverer_that_lost_its_lease_writes_nothing(
    app: Flask, monkeypatch: pytest.MonkeyPatch, at: At, outcome: Exception | None
) -> None:
    queue(app)
    now = clock.now()
    at(now)
    slow = claim(app)
    seconds: list[OutboxMessage] = []

    def send_slowly(*_: Any, **__: Any) -> None:
        at(now + delivery.LEASE)
        seconds.append(claim(app))
        if outcome:
            raise outcome

    monkeypatch.setattr(transport, "send", send_slowly)
    deliver_claimed(app, slow)

    row = only_row(app)
    assert (row.state, row.attempts, row.last_error) == ("waiting", 2, None)
    assert row.lease == seconds[0].lease
    assert row.due_at == now + 2 * delivery.LEASE


def test_the_second_deliverer_completes_what_the_first_one_lost(
    app: Flask, sent: list[str], at: At
) -> None:
    queue(app)
    now = clock.now()
    at(now)
    first = claim(app)
    at(now + delivery.LEASE)
    second = claim(app)

    deliver_claimed(app, second)
    deliver_claimed(app, first)

    assert sent == ["ada@example.com"]
    assert only_row(app).state == "delivered"


def test_a_lost_lease_is_noticed_before_the_mail_is_sent(
    app: Flask, sent: list[str], at: At
) -> None:
    queue(app)
    now = clock.now()
    at(now)
    first = claim(app)
    at(now + delivery.LEASE)
    claim(app)

    deliver_claimed(app, first)

    assert sent == []


def test_a_lease_that_is_nearly_over_is_taken_out_anew(app: Flask, at: At) -> None:
    queue(app)
    now = clock.now()
    at(now)
    row = claim(app)
    late = now + delivery.LEASE - timedelta(seconds=1)
    at(late)

    with app.app_context():
        assert delivery._still_holds(row)
        at(now + delivery.LEASE)
        assert delivery.claim(1) == []

    assert only_row(app).due_at == late + delivery.LEASE


def test_many_slow_mails_and_a_second_deliverer_are_each_sent_once(
    app: Flask, monkeypatch: pytest.MonkeyPatch, at: At
) -> None:
    for number in range(20):
        queue(app, to=f"ada+{number}@example.com")
    now = clock.now()
    at(now)
    sent: list[str] = []

    def send_slowly(_content: Any, *, to: str, **_: Any) -> None:
        sent.append(to)
        if len(sent) % 2:
            at(clock.now() + timedelta(minutes=6))
            other = Thread(target=deliver_one, args=(app,))
            other.start()
            other.join()

    def deliver_one(app: Flask) -> None:
        with app.app_context():
            deliver_due(1)

    monkeypatch.setattr(transport, "send", send_slowly)
    while deliver(app):
        pass

    assert sorted(sent) == sorted({row.recipient for row in rows(app)})
    assert {row.attempts for row in rows(app)} == {1}


def test_what_a_request_becomes_is_not_written_by_who_lost_the_lease(
    app: Flask, client: FlaskClient, ada: User, sent: list[str], at: At
) -> None:
    client.post(f"{API}/auth/password/forgot", json={"email": ada.email})
    now = clock.now()
    at(now)
    first = claim(app)
    # Retried by an operator, which is nothing that the first one could know.
    with app.app_context():
        delivery.retry(db.session.get_one(OutboxMessage, first.id))
        db.session.commit()
    second = claim(app)

    deliver_claimed(app, first)
    before = only_row(app).message
    deliver_claimed(app, second)

    assert before == "reset_asked"
    assert sent == [ada.email]
    with app.app_context():
        assert len(db.session.scalars(select(OneTimeToken.id)).all()) == 1


def test_two_who_look_at_the_same_moment_claim_a_mail_once(app: Flask) -> None:
    """Between the look and the UPDATE of one, the other does both."""
    queue(app)
    claimed: list[int] = []
    overtaken: list[str] = []

    def claim_all() -> None:
        with app.app_context():
            claimed.extend(row.id for row in delivery.claim(10))

    def overtake(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("UPDATE outbox_messages") and not overtaken:
            overtaken.append(statement)
            other = Thread(target=claim_all)
            other.start()
            other.join()

    with app.app_context():
        engine = db.engine
    sqlalchemy.event.listen(engine, "before_cursor_execute", overtake)
    try:
        claim_all()
    finally:
        sqlalchemy.event.remove(engine, "before_cursor_execute", overtake)

    assert overtaken
    assert claimed == [only_row(app).id]
    assert only_row(app).attempts == 1


def test_a_mail_that_is_given_back_is_due_at_once_and_was_not_tried(app: Flask) -> None:
    queue(app)
    row = claim(app)

    with app.app_context():
        delivery.release([row])

    released = only_row(app)
    assert (released.state, released.attempts, released.lease) == ("waiting", 0, None)
    assert released.due_at <= clock.now()


def test_nobody_gives_back_what_another_has(app: Flask, at: At) -> None:
    queue(app)
    now = clock.now()
    at(now)
    first = claim(app)
    at(now + delivery.LEASE)
    second = claim(app)

    with app.app_context():
        delivery.release([first])

    assert (only_row(app).lease, only_row(app).attempts) == (second.lease, 2)


def test_what_an_operator_retries_is_not_put_off_by_who_had_it(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue(app)
    row = claim(app)
    with app.app_context():
        delivery.retry(row)
        db.session.commit()
    monkeypatch.setattr(transport, "send", Mock(side_effect=ConnectionError("away")))

    deliver_claimed(app, row)
    with app.app_context():
        delivery.release([row])

    again = only_row(app)
    assert (again.attempts, again.lease, again.last_error) == (0, None, None)
    assert again.due_at <= clock.now()


def test_a_delivered_mail_holds_no_lease(app: Flask, sent: list[str]) -> None:
    queue(app, messages.verify_email, token="a-token")

    deliver(app)

    assert sent
    assert only_row(app).lease is None


def test_what_was_claimed_does_not_take_over_the_lease_of_another(
    app: Flask, sent: list[str], at: At
) -> None:
    queue(app)
    now = clock.now()
    at(now)

    with app.app_context():
        (first,) = delivery.claim(1)
        at(now + delivery.LEASE)
        other = Thread(target=claim, args=(app,))
        other.start()
        other.join()
        # After that, what belongs to the session is loaded again.
        db.session.execute(select(1))
        db.session.rollback()
        delivery.deliver(first)

    assert sent == []


@pytest.mark.postgresql
def test_a_mail_that_another_deliverer_takes_at_this_moment_keeps_no_other_waiting(
    app: Flask,
) -> None:
    queue(app, to="ada@example.com")
    queue(app, to="bob@example.com")
    first = select(OutboxMessage.id).order_by(OutboxMessage.id).limit(1).with_for_update()

    with app.app_context(), db.engine.begin() as taking:
        taking.execute(first)
        db.session.execute(sqlalchemy.text("SET LOCAL lock_timeout = '1s'"))
        claimed = delivery.claim(1)

    assert [row.recipient for row in claimed] == ["bob@example.com"]


@pytest.mark.parametrize(("patience", "state"), [(20, "delivered"), (0.1, "waiting")])
def test_a_deliverer_that_is_stopped_gives_back_what_it_did_not_hand_over_and_waits_for_the_rest(
    app: Flask, monkeypatch: pytest.MonkeyPatch, patience: float, state: str
) -> None:
    queue(app, to="not-yet@example.com")
    queue(app, to="handed-over@example.com")
    begun: list[str] = []
    stop, hung_up, answered = Event(), Event(), Event()

    def send(_content: Any, *, to: str, **_: Any) -> None:
        line = transport.line.get()
        if to == "handed-over@example.com":
            line.hand_over()
        begun.append(to)
        (answered if to == "handed-over@example.com" else hung_up).wait(10)
        line.check()

    monkeypatch.setattr(transport, "send", send)
    monkeypatch.setattr(transport.Line, "hang_up", lambda _line: hung_up.set())
    monkeypatch.setattr(deliverer, "LAST_ANSWER_SECONDS", patience)
    work = Thread(target=deliverer.run, args=(app, stop))
    work.start()
    until(lambda: len(begun) == 2)

    stop.set()

    until(hung_up.is_set)
    given_back, handed_over = rows(app)
    assert (given_back.state, given_back.attempts, given_back.lease) == ("waiting", 0, None)
    if state == "delivered":
        assert handed_over.lease is not None
        answered.set()
    work.join(10)
    assert not work.is_alive()
    assert [row.state for row in rows(app)] == ["waiting", state]
    assert {row.lease for row in rows(app)} == {None}
    answered.set()
    until(lambda: not any(each.name.startswith("outbox-") for each in threading.enumerate()))
