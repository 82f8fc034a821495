"""POST /auth/not-me, and the notices that lead there"""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import clock
from app.extensions import db
from app.models import User
from tests.factories import (
    API,
    PASSWORD,
    bearer,
    confirm,
    log_in,
    make_user,
    me,
    problem,
    refresh,
)
from tests.mailbox import Mail, Mailbox


@pytest.fixture
def ada(app: Flask, ada: User) -> User:
    """Ada has confirmed her address: notices go to nobody else."""
    return confirm(app, ada)


def log_in_from(
    client: FlaskClient, ip: str = "192.0.2.1", user_agent: str = "Lynx/2.9"
) -> dict[str, Any]:
    response = client.post(
        f"{API}/auth/login",
        json={"username": "ada", "password": PASSWORD},
        headers={"User-Agent": user_agent},
        environ_base={"REMOTE_ADDR": ip},
    )
    assert response.status_code == 200, response.text
    pair: dict[str, Any] = response.json
    return pair


def not_me(client: FlaskClient, token: str) -> TestResponse:
    return client.post(f"{API}/auth/not-me", json={"token": token})


def close(client: FlaskClient, pair: dict[str, Any]) -> TestResponse:
    return client.delete(
        f"{API}/users/me", json={"password": PASSWORD}, headers=bearer(pair["access_token"])
    )


def reset_by(client: FlaskClient, mail: Mail) -> TestResponse:
    body = {"token": mail.token, "new_password": "mine and nobody elses"}
    return client.post(f"{API}/auth/password/reset", json=body)


# A new device


