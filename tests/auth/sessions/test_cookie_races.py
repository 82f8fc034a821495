"""What happens at once to a session that a cookie holds: real threads on PostgreSQL."""

from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from app import clock
from app.auth.sessions import sessions
from app.extensions import db
from app.models import Session, User
from tests.auth.sessions.test_races import at_once, elsewhere, live_sessions, once_after, outcomes
from tests.cookies import browser, cookies_set, hold, secret_of, sign_in
from tests.factories import API, PASSWORD, problem

pytestmark = pytest.mark.postgresql

ENDED = (401, "session_ended")
GONE = (401, "not_authenticated")


@pytest.fixture
def secret(app: Flask, bob: User) -> str:
    """The secret of Bob's cookie, whose session is due for a renewal."""
    secret = sign_in(browser(app), bob, remember=True)
    with app.app_context():
        earlier = clock.now() - timedelta(hours=2)
        db.session.execute(update(Session).values(refreshed_at=earlier, created_at=earlier))
        db.session.commit()
    return secret


def tab(app: Flask, secret: str) -> FlaskClient:
    client = browser(app)
    hold(client, secret)
    return client


def the_session(app: Flask) -> Session:
    with app.app_context():
        return db.session.scalars(select(Session)).one()


def test_several_requests_at_a_renewal_all_succeed_and_one_renews(app: Flask, secret: str) -> None:
    tabs = [tab(app, secret) for _ in range(6)]

    answers = at_once(*(lambda client=client: client.get(f"{API}/users/me") for client in tabs))

    assert outcomes(answers) == {200: 6}
    assert sum(bool(cookies_set(answer)) for answer in answers) == 1
    assert {secret_of(client) for client in tabs} == {secret}


def test_a_renewal_is_not_made_twice(
    app: Flask, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another request renews between the two statements of this one."""
    other = tab(app, secret)

    def renew() -> None:
        assert cookies_set(other.get(f"{API}/users/me"))

    once_after("SELECT sessions.id", lambda: elsewhere(app, renew), monkeypatch)

    answer = tab(app, secret).get(f"{API}/users/me")

    assert answer.status_code == 200
    assert not cookies_set(answer)


def test_a_renewal_does_not_bring_a_session_back(
    app: Flask, bob: User, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of the session commits between the two statements of the request."""

    def end() -> None:
        sessions.end_all(bob.id)
        db.session.commit()

    begun = once_after("SELECT sessions.id", lambda: elsewhere(app, end), monkeypatch)

    answer = tab(app, secret).get(f"{API}/users/me")
    begun[0].join()

    assert answer.status_code == 200
    assert not cookies_set(answer)
    assert live_sessions(app) == 0
    assert problem(tab(app, secret).get(f"{API}/users/me")) == ENDED


def test_a_login_that_is_refused_at_the_last_moment_sets_no_cookie(
    app: Flask, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deactivate() -> None:
        db.session.execute(update(User).values(is_active=False))
        db.session.commit()

    once_after("INSERT INTO sessions", lambda: elsewhere(app, deactivate), monkeypatch)
    body = {"username": "bob", "password": PASSWORD}

    answer = browser(app).post(f"{API}/auth/login?cookie=true", json=body)

    assert problem(answer) == (401, "invalid_credentials")
    assert not cookies_set(answer)


def test_use_beside_a_logout_ends_with_it(app: Flask, secret: str) -> None:
    leaving, *tabs = [tab(app, secret) for _ in range(7)]

    answers = at_once(
        lambda: leaving.post(f"{API}/auth/logout"),
        *(lambda client=client: client.get(f"{API}/users/me") for client in tabs),
    )

    assert outcomes(answers).keys() <= {200, 204, ENDED}
    assert problem(tab(app, secret).get(f"{API}/users/me")) == ENDED


def test_use_beside_a_rise_is_over_with_the_old_secret(app: Flask, secret: str) -> None:
    rising, *tabs = [tab(app, secret) for _ in range(5)]

    risen, *answers = at_once(
        lambda: rising.post(f"{API}/auth/reauthenticate", json={"password": PASSWORD}),
        *(lambda client=client: client.get(f"{API}/users/me") for client in tabs),
    )

    assert risen.status_code == 200
    assert outcomes(answers).keys() <= {200, GONE}
    assert problem(tab(app, secret).get(f"{API}/users/me")) == GONE
    assert rising.get(f"{API}/users/me").status_code == 200


def test_of_two_rises_at_once_one_wins_and_its_cookie_works(app: Flask, secret: str) -> None:
    tabs = [tab(app, secret) for _ in range(4)]
    body = {"password": PASSWORD}

    answers = at_once(
        *(
            lambda client=client: client.post(f"{API}/auth/reauthenticate", json=body)
            for client in tabs
        )
    )

    found = outcomes(answers)
    assert found[200] == 1
    assert found.keys() <= {200, ENDED, GONE}
    [winner] = [
        client for client, answer in zip(tabs, answers, strict=True) if answer.status_code == 200
    ]
    assert winner.get(f"{API}/users/me").status_code == 200
    assert the_session(app).ended_at is None
