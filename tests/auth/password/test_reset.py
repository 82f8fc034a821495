"""POST /auth/password/forgot and /auth/password/reset"""

from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from app import clock
from app.errors import InvalidLink
from app.extensions import db
from app.models import OneTimeToken, OutboxMessage, User
from app.security import one_time_tokens
from app.security.one_time_tokens import Purpose
from tests.factories import (
    API,
    PASSWORD,
    bearer,
    log_in,
    make_user,
    me,
    problem,
    refresh,
    refused_fields,
)
from tests.mailbox import Mailbox

NEW_PASSWORD = "a new password for a new day"


def forgot(client: FlaskClient, email: str) -> TestResponse:
    return client.post(f"{API}/auth/password/forgot", json={"email": email})


def reset(client: FlaskClient, token: str, new_password: str = NEW_PASSWORD) -> TestResponse:
    return client.post(
        f"{API}/auth/password/reset", json={"token": token, "new_password": new_password}
    )


def reset_token(client: FlaskClient, mailbox: Mailbox, user: User) -> str:
    forgot(client, user.email)
    return mailbox.token("reset-password", to=user.email)


def tries_login(client: FlaskClient, username: str, password: str) -> TestResponse:
    return client.post(f"{API}/auth/login", json={"username": username, "password": password})


def issue(app: Flask, user: User, purpose: Purpose) -> str:
    with app.app_context():
        token = one_time_tokens.issue(user.id, purpose, email=user.email)
        db.session.commit()
    return token


# Asking for the link


