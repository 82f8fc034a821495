"""What mailed links do at once: real threads, each with a client of its own"""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from threading import Thread
from typing import Any

import pytest
import sqlalchemy
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, update
from werkzeug.test import TestResponse

from app import clock
from app.auth.email import change as email_change
from app.extensions import db
from app.models import OneTimeToken, Session, User
from app.security import one_time_tokens
from app.security.one_time_tokens import Purpose
from app.security.passwords import hashing
from app.users import closing
from tests import factories
from tests.auth.sessions.test_races import (
    LOOK_AT_USER,
    at_once,
    count,
    elsewhere,
    live_sessions,
    once_after,
    outcomes,
)
from tests.factories import API, PASSWORD, bearer, log_in, me, problem
from tests.mailbox import Mailbox, deliver_due


@pytest.fixture
def ada(app: Flask, ada: User) -> User:
    """Ada has confirmed her address: notices go to nobody else."""
    return factories.confirm(app, ada)


def issue(app: Flask, user: User, purpose: Purpose, email: str | None = None) -> str:
    with app.app_context():
        token = one_time_tokens.issue(user.id, purpose, email=email or user.email)
        db.session.commit()
    return token


def posting(
    app: Flask, path: str, body: dict[str, Any], pair: dict[str, Any] | None = None
) -> Callable[[], TestResponse]:
    headers = bearer(pair["access_token"]) if pair else {}
    client = app.test_client()
    return partial(client.post, API + path, json=body, headers=headers)


def resetting(app: Flask, token: str, password: str) -> Callable[[], TestResponse]:
    return posting(app, "/auth/password/reset", {"token": token, "new_password": password})


def changing(app: Flask, pair: dict[str, Any], password: str) -> Callable[[], TestResponse]:
    body = {"current_password": PASSWORD, "new_password": password}
    return posting(app, "/auth/password/change", body, pair)


def logs_in(client: FlaskClient, password: str) -> bool:
    credentials = {"username": "ada", "password": password}
    return client.post(f"{API}/auth/login", json=credentials).status_code == 200


def mails_after(app: Flask, mailbox: Mailbox) -> list[str]:
    return [mail.subject for mail in mailbox.deliver()]


