"""Security notices: to whom they go, how many of them, and nothing in them by strangers."""

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.ctx import RequestContext
from flask.testing import FlaskClient
from sqlalchemy import select, update

from app import OPTIONAL, clock
from app.auth import notices
from app.auth.login import login
from app.auth.mfa.messages import factors_reset, wrong_codes
from app.extensions import db
from app.mail import messages
from app.mail.content import Content
from app.models import OneTimeToken, OutboxMessage, User
from app.security.one_time_tokens import Purpose
from tests.factories import API, PASSWORD, bearer, confirm, log_in, make_user
from tests.mail.letters import arguments_of
from tests.mailbox import Mailbox

# Notices that no mail sums up: wrong codes are mailed once in a day, and a reset by an
# administrator is rare.
ALONE = {wrong_codes, factors_reset}
HOSTILE = "Your account is locked. Go to https://evil.example/{} or call 0800 123456."


def log_in_with(client: FlaskClient, user_agent: str, username: str = "ada") -> None:
    response = client.post(
        f"{API}/auth/login",
        json={"username": username, "password": PASSWORD},
        headers={"User-Agent": user_agent},
    )
    assert response.status_code == 200, response.text


@pytest.fixture
def ada(app: Flask, ada: User) -> User:
    """Ada has confirmed her address."""
    return confirm(app, ada)


@pytest.fixture
def notify(app: Flask) -> Callable[..., None]:
    """Queue a notice to a user."""

    def queue(message: Callable[..., Content], user: User) -> None:
        more = {"due": "2026-12-06"} if message is messages.deletion_asked else {}
        more |= {"new_email": "x@example.com"} if message is messages.email_change_asked else {}
        with app.app_context():
            notices.notify(message, db.session.get_one(User, user.id), **more)
            db.session.commit()

    return queue


def queued(app: Flask) -> Counter[str]:
    """How many mails of each kind wait."""
    with app.app_context():
        return Counter(db.session.scalars(select(OutboxMessage.message)))


# How many