def test_the_first_login_of_all_is_no_news(
    client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    log_in_from(client)

    assert mailbox.deliver() == []


@pytest.mark.parametrize(
    ("ip", "user_agent", "device"),
    [
        ("198.51.100.7", "Lynx/2.9", "Lynx"),
        ("192.0.2.1", "curl/8.5.0", "curl"),
        ("198.51.100.7", "Mosaic/1.0", "unknown"),
    ],
)
def test_a_login_from_an_address_or_agent_never_seen_together_is_told(
    client: FlaskClient, ada: User, mailbox: Mailbox, ip: str, user_agent: str, device: str
) -> None:
    log_in_from(client)

    with time_machine.travel("2126-11-22T08:00:00Z", tick=False):
        log_in_from(client, ip, user_agent)

        (notice,) = mailbox.deliver()
    assert (notice.to, notice.page) == ("ada@example.com", "not-me")
    assert "new device" in notice.subject
    for circumstance in ("2126-11-22 08:00 UTC", ip, f"Device: {device}"):
        assert circumstance in notice.text


def test_a_device_seen_before_is_no_news(client: FlaskClient, ada: User, mailbox: Mailbox) -> None:
    log_in_from(client)
    log_in_from(client, "198.51.100.7")
    mailbox.deliver()

    for ip in ("192.0.2.1", "198.51.100.7"):
        log_in_from(client, ip)

    assert mailbox.deliver() == []


def test_a_device_without_user_agent_is_known_the_second_time(
    client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    log_in_from(client, user_agent="")

    log_in_from(client, user_agent="")

    assert mailbox.deliver() == []


def test_another_users_device_is_new_to_ada(
    client: FlaskClient, ada: User, bob: User, mailbox: Mailbox
) -> None:
    log_in(client, bob)
    log_in_from(client)

    log_in(client, ada)

    (notice,) = mailbox.deliver()
    assert notice.to == ada.email


@pytest.mark.parametrize(("age", "notices"), [(timedelta(days=31), 1), (timedelta(days=29), 0)])
def test_a_login_to_an_old_account_without_any_known_session_is_told(
    app: Flask, client: FlaskClient, mailbox: Mailbox, age: timedelta, notices: int
) -> None:
    created_at = clock.now() - age
    make_user(
        app, username="ada", email="ada@example.com", email_verified=True, created_at=created_at
    )

    log_in_from(client)

    assert [mail.page for mail in mailbox.deliver()] == ["not-me"] * notices


def test_a_failed_login_is_not_told(client: FlaskClient, ada: User, mailbox: Mailbox) -> None:
    log_in_from(client)

    client.post(
        f"{API}/auth/login",
        json={"username": "ada", "password": "wrong"},
        environ_base={"REMOTE_ADDR": "198.51.100.7"},
    )

    assert mailbox.deliver() == []


def test_a_device_of_a_session_that_ended_is_still_known(
    client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    pair = log_in_from(client)
    client.post(f"{API}/auth/logout", headers=bearer(pair["access_token"]))

    log_in_from(client)

    assert mailbox.deliver() == []


def test_a_user_agent_cannot_put_a_link_or_a_line_into_the_notice(
    client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    log_in_from(client)

    log_in_from(client, user_agent="a\tb<a href='https://evil.example'>")

    (notice,) = mailbox.deliver()
    assert notice.link is not None
    assert notice.link.startswith("http://localhost:8000/account/not-me#token=")
    assert "\t" not in notice.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"X-Forwarded-Host": "evil.example"},
        {"Forwarded": "host=evil.example"},
    ],
)
def test_no_header_moves_a_link(
    client: FlaskClient, ada: User, mailbox: Mailbox, headers: dict[str, str]
) -> None:
    client.post(f"{API}/auth/password/forgot", json={"email": ada.email}, headers=headers)

    (mail,) = mailbox.deliver()

    assert mail.link is not None
    assert mail.link.startswith("http://localhost:8000/account/")


# The other notices


def test_a_replayed_refresh_token_is_told_once(
    client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    pair = log_in(client, ada)
    newer = refresh(client, pair["refresh_token"]).json
    refresh(client, newer["refresh_token"])

    answers = [refresh(client, pair["refresh_token"]) for _ in range(3)]

    assert problem(answers[0]) == (401, "refresh_token_reused")
    (notice,) = mailbox.deliver()
    assert (notice.to, notice.page) == (ada.email, "not-me")
    for circumstance in ("UTC", "127.0.0.1", "Werkzeug"):
        assert circumstance in notice.text


def test_a_deletion_is_told_with_its_day(client: FlaskClient, ada: User, mailbox: Mailbox) -> None:
    with time_machine.travel("2026-11-22T08:00:00Z", tick=False):
        close(client, log_in(client, ada))

        (notice,) = mailbox.deliver()

    assert (notice.to, notice.page) == (ada.email, "not-me")
    for circumstance in ("2026-12-06", "2026-11-22 08:00 UTC", "127.0.0.1", "Werkzeug"):
        assert circumstance in notice.text


def test_a_notice_is_in_the_language_of_the_user(
    app: Flask, client: FlaskClient, mailbox: Mailbox
) -> None:
    make_user(app, username="ada", email="ada@example.com", locale="zh", email_verified=True)
    log_in_from(client)

    log_in_from(client, "198.51.100.7")

    (notice,) = mailbox.deliver()
    assert any("\u4e00" <= character <= "\u9fff" for character in notice.subject)


# "This wasn't me"


def test_it_ends_every_session_and_mails_a_link_for_a_new_password(
    client: FlaskClient, ada: User, bob: User, mailbox: Mailbox
) -> None:
    mine, thiefs = log_in_from(client), log_in_from(client, "198.51.100.7")
    bobs = log_in(client, bob)

    response = not_me(client, mailbox.token("not-me"))

    assert (response.status_code, response.data) == (204, b"")
    for pair in (mine, thiefs):
        assert problem(me(client, pair["access_token"])) == (401, "session_ended")
        assert problem(refresh(client, pair["refresh_token"])) == (401, "invalid_refresh_token")
    assert me(client, bobs["access_token"]).status_code == 200
    (mail,) = mailbox.deliver()
    assert (mail.to, mail.page) == (ada.email, "reset-password")
    assert reset_by(client, mail).status_code == 204


def test_it_calls_a_deletion_off(
    app: Flask, client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    close(client, log_in(client, ada))

    response = not_me(client, mailbox.token("not-me"))

    assert response.status_code == 204
    with app.app_context():
        user = db.session.get(User, ada.id)
        assert user is not None
        assert user.deletion_due_at is None


def test_it_stops_a_change_of_address_that_waits(
    client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    log_in_from(client)
    thiefs = log_in_from(client, "198.51.100.7")
    client.post(
        f"{API}/auth/email/change",
        json={"new_email": "thief@example.com"},
        headers=bearer(thiefs["access_token"]),
    )
    change = mailbox.token("confirm-email")

    not_me(client, mailbox.token("not-me"))

    response = client.post(f"{API}/auth/email/change/confirm", json={"token": change})
    assert problem(response) == (400, "invalid_link")


def test_the_link_for_a_new_password_goes_to_the_address_of_now_and_not_to_the_notices(
    client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    log_in_from(client)
    pair = log_in_from(client, "198.51.100.7")
    token = mailbox.token("not-me", to=ada.email)
    client.post(
        f"{API}/auth/email/change",
        json={"new_email": "countess@example.com"},
        headers=bearer(pair["access_token"]),
    )
    change = mailbox.token("confirm-email")
    client.post(f"{API}/auth/email/change/confirm", json={"token": change})

    response = not_me(client, token)

    assert response.status_code == 204
    (mail,) = mailbox.deliver()
    assert (mail.to, mail.page) == ("countess@example.com", "reset-password")
    assert reset_by(client, mail).status_code == 204


def test_a_link_works_once_and_the_next_notices_link_still_does(
    client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    log_in_from(client)
    for number in (1, 2):
        log_in_from(client, f"198.51.100.{number}")
    first, second = (mail.token for mail in mailbox.deliver())

    answers = not_me(client, first), not_me(client, first), not_me(client, second)

    assert [answer.status_code for answer in answers] == [204, 400, 204]
    assert problem(answers[1]) == (400, "invalid_link")


def test_a_change_of_the_password_by_the_thief_does_not_kill_the_link(
    client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    log_in_from(client)
    thiefs = log_in_from(client, "198.51.100.7")
    token = mailbox.token("not-me")
    body = {"current_password": PASSWORD, "new_password": "the password of a thief"}
    client.post(f"{API}/auth/password/change", json=body, headers=bearer(thiefs["access_token"]))

    response = not_me(client, token)

    assert response.status_code == 204
    assert problem(me(client, thiefs["access_token"])) == (401, "session_ended")


@pytest.mark.parametrize(
    ("age", "status"), [(timedelta(days=6, hours=23), 204), (timedelta(days=7, seconds=1), 400)]
)
def test_a_link_is_good_for_seven_days(
    client: FlaskClient, ada: User, mailbox: Mailbox, age: timedelta, status: int
) -> None:
    with time_machine.travel(clock.now() - age):
        log_in_from(client)
        log_in_from(client, "198.51.100.7")
        token = mailbox.token("not-me")

    response = not_me(client, token)

    assert response.status_code == status


def test_a_get_ends_nothing_and_burns_nothing(
    client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    log_in_from(client)
    pair = log_in_from(client, "198.51.100.7")
    token = mailbox.token("not-me")

    response = client.get(f"{API}/auth/not-me?token={token}")

    assert problem(response) == (405, "method_not_allowed")
    assert me(client, pair["access_token"]).status_code == 200
    assert not_me(client, token).status_code == 204