def test_the_link_goes_to_the_address_and_begins_with_the_public_url(
    client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    forgot(client, ada.email)

    (mail,) = mailbox.deliver()

    assert mail.to == "ada@example.com"
    assert mail.link is not None
    assert mail.link.startswith("http://localhost:8000/account/reset-password#token=")
    assert "30 minutes" in mail.text


def test_the_mail_goes_to_the_address_as_it_is_stored(
    client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    forgot(client, "ADA@Example.COM")

    (mail,) = mailbox.deliver()

    assert mail.to == "ada@example.com"


@pytest.mark.parametrize("email", ["ada@example.com", "nobody@example.com", "none", "", "a@b\n"])
def test_everybody_gets_the_same_answer(
    client: FlaskClient, ada: User, mailbox: Mailbox, email: str
) -> None:
    response = forgot(client, email)

    assert (response.status_code, response.data.strip()) == (202, b"{}")


def test_the_answers_for_somebody_and_nobody_have_the_same_headers(
    client: FlaskClient, ada: User
) -> None:
    somebody, nobody = forgot(client, ada.email), forgot(client, "nobody@example.com")

    assert somebody.data == nobody.data
    different = {"X-Request-ID", "Date"}
    assert {k: v for k, v in somebody.headers if k not in different} == {
        k: v for k, v in nobody.headers if k not in different
    }


def test_the_same_statements_are_executed_for_somebody_and_nobody(
    client: FlaskClient, ada: User, statements: list[str]
) -> None:
    statements.clear()
    forgot(client, "nobody@example.com")
    for_nobody = list(statements)
    statements.clear()

    forgot(client, ada.email)

    assert statements == for_nobody
    assert len(statements) == 1


def test_nobody_is_mailed_where_nobody_has_the_address(
    client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    forgot(client, "nobody@example.com")

    assert mailbox.deliver() == []


def test_a_request_alone_changes_nothing(client: FlaskClient, ada: User, mailbox: Mailbox) -> None:
    pair = log_in(client, ada)

    reset_token(client, mailbox, ada)

    assert me(client, pair["access_token"]).status_code == 200
    log_in(client, ada)


@pytest.mark.parametrize("used", [0, 1])
def test_of_twenty_requests_two_mails_come_and_using_one_link_kills_the_other(
    client: FlaskClient, ada: User, mailbox: Mailbox, used: int
) -> None:
    for _ in range(20):
        forgot(client, ada.email)

    links = [mail.token for mail in mailbox.deliver()]

    assert len(links) == 2
    assert reset(client, links[used]).status_code == 204
    assert problem(reset(client, links[1 - used])) == (400, "invalid_link")


def test_the_last_two_links_are_good_and_older_ones_are_not(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    oldest, second, newest = (issue(app, ada, Purpose.PASSWORD_RESET) for _ in range(3))

    answers = [reset(client, token) for token in (oldest, second)]

    assert problem(answers[0]) == (400, "invalid_link")
    assert answers[1].status_code == 204
    assert problem(reset(client, newest)) == (400, "invalid_link")


@pytest.mark.parametrize("by", ["forgot", "registering", "both"])
def test_a_stranger_who_asks_for_mails_cannot_kill_the_link_that_the_owner_asked_for(
    client: FlaskClient, ada: User, mailbox: Mailbox, set_settings: Callable[..., None], by: str
) -> None:
    set_settings(hide_account_existence=True)
    token = reset_token(client, mailbox, ada)

    for number in range(5):
        if by != "registering":
            forgot(client, ada.email)
        account = {"email": ada.email, "username": f"thief{number}", "password": "of the thief"}
        if by != "forgot":
            client.post(f"{API}/auth/register", json=account)
    mailbox.deliver()

    assert reset(client, token).status_code == 204


def test_a_quarter_of_an_hour_later_another_mail_comes(
    client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    for _ in range(3):
        forgot(client, ada.email)
    assert len(mailbox.deliver()) == 2

    with time_machine.travel(clock.now() + timedelta(minutes=16)):
        forgot(client, ada.email)

        assert len(mailbox.deliver()) == 1


def test_one_persons_requests_take_no_mail_from_another(
    client: FlaskClient, ada: User, bob: User, mailbox: Mailbox
) -> None:
    for _ in range(5):
        forgot(client, ada.email)

    forgot(client, bob.email)

    assert [mail.to for mail in mailbox.deliver()].count(bob.email) == 1


def test_no_token_is_stored_in_the_clear(
    app: Flask, client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    token = reset_token(client, mailbox, ada)

    with app.app_context():
        stored = db.session.scalars(select(OneTimeToken.token_hash)).all()
        sealed = db.session.scalars(select(OutboxMessage.sealed)).all()

    assert stored
    assert token not in stored
    assert set(sealed) == {None}


def test_a_waiting_mail_does_not_hold_its_link_in_the_clear(
    app: Flask, client: FlaskClient, mailbox: Mailbox
) -> None:
    account = {"email": "ada@example.com", "username": "ada", "password": PASSWORD}
    client.post(f"{API}/auth/register", json=account)
    with app.app_context():
        (sealed,) = db.session.scalars(select(OutboxMessage.sealed)).all()

    token = mailbox.token("verify-email")

    assert sealed
    assert token not in sealed


def test_a_token_has_256_random_bits(client: FlaskClient, ada: User, mailbox: Mailbox) -> None:
    token = reset_token(client, mailbox, ada)

    assert len(token) == 43


# Using it


def test_the_new_password_logs_in_and_the_old_one_no_more(
    client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    token = reset_token(client, mailbox, ada)

    response = reset(client, token)

    assert (response.status_code, response.data) == (204, b"")
    assert problem(tries_login(client, "ada", PASSWORD)) == (401, "invalid_credentials")
    log_in(client, ada, NEW_PASSWORD)


def test_every_session_ends_and_none_begins(
    client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    phone, laptop = log_in(client, ada), log_in(client, ada)
    token = reset_token(client, mailbox, ada)

    response = reset(client, token)

    assert "Set-Cookie" not in response.headers
    for pair in (phone, laptop):
        assert problem(me(client, pair["access_token"])) == (401, "session_ended")
        assert problem(refresh(client, pair["refresh_token"])) == (401, "invalid_refresh_token")


def test_nobody_elses_session_ends(
    client: FlaskClient, ada: User, bob: User, mailbox: Mailbox
) -> None:
    bobs = log_in(client, bob)
    token = reset_token(client, mailbox, ada)

    reset(client, token)

    assert me(client, bobs["access_token"]).status_code == 200
    log_in(client, bob)


def test_the_address_counts_as_verified_afterwards(
    client: FlaskClient, bob: User, mailbox: Mailbox
) -> None:
    token = reset_token(client, mailbox, bob)

    reset(client, token)

    pair = log_in(client, bob, NEW_PASSWORD)
    assert me(client, pair["access_token"]).json["email_verified"] is True


def test_a_notice_says_that_the_password_was_changed(
    client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    token = reset_token(client, mailbox, ada)

    reset(client, token)

    (notice,) = mailbox.deliver()
    assert (notice.to, notice.subject) == ("ada@example.com", "Your password was changed")
    assert notice.page == "not-me"


def test_the_same_password_again_is_no_error(
    client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    token = reset_token(client, mailbox, ada)

    response = reset(client, token, PASSWORD)

    assert response.status_code == 204


def test_a_deactivated_user_sets_no_password(
    app: Flask, client: FlaskClient, mailbox: Mailbox
) -> None:
    bob = make_user(app, username="bob", email="bob@example.com", active=False)
    token = reset_token(client, mailbox, bob)

    response = reset(client, token)

    assert problem(response) == (400, "invalid_link")
    assert problem(tries_login(client, "bob", NEW_PASSWORD)) == (401, "invalid_credentials")
    assert problem(tries_login(client, "bob", PASSWORD)) == (400, "inactive_user")


@pytest.mark.parametrize(
    ("password", "code"), [("short", "password_too_short"), ("x" * 101, "password_too_long")]
)
def test_a_refused_password_does_not_burn_the_token(
    client: FlaskClient, ada: User, mailbox: Mailbox, password: str, code: str
) -> None:
    token = reset_token(client, mailbox, ada)

    response = reset(client, token, password)

    assert refused_fields(response) == {"#/new_password": code}
    assert reset(client, token).status_code == 204


@pytest.mark.parametrize(
    ("password", "code"),
    [("ada@example.com", "password_like_identity"), ("password123", "password_common")],
)
def test_a_common_password_or_one_like_the_own_address_does_not_burn_the_token(
    client: FlaskClient,
    ada: User,
    mailbox: Mailbox,
    set_settings: Callable[..., None],
    password: str,
    code: str,
) -> None:
    set_settings(password_reject_common=True)
    token = reset_token(client, mailbox, ada)

    response = reset(client, token, password)

    assert refused_fields(response) == {"#/new_password": code}
    assert reset(client, token).status_code == 204


# What is no good


def used(app: Flask, client: FlaskClient, user: User) -> str:
    token = issue(app, user, Purpose.PASSWORD_RESET)
    assert reset(client, token).status_code == 204
    return token


def expired(app: Flask, client: FlaskClient, user: User) -> str:
    with time_machine.travel(clock.now() - timedelta(minutes=30, seconds=1)):
        return issue(app, user, Purpose.PASSWORD_RESET)


def superseded(app: Flask, client: FlaskClient, user: User) -> str:
    older = issue(app, user, Purpose.PASSWORD_RESET)
    for _ in range(2):
        issue(app, user, Purpose.PASSWORD_RESET)
    return older


def of_another_purpose(app: Flask, client: FlaskClient, user: User) -> str:
    return issue(app, user, Purpose.NOT_ME)


def unknown(app: Flask, client: FlaskClient, user: User) -> str:
    return "x" * 43


def empty(app: Flask, client: FlaskClient, user: User) -> str:
    return ""


def of_somebody_gone(app: Flask, client: FlaskClient, user: User) -> str:
    token = issue(app, user, Purpose.PASSWORD_RESET)
    with app.app_context():
        db.session.delete(db.session.get(User, user.id))
        db.session.commit()
    return token


@pytest.mark.parametrize(
    "bad", [used, expired, superseded, of_another_purpose, unknown, empty, of_somebody_gone]
)
def test_whatever_is_wrong_with_a_token_is_answered_alike(
    app: Flask, client: FlaskClient, ada: User, bad: Callable[[Flask, FlaskClient, User], str]
) -> None:
    token = bad(app, client, ada)

    response = reset(client, token)

    assert problem(response) == (400, "invalid_link")
    body = response.json
    assert body.keys() == {"type", "title", "status", "detail", "code", "request_id"}
    assert body["detail"] == reset(client, "another that is unknown").json["detail"]


def test_a_reset_that_read_the_token_before_another_used_it_comes_too_late(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    token = issue(app, ada, Purpose.PASSWORD_RESET)
    with app.app_context():
        found = one_time_tokens.read(token, Purpose.PASSWORD_RESET)
        db.session.close()
    reset(client, token)

    with app.app_context(), pytest.raises(InvalidLink):
        one_time_tokens.redeem(found)


def test_a_token_works_until_the_last_moment_of_its_time(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    with time_machine.travel("2026-11-22T08:00:00Z", tick=False) as travelled:
        token = issue(app, ada, Purpose.PASSWORD_RESET)
        travelled.shift(timedelta(minutes=29, seconds=59))

        response = reset(client, token)

    assert response.status_code == 204


@pytest.mark.parametrize(
    ("purpose", "path"),
    [
        (Purpose.PASSWORD_RESET, "/auth/email/verify"),
        (Purpose.PASSWORD_RESET, "/auth/not-me"),
        (Purpose.PASSWORD_RESET, "/auth/email/change/confirm"),
        (Purpose.PASSWORD_RESET, "/auth/email/change/cancel"),
        (Purpose.EMAIL_VERIFICATION, "/auth/email/change/confirm"),
        (Purpose.EMAIL_VERIFICATION, "/auth/not-me"),
        (Purpose.EMAIL_CHANGE, "/auth/email/verify"),
        (Purpose.EMAIL_CHANGE, "/auth/email/change/cancel"),
        (Purpose.EMAIL_UNDO, "/auth/email/change/confirm"),
        (Purpose.EMAIL_UNDO, "/auth/not-me"),
        (Purpose.NOT_ME, "/auth/email/change/cancel"),
        (Purpose.INVITATION, "/auth/email/verify"),
    ],
)
def test_a_token_is_good_for_its_own_purpose_alone(
    app: Flask, client: FlaskClient, ada: User, purpose: Purpose, path: str
) -> None:
    token = issue(app, ada, purpose)

    response = client.post(API + path, json={"token": token})

    assert problem(response) == (400, "invalid_link")


@pytest.mark.parametrize(
    "purpose", [Purpose.EMAIL_VERIFICATION, Purpose.EMAIL_CHANGE, Purpose.EMAIL_UNDO]
)
def test_no_token_of_another_purpose_sets_a_password(
    app: Flask, client: FlaskClient, ada: User, purpose: Purpose
) -> None:
    token = issue(app, ada, purpose)

    response = reset(client, token)

    assert problem(response) == (400, "invalid_link")
    log_in(client, ada)


def test_a_change_of_the_password_kills_an_outstanding_link(
    client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    pair = log_in(client, ada)
    token = reset_token(client, mailbox, ada)
    client.post(
        f"{API}/auth/password/change",
        json={"current_password": PASSWORD, "new_password": "changed by ada herself"},
        headers=bearer(pair["access_token"]),
    )

    response = reset(client, token)

    assert problem(response) == (400, "invalid_link")
    log_in(client, ada, "changed by ada herself")


def test_a_change_of_the_address_kills_an_outstanding_link(
    client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    pair = log_in(client, ada)
    client.post(
        f"{API}/auth/email/change",
        json={"new_email": "countess@example.com"},
        headers=bearer(pair["access_token"]),
    )
    token = reset_token(client, mailbox, ada)
    confirm = mailbox.token("confirm-email")
    confirmed = client.post(f"{API}/auth/email/change/confirm", json={"token": confirm})
    assert confirmed.status_code == 204

    response = reset(client, token)

    assert problem(response) == (400, "invalid_link")
    log_in(client, ada)


@pytest.mark.parametrize("path", ["/auth/password/reset", "/auth/not-me", "/auth/email/verify"])
def test_a_get_burns_nothing(client: FlaskClient, ada: User, mailbox: Mailbox, path: str) -> None:
    token = reset_token(client, mailbox, ada)

    response = client.get(API + path, query_string={"token": token})

    assert problem(response) == (405, "method_not_allowed")
    assert reset(client, token).status_code == 204


# Invitations


def test_an_invitation_sets_the_first_password(
    app: Flask, client: FlaskClient, mailbox: Mailbox
) -> None:
    bob = make_user(app, username="bob", email="bob@example.com", password_hash=None)
    with time_machine.travel(clock.now() - timedelta(hours=71)):
        token = issue(app, bob, Purpose.INVITATION)

    response = reset(client, token)

    assert response.status_code == 204
    pair = log_in(client, bob, NEW_PASSWORD)
    assert me(client, pair["access_token"]).json["email_verified"] is True


def test_an_invitation_is_good_for_three_days(app: Flask, client: FlaskClient, ada: User) -> None:
    with time_machine.travel(clock.now() - timedelta(hours=72, seconds=1)):
        token = issue(app, ada, Purpose.INVITATION)

    response = reset(client, token)

    assert problem(response) == (400, "invalid_link")


# Who registered somebody else's address first


def test_an_owner_who_resets_takes_every_hold_from_who_registered_the_address(
    app: Flask, client: FlaskClient, mailbox: Mailbox
) -> None:
    account = {"email": "ada@example.com", "username": "mallory", "password": "of the attacker"}
    client.post(f"{API}/auth/register", json=account)
    pair = tries_login(client, "mallory", "of the attacker").json
    client.post(
        f"{API}/auth/email/change",
        json={"new_email": "attacker@example.com"},
        headers=bearer(pair["access_token"]),
    )
    change = mailbox.token("confirm-email", to="attacker@example.com")
    verification = mailbox.token("verify-email", to="ada@example.com")
    forgot(client, "ada@example.com")

    response = reset(client, mailbox.token("reset-password", to="ada@example.com"))

    assert response.status_code == 204
    refused = tries_login(client, "mallory", "of the attacker")
    assert problem(refused) == (401, "invalid_credentials")
    assert problem(me(client, pair["access_token"])) == (401, "session_ended")
    refreshed = refresh(client, pair["refresh_token"])
    assert problem(refreshed) == (401, "invalid_refresh_token")
    confirmed = client.post(f"{API}/auth/email/change/confirm", json={"token": change})
    assert problem(confirmed) == (400, "invalid_link")
    verified = client.post(f"{API}/auth/email/verify", json={"token": verification})
    assert problem(verified) == (400, "invalid_link")
    owner = tries_login(client, "mallory", NEW_PASSWORD).json
    assert me(client, owner["access_token"]).json["email"] == "ada@example.com"
    with app.app_context():
        assert db.session.scalar(select(func.count(User.id))) == 1


def test_a_token_for_an_address_that_the_account_has_left_sets_no_password(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    with app.app_context():
        token = one_time_tokens.issue(ada.id, Purpose.PASSWORD_RESET, email="left@example.com")
        db.session.commit()
    pair = log_in(client, ada)

    response = reset(client, token)

    assert problem(response) == (400, "invalid_link")
    assert me(client, pair["access_token"]).status_code == 200
    assert tries_login(client, "ada", PASSWORD).status_code == 200
    assert tries_login(client, "ada", NEW_PASSWORD).status_code == 401