def test_many_new_devices_are_three_notices_and_one_that_sums_up(
    client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    log_in_with(client, "the first")

    for number in range(39):
        log_in_with(client, HOSTILE.format(number))

    mails = mailbox.deliver()
    assert Counter(mail.subject for mail in mails) == {
        "A new device logged in to your account": 3,
        "Many new devices logged in to your account": 1,
    }
    assert {(mail.to, mail.page) for mail in mails} == {(ada.email, "not-me")}
    for words in ("evil", "0800", "locked"):
        assert not any(words in mail.text + mail.subject for mail in mails)


def test_the_link_of_the_mail_that_sums_up_works(
    client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    for number in range(6):
        log_in_with(client, f"agent {number}")
    token = mailbox.deliver()[-1].token

    response = client.post(f"{API}/auth/not-me", json={"token": token})

    assert response.status_code == 204


@pytest.mark.parametrize(
    "message", notices.SUMMARIES, ids=[message.__name__ for message in notices.SUMMARIES]
)
def test_each_kind_of_notice_is_limited_by_itself(
    app: Flask, ada: User, notify: Callable[..., None], message: Callable[..., Content]
) -> None:
    for _ in range(10):
        notify(message, ada)
    other = next(kind for kind in notices.SUMMARIES if kind is not message)

    notify(other, ada)

    summary = notices.SUMMARIES[message]
    assert queued(app) == {message.__name__: 3, summary.__name__: 1, other.__name__: 1}


def test_every_notice_has_one_that_sums_up() -> None:
    of_core = {function for name, function in vars(messages).items() if not name.startswith("_")}
    of_features = {mail for feature in OPTIONAL for mail in feature.mails}
    with_device = {
        function
        for function in of_core | of_features
        if callable(function) and "device" in arguments_of(function)
    }

    assert with_device == {*notices.SUMMARIES, *notices.SUMMARIES.values(), *ALONE}


@pytest.mark.parametrize(
    ("notice", "summary"),
    notices.SUMMARIES.items(),
    ids=[message.__name__ for message in notices.SUMMARIES],
)
def test_the_link_of_a_mail_that_sums_up_is_of_the_same_kind(
    app: Flask, notice: Callable[..., Content], summary: Callable[..., Content]
) -> None:
    """The token in it was made for the page of the notice."""
    anything: dict[str, Any] = {
        "due": "",
        "new_email": "",
        "factor": "",
        "left": 1,
        "added": "",
        "key": "",
        "provider": "",
    }
    anything |= {"token": "token", "when": "", "ip": "", "device": ""}

    with app.test_request_context():
        links = {
            message(**{name: anything[name] for name in arguments_of(message)}).link
            for message in (notice, summary)
        }

    assert len(links) == 1


def test_one_person_takes_no_notice_from_another(
    app: Flask, ada: User, bob: User, notify: Callable[..., None]
) -> None:
    for _ in range(10):
        notify(messages.new_device, ada)

    notify(messages.new_device, confirm(app, bob))

    assert queued(app)["new_device"] == 4


def test_in_no_hour_are_there_more_than_three(
    app: Flask, ada: User, notify: Callable[..., None]
) -> None:
    begin = clock.now()
    for minutes in range(0, 180, 10):
        with time_machine.travel(begin + timedelta(minutes=minutes)):
            notify(messages.password_changed, ada)

    with app.app_context():
        instants = db.session.scalars(
            select(OutboxMessage.created_at)
            .where(OutboxMessage.message == "password_changed")
            .order_by(OutboxMessage.created_at)
        ).all()
    assert len(instants) == 9
    assert all(
        later - earlier >= timedelta(minutes=59)
        for earlier, later in zip(instants, instants[3:], strict=False)
    )


def test_a_suppressed_notice_leaves_no_token(
    app: Flask, ada: User, notify: Callable[..., None]
) -> None:
    for _ in range(10):
        notify(messages.new_device, ada)

    with app.app_context():
        assert len(db.session.scalars(select(OneTimeToken.id)).all()) == 4


def request_of(app: Flask, device: str) -> RequestContext:
    return app.test_request_context("/", headers={"User-Agent": device})


def test_devices_that_log_in_at_once_are_counted_one_after_the_other(app: Flask, ada: User) -> None:
    threads = 8
    with request_of(app, "the first"):
        login.start(db.session.get_one(User, ada.id))
    together = Barrier(threads)

    def start(number: int) -> None:
        with request_of(app, f"agent {number}"):
            user = db.session.get_one(User, ada.id)
            db.session.rollback()
            together.wait()
            login.start(user)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(start, range(threads)))

    assert queued(app) == {"new_device": 3, "many_new_devices": 1}


def test_notices_that_no_lock_on_the_user_puts_in_a_row_are_counted_one_after_the_other(
    app: Flask, ada: User
) -> None:
    threads = 6
    together = Barrier(threads)

    def notify_slowly(_number: int) -> None:
        with app.app_context():
            user = db.session.get_one(User, ada.id)
            db.session.rollback()
            together.wait()
            notices.notify(messages.refresh_token_reused, user)
            db.session.flush()
            time.sleep(0.1)
            db.session.commit()

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(notify_slowly, range(threads)))

    assert queued(app) == {"refresh_token_reused": 3, "many_refresh_tokens_reused": 1}


# To whom


def test_an_address_that_nobody_confirmed_gets_no_notice(
    app: Flask, client: FlaskClient, bob: User, mailbox: Mailbox
) -> None:
    pair = log_in(client, bob)
    log_in_with(client, "another", "bob")
    change = {"current_password": PASSWORD, "new_password": "another good password"}
    client.post(f"{API}/auth/password/change", json=change, headers=bearer(pair["access_token"]))

    assert mailbox.deliver() == []


def test_a_change_of_an_address_that_nobody_confirmed_tells_the_new_one_alone(
    app: Flask, client: FlaskClient, bob: User, mailbox: Mailbox
) -> None:
    pair = log_in(client, bob)

    client.post(
        f"{API}/auth/email/change",
        json={"new_email": "robert@example.com"},
        headers=bearer(pair["access_token"]),
    )

    assert [mail.to for mail in mailbox.deliver()] == ["robert@example.com"]
    with app.app_context():
        purposes = set(db.session.scalars(select(OneTimeToken.purpose)))
    assert purposes == {Purpose.EMAIL_CHANGE.value}