def test_of_twenty_resets_with_one_token_one_works(
    app: Flask, client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    token = issue(app, ada, Purpose.PASSWORD_RESET)
    words = [f"the new password number {number}" for number in range(20)]

    answers = at_once(*(resetting(app, token, word) for word in words))

    assert outcomes(answers) == {204: 1, (400, "invalid_link"): 19}
    (winner,) = (
        word for word, answer in zip(words, answers, strict=True) if answer.status_code == 204
    )
    assert logs_in(client, winner)
    assert mails_after(app, mailbox).count("Your password was changed") == 1


def test_of_twenty_changes_of_the_password_one_works(
    app: Flask, client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    pair = log_in(client, ada)
    words = [f"the new password number {number}" for number in range(20)]

    answers = at_once(*(changing(app, pair, word) for word in words))

    found = outcomes(answers)
    assert found[200] == 1
    # Whoever asks later has a token from before the change, which is dead.
    assert set(found) <= {200, (403, "wrong_password"), (401, "session_ended")}
    (winner,) = (
        word for word, answer in zip(words, answers, strict=True) if answer.status_code == 200
    )
    assert logs_in(client, winner)
    assert mails_after(app, mailbox) == ["Your password was changed"]


def test_of_twenty_devices_that_change_the_password_one_stays_signed_in(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    pairs = [log_in(client, ada) for _ in range(20)]

    answers = at_once(
        *(changing(app, pair, f"the new password {number}") for number, pair in enumerate(pairs))
    )

    found = outcomes(answers)
    assert found[200] == 1
    assert set(found) <= {200, (403, "wrong_password"), (401, "session_ended")}
    (new,) = (answer.json for answer in answers if answer.status_code == 200)
    assert me(client, new["access_token"]).status_code == 200
    assert {problem(me(client, pair["access_token"])) for pair in pairs} == {(401, "session_ended")}
    assert live_sessions(app) == 1


@pytest.mark.parametrize("round_", range(5))
def test_a_reset_against_a_change_leaves_one_password_and_no_stranger(
    app: Flask, client: FlaskClient, ada: User, round_: int
) -> None:
    pair, other = log_in(client, ada), log_in(client, ada)
    token = issue(app, ada, Purpose.PASSWORD_RESET)

    reset, change = at_once(
        resetting(app, token, "set by the reset"), changing(app, pair, "set by the change")
    )

    found = outcomes([reset, change])
    # Either the reset came first, or the change did and killed the link; never both.
    assert found[204] + found[200] == 1, found
    assert set(found) <= {
        *(204, 200, (400, "invalid_link"), (403, "wrong_password"), (401, "session_ended"))
    }
    for old in (pair, other):
        assert problem(me(client, old["access_token"])) == (401, "session_ended")
    assert live_sessions(app) == (change.status_code == 200)
    assert logs_in(client, "set by the reset") is (reset.status_code == 204)
    assert logs_in(client, "set by the change") is (change.status_code == 200)


@pytest.mark.parametrize("round_", range(3))
def test_after_a_reset_that_races_with_logins_no_old_password_is_signed_in(
    app: Flask, client: FlaskClient, ada: User, round_: int
) -> None:
    token = issue(app, ada, Purpose.PASSWORD_RESET)
    credentials = {"username": "ada", "password": PASSWORD}

    reset, *logins = at_once(
        resetting(app, token, "set by the reset"),
        *(posting(app, "/auth/login", credentials) for _ in range(8)),
    )

    assert reset.status_code == 204
    assert set(outcomes(logins)) <= {200, (401, "invalid_credentials")}
    assert live_sessions(app) == 0


@pytest.mark.parametrize("round_", range(3))
def test_of_two_users_who_confirm_one_address_one_gets_it(
    app: Flask, client: FlaskClient, ada: User, bob: User, round_: int
) -> None:
    address = "wanted@example.com"
    tokens = [issue(app, user, Purpose.EMAIL_CHANGE, address) for user in (ada, bob)]

    answers = at_once(
        *(posting(app, "/auth/email/change/confirm", {"token": token}) for token in tokens)
    )

    assert outcomes(answers) == {204: 1, (400, "invalid_link"): 1}
    with app.app_context():
        emails = set(db.session.scalars(select(User.email)))
    assert address in emails
    assert len(emails & {ada.email, bob.email}) == 1


@pytest.mark.parametrize(
    ("purpose", "path"),
    [
        (Purpose.EMAIL_VERIFICATION, "/auth/email/verify"),
        (Purpose.EMAIL_CHANGE, "/auth/email/change/confirm"),
        (Purpose.EMAIL_UNDO, "/auth/email/change/cancel"),
        (Purpose.NOT_ME, "/auth/not-me"),
    ],
)
def test_of_ten_uses_of_one_link_one_works(
    app: Flask, ada: User, purpose: Purpose, path: str
) -> None:
    token = issue(app, ada, purpose)

    answers = at_once(*(posting(app, path, {"token": token}) for _ in range(10)))

    assert outcomes(answers) == {204: 1, (400, "invalid_link"): 9}


@pytest.mark.parametrize("round_", range(3))
def test_every_link_of_a_user_at_once_neither_deadlocks_nor_breaks(
    app: Flask, client: FlaskClient, ada: User, round_: int
) -> None:
    pair = log_in(client, ada)
    links = [
        (Purpose.EMAIL_VERIFICATION, "/auth/email/verify"),
        (Purpose.EMAIL_CHANGE, "/auth/email/change/confirm"),
        (Purpose.EMAIL_UNDO, "/auth/email/change/cancel"),
        (Purpose.NOT_ME, "/auth/not-me"),
    ]
    actions = [posting(app, path, {"token": issue(app, ada, purpose)}) for purpose, path in links]
    actions.append(resetting(app, issue(app, ada, Purpose.PASSWORD_RESET), "set by the reset"))
    actions.append(changing(app, pair, "set by the change"))
    asking = {"new_email": "countess@example.com"}
    actions.append(posting(app, "/auth/email/change", asking, pair))
    actions.append(posting(app, "/auth/login", {"username": "ada", "password": PASSWORD}))
    actions.append(posting(app, "/auth/password/forgot", {"email": ada.email}))

    answers = at_once(*actions)

    assert max(answer.status_code for answer in answers) < 500
    assert not any("deadlock" in answer.text or "locked" in answer.text for answer in answers)


def test_of_twenty_requests_at_once_two_mails_come_from_four_deliverers(
    app: Flask, ada: User, mailbox: Mailbox
) -> None:
    at_once(*(posting(app, "/auth/password/forgot", {"email": ada.email}) for _ in range(20)))

    def deliver() -> None:
        with app.app_context():
            while deliver_due(limit=3):
                pass

    at_once(*[deliver] * 4)

    assert len(mailbox.mails) == 2
    with app.app_context():
        answers = [
            resetting(app, mail.token, f"the new password {number}")()
            for number, mail in enumerate(mailbox.mails)
        ]
    assert outcomes(answers) == {204: 1, (400, "invalid_link"): 1}


@pytest.mark.parametrize("round_", range(5))
def test_a_login_against_the_pruning_keeps_the_account_or_comes_too_late(
    app: Flask, client: FlaskClient, ada: User, round_: int
) -> None:
    with app.app_context():
        overdue = clock.now() - timedelta(seconds=1)
        db.session.execute(update(User).values(deletion_due_at=overdue))
        db.session.commit()

    def prune() -> int:
        with app.app_context():
            return closing.erase_due(10)

    results: list[Any] = at_once(
        posting(app, "/auth/login", {"username": "ada", "password": PASSWORD}), prune
    )

    login, erased = results
    if erased:
        assert problem(login) == (401, "invalid_credentials")
    else:
        assert login.status_code == 200
        assert me(client, login.json["access_token"]).status_code == 200
    with app.app_context():
        assert db.session.scalar(select(func.count(User.id))) == 1 - erased
        assert db.session.scalar(select(func.count(Session.id))) == 1 - erased


@pytest.mark.parametrize("round_", range(3))
def test_a_login_against_the_closing_leaves_no_session_that_will_be_erased(
    app: Flask, client: FlaskClient, ada: User, round_: int
) -> None:
    pair = log_in(client, ada)
    asking = app.test_client()

    login, closed = at_once(
        posting(app, "/auth/login", {"username": "ada", "password": PASSWORD}),
        lambda: asking.delete(
            f"{API}/users/me", json={"password": PASSWORD}, headers=bearer(pair["access_token"])
        ),
    )

    assert (login.status_code, closed.status_code) == (200, 202)
    with app.app_context():
        due = db.session.scalar(select(User.deletion_due_at))
    assert (live_sessions(app) == 0) is (due is not None)


# Between a check and what was checked for


@pytest.fixture(params=["a reset", "a not-me"])
def rescue(request: pytest.FixtureRequest, app: Flask, ada: User) -> Callable[[], TestResponse]:
    """What the owner does by a mailed link, while somebody else is signed in."""
    if request.param == "a reset":
        return resetting(app, issue(app, ada, Purpose.PASSWORD_RESET), "set by the reset")
    return posting(app, "/auth/not-me", {"token": issue(app, ada, Purpose.NOT_ME)})


def test_a_change_of_address_that_was_let_in_before_a_rescue_leaves_nothing_to_confirm(
    app: Flask,
    client: FlaskClient,
    ada: User,
    mailbox: Mailbox,
    rescue: Callable[[], TestResponse],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pair = log_in(client, ada)
    ask = email_change.ask
    rescued: list[int] = []

    def ask_late(*args: Any) -> None:
        elsewhere(app, lambda: rescued.append(rescue().status_code)).join()
        ask(*args)

    monkeypatch.setattr(email_change, "ask", ask_late)

    response = posting(app, "/auth/email/change", {"new_email": "thief@example.com"}, pair)()

    assert rescued == [204]
    assert problem(response) == (401, "session_ended")
    assert count(app, OneTimeToken, OneTimeToken.purpose == Purpose.EMAIL_CHANGE.value) == 0
    assert "thief@example.com" not in {mail.to for mail in mailbox.deliver()}


def test_a_closing_whose_password_was_compared_before_a_rescue_keeps_the_account(
    app: Flask,
    client: FlaskClient,
    ada: User,
    rescue: Callable[[], TestResponse],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pair = log_in(client, ada)
    verify = hashing.verify
    rescued: list[int] = []

    def verify_slowly(password: str, stored: str | None) -> hashing.Verdict:
        verdict = verify(password, stored)
        elsewhere(app, lambda: rescued.append(rescue().status_code)).join()
        return verdict

    monkeypatch.setattr(hashing, "verify", verify_slowly)

    response = client.delete(
        f"{API}/users/me", json={"password": PASSWORD}, headers=bearer(pair["access_token"])
    )

    assert rescued == [204]
    assert problem(response) == (401, "session_ended")
    assert count(app, User, User.deletion_due_at.is_not(None)) == 0


@pytest.mark.parametrize("action", ["a change of address", "a closing"])
def test_what_waits_for_a_rescue_to_commit_is_told_that_its_session_ended(
    app: Flask,
    client: FlaskClient,
    ada: User,
    rescue: Callable[[], TestResponse],
    action: str,
) -> None:
    headers = bearer(log_in(client, ada)["access_token"])
    method, path, body = {
        "a change of address": ("POST", "/auth/email/change", {"new_email": "thief@example.com"}),
        "a closing": ("DELETE", "/users/me", {"password": PASSWORD}),
    }[action]
    waiting: list[Thread] = []
    answers: list[TestResponse] = []

    def act() -> None:
        answers.append(client.open(API + path, method=method, json=body, headers=headers))

    def begin(*event: Any) -> None:
        if event[2].startswith("UPDATE users SET") and not waiting:
            waiting.append(Thread(target=act))
            waiting[0].start()
            # It waits for this transaction to end.
            waiting[0].join(timeout=0.3)

    with app.app_context():
        engine = db.engine
    sqlalchemy.event.listen(engine, "after_cursor_execute", begin)
    try:
        rescued = rescue()
    finally:
        sqlalchemy.event.remove(engine, "after_cursor_execute", begin)
    waiting[0].join()

    assert rescued.status_code == 204
    assert outcomes(answers) == {(401, "session_ended"): 1}
    assert count(app, OneTimeToken, OneTimeToken.purpose == Purpose.EMAIL_CHANGE.value) == 0
    assert count(app, User, User.deletion_due_at.is_not(None)) == 0


def test_a_login_that_is_stored_while_a_rescue_goes_on_does_not_outlive_it(
    app: Flask,
    client: FlaskClient,
    ada: User,
    rescue: Callable[[], TestResponse],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rescued: list[int] = []
    rescues = once_after(
        LOOK_AT_USER,
        lambda: elsewhere(app, lambda: rescued.append(rescue().status_code)),
        monkeypatch,
    )

    client.post(f"{API}/auth/login", json={"username": "ada", "password": PASSWORD})
    rescues[0].join()

    assert rescued == [204]
    assert live_sessions(app) == 0