def test_an_account_with_an_address_that_nobody_confirmed_mails_five_new_ones_and_no_more(
    client: FlaskClient, bob: User, mailbox: Mailbox
) -> None:
    pair = log_in(client, bob)

    for number in range(8):
        client.post(
            f"{API}/auth/email/change",
            json={"new_email": f"robert+{number}@example.com"},
            headers=bearer(pair["access_token"]),
        )

    assert len(mailbox.deliver()) == 5


def test_who_registers_an_address_again_and_again_mails_it_two_links(
    client: FlaskClient, mailbox: Mailbox
) -> None:
    mailed = []
    for number in range(4):
        account = {"email": "victim@example.com", "username": f"mallory{number}"}
        client.post(f"{API}/auth/register", json=account | {"password": PASSWORD})
        account = {"username": account["username"], "password": PASSWORD}
        pair = client.post(f"{API}/auth/login", json=account).json
        client.post(
            f"{API}/auth/email/change",
            json={"new_email": f"mallory{number}@example.com"},
            headers=bearer(pair["access_token"]),
        )
        mails = mailbox.deliver()
        mailed += [mail.page for mail in mails if mail.to == "victim@example.com"]
        token = mails[-1].token
        confirmed = client.post(f"{API}/auth/email/change/confirm", json={"token": token})
        assert confirmed.status_code == 204

    assert mailed == ["verify-email"] * 2


@pytest.mark.parametrize(
    ("path", "page"),
    [("/auth/password/forgot", "reset-password"), ("/auth/email/resend", "verify-email")],
)
def test_a_link_that_was_asked_for_goes_to_an_address_that_nobody_confirmed(
    client: FlaskClient, bob: User, mailbox: Mailbox, path: str, page: str
) -> None:
    client.post(f"{API}{path}", json={"email": bob.email})

    assert [mail.page for mail in mailbox.deliver()] == [page]


def test_an_address_that_the_user_has_left_meanwhile_gets_no_notice(app: Flask, bob: User) -> None:
    with app.app_context():
        user = db.session.get_one(User, bob.id)
        db.session.expunge(user)
        moved = update(User).where(User.id == bob.id)
        db.session.execute(moved.values(email="robert@example.com", email_verified=True))

        assert not notices.goes_to(user)


def test_a_notice_goes_to_an_address_that_this_change_confirms(
    client: FlaskClient, bob: User, mailbox: Mailbox
) -> None:
    client.post(f"{API}/auth/password/forgot", json={"email": bob.email})
    reset: dict[str, Any] = {
        "token": mailbox.token("reset-password"),
        "new_password": "another good password",
    }

    client.post(f"{API}/auth/password/reset", json=reset)

    assert [mail.subject for mail in mailbox.deliver()] == ["Your password was changed"]


# Nothing by strangers


@pytest.mark.parametrize(
    ("user_agent", "device"),
    [
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
            "Firefox on Linux",
        ),
        (HOSTILE, "unknown"),
        ("Firefox/1 www.evil.example", "Firefox"),
        ("", "unknown"),
    ],
)
def test_a_notice_calls_the_device_by_a_name_of_ours(
    client: FlaskClient, ada: User, mailbox: Mailbox, user_agent: str, device: str
) -> None:
    log_in(client, ada)

    log_in_with(client, user_agent)

    (notice,) = mailbox.deliver()
    assert f"Device: {device}\n" in notice.text
    assert "evil" not in notice.text


def test_a_notice_is_for_the_address_of_its_own_user_only(
    app: Flask, client: FlaskClient, mailbox: Mailbox
) -> None:
    make_user(app, username="grace", email="grace@example.com", email_verified=True)
    make_user(app, username="mallory", email="mallory@example.com")
    for username in ("grace", "mallory"):
        log_in_with(client, "the first", username)
        log_in_with(client, "the second", username)

    assert [mail.to for mail in mailbox.deliver()] == ["grace@example.com"]
