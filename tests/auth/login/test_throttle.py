"""Guessing at one account."""

import json
import logging
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from limits import parse_many
from prometheus_client import REGISTRY
from sqlalchemy import delete, select, update
from werkzeug.test import TestResponse

from app import clock
from app.auth.login import throttle
from app.errors import Overloaded
from app.extensions import db
from app.models import LoginThrottle, User
from app.security.passwords import hashing
from tests.factories import API, PASSWORD, bearer, make_user, me, problem, refresh
from tests.mailbox import Mailbox

NOW = "2026-11-22T08:00:00Z"
HOME, AWAY, ATTACKER = "192.0.2.7", "198.51.100.1", "203.0.113.66"
NEW_PASSWORD = "an entirely different phrase"


@pytest.fixture(autouse=True)
def throttle_on(app: Flask, set_settings: Callable[..., None]) -> None:
    """The throttle, with limits by network out of its way."""
    many = parse_many("100000 per hour")
    set_settings(
        ratelimit_enabled=True,
        ratelimit_login=many,
        ratelimit_login_failures=many,
        ratelimit_mail=many,
    )


@pytest.fixture
def traveller() -> Iterator[Any]:
    """Time stands still unless the test moves it."""
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def evaluated(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The passwords that were looked at."""
    looked_at: list[str] = []
    verify = hashing.verify

    def noting(password: str, stored: str | None) -> hashing.Verdict:
        looked_at.append(password)
        return verify(password, stored)

    monkeypatch.setattr(hashing, "verify", noting)
    return looked_at


def log_in(
    client: FlaskClient, password: str = PASSWORD, peer: str = HOME, **name: str
) -> TestResponse:
    return client.post(
        f"{API}/auth/login",
        json={"password": password} | (name or {"username": "ada"}),
        environ_base={"REMOTE_ADDR": peer},
    )


def fail(client: FlaskClient, times: int, peer: str = HOME, **name: str) -> list[int]:
    return [log_in(client, "wrong", peer, **name).status_code for _ in range(times)]


def fail_patiently(
    client: FlaskClient, traveller: Any, times: int, peer: str = ATTACKER, **name: str
) -> list[int]:
    """Guess so often, each time when the delay is over: the first and the last really do."""
    answers = fail(client, 1, peer, **name)
    between = (
        update(LoginThrottle)
        .where(LoginThrottle.last_failure_at == clock.now())
        .values(failures=LoginThrottle.failures + times - 2, blocked_until=None)
    )
    with client.application.app_context():
        db.session.execute(between)
        db.session.commit()
    traveller.shift(timedelta(hours=1))
    answers += fail(client, 1, peer, **name)
    traveller.shift(timedelta(hours=1))
    return answers


def with_token(
    client: FlaskClient, name: str, token: str, peer: str = HOME, **body: str
) -> TestResponse:
    method, path = name.split()
    return client.open(
        f"{API}/{path}",
        method=method,
        json=body,
        headers=bearer(token),
        environ_base={"REMOTE_ADDR": peer},
    )


def rows(app: Flask) -> list[LoginThrottle]:
    with app.app_context():
        return list(db.session.scalars(select(LoginThrottle)))


def reset_by_mail(client: FlaskClient, mailbox: Mailbox, user: User) -> None:
    client.post(f"{API}/auth/password/forgot", json={"email": user.email})
    body = {"token": mailbox.token("reset-password", user.email), "new_password": NEW_PASSWORD}
    response = client.post(f"{API}/auth/password/reset", json=body)
    assert response.status_code == 204, response.text


# The delay


@pytest.mark.parametrize(
    "name",
    [{"username": "ada"}, {"email": "ada@example.com"}, {"username": "nobody"}, {"email": "x"}],
)
def test_five_guesses_are_free_and_then_not_even_the_right_one_is_looked_at(
    client: FlaskClient, ada: User, evaluated: list[str], name: dict[str, str]
) -> None:
    free = fail(client, 5, **name)

    sixth = log_in(client, PASSWORD, **name)

    assert free == [401] * 5
    assert problem(sixth) == (429, "rate_limited")
    assert evaluated == ["wrong"] * 5


def test_the_delay_doubles_from_half_a_minute_up_to_an_hour(
    client: FlaskClient, ada: User, traveller: Any
) -> None:
    fail(client, 4)
    waits = []
    for _ in range(10):
        assert fail(client, 1) == [401]
        refused = log_in(client, "wrong")
        waits.append(int(refused.headers["Retry-After"]))
        traveller.shift(timedelta(seconds=waits[-1] - 1))
        assert log_in(client).status_code == 429
        traveller.shift(timedelta(seconds=1))

    assert waits == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]


def test_retry_after_is_what_is_left(client: FlaskClient, ada: User, traveller: Any) -> None:
    fail(client, 5)
    traveller.shift(timedelta(seconds=20.5))

    response = log_in(client)

    assert response.headers["Retry-After"] == "10"
    assert response.headers["Cache-Control"] == "no-store"


def test_when_the_delay_is_over_the_right_password_is_right(
    client: FlaskClient, ada: User, traveller: Any
) -> None:
    fail(client, 5)
    traveller.shift(timedelta(seconds=30))

    response = log_in(client)

    assert response.status_code == 200


def test_what_is_refused_makes_the_delay_no_longer(
    client: FlaskClient, ada: User, traveller: Any
) -> None:
    fail(client, 5)
    fail(client, 50)
    traveller.shift(timedelta(seconds=30))

    response = log_in(client)

    assert response.status_code == 200


def test_a_success_begins_anew(app: Flask, client: FlaskClient, ada: User) -> None:
    for _ in range(3):
        assert fail(client, 4) == [401] * 4
        assert log_in(client).status_code == 200

    assert rows(app) == []


def test_a_success_by_one_name_clears_the_other(client: FlaskClient, ada: User) -> None:
    fail(client, 4, email="ada@example.com")
    log_in(client, username="ada")

    assert fail(client, 5, email="ada@example.com") == [401] * 5


def test_a_success_elsewhere_does_not_help_who_guesses(client: FlaskClient, ada: User) -> None:
    fail(client, 5, ATTACKER)
    log_in(client, peer=HOME)

    assert fail(client, 1, ATTACKER) == [429]


def test_a_day_without_a_failure_begins_anew(
    client: FlaskClient, ada: User, traveller: Any
) -> None:
    fail_patiently(client, traveller, 6, HOME)
    traveller.shift(timedelta(hours=23))

    assert fail(client, 6) == [401] * 5 + [429]


def test_a_day_after_the_first_is_not_a_day_after_the_last(
    client: FlaskClient, ada: User, traveller: Any
) -> None:
    fail(client, 3)
    traveller.shift(timedelta(hours=23))
    fail(client, 1)
    traveller.shift(timedelta(hours=23))

    assert fail(client, 2) == [401, 429]


@pytest.mark.parametrize(
    "spellings",
    [
        [
            {"email": "ada@example.com"},
            {"email": "ADA@Example.com"},
            {"username": "ada@ｅxample.com"},
        ],
        [{"username": "ada"}, {"username": "ADA"}, {"username": "ａｄａ"}],
        [{"username": "nobody"}, {"username": "NOBODY"}],
        [{"email": "no@example.com"}, {"username": "NO@example.com"}],
    ],
)
def test_every_spelling_is_one(
    client: FlaskClient, ada: User, spellings: list[dict[str, str]]
) -> None:
    answers = [fail(client, 1, **spellings[n % len(spellings)])[0] for n in range(6)]

    assert answers == [401] * 5 + [429]


def test_another_network_is_not_delayed(client: FlaskClient, ada: User) -> None:
    fail(client, 6, ATTACKER)

    response = log_in(client, peer=HOME)

    assert response.status_code == 200


def test_another_address_of_the_same_ipv6_network_is(client: FlaskClient, ada: User) -> None:
    fail(client, 5, "2001:db8:1:2::1")

    response = log_in(client, peer="2001:db8:1:2:ffff::1")

    assert response.status_code == 429


def test_another_account_is_not_delayed(client: FlaskClient, ada: User, bob: User) -> None:
    fail(client, 6)

    response = log_in(client, username="bob")

    assert response.status_code == 200


def test_the_count_survives_a_restart(
    client: FlaskClient, ada: User, make_app: Callable[..., Flask]
) -> None:
    fail(client, 5)

    other = make_app(RATELIMIT_ENABLED="true").test_client()

    assert log_in(other).status_code == 429


def test_who_knows_the_password_of_a_deactivated_account_has_not_failed(
    app: Flask, client: FlaskClient
) -> None:
    make_user(app, username="ada", email="ada@example.com", active=False)

    answers = [log_in(client).status_code for _ in range(8)]

    assert answers == [400] * 8


def test_an_oauth_client_is_delayed_alike(client: FlaskClient, ada: User) -> None:
    form = {"grant_type": "password", "username": "ada", "password": "wrong"}

    answers = [client.post(f"{API}/auth/token", data=form) for _ in range(6)]

    assert problem(answers[4]) == (400, "invalid_grant")
    assert problem(answers[5]) == (429, "rate_limited")


# The same for who is signed in


@pytest.mark.parametrize(
    ("name", "field", "more"),
    [
        ("POST auth/reauthenticate", "password", {}),
        ("POST auth/password/change", "current_password", {"new_password": NEW_PASSWORD}),
        ("DELETE users/me", "password", {}),
    ],
)
def test_the_current_password_is_guessed_no_faster_than_at_login(
    client: FlaskClient, ada: User, name: str, field: str, more: dict[str, str]
) -> None:
    token = log_in(client).json["access_token"]

    answers = [with_token(client, name, token, **{field: "wrong"}, **more) for _ in range(6)]
    right = with_token(client, name, token, **{field: PASSWORD}, **more)

    assert [problem(answer) for answer in answers] == [(403, "wrong_password")] * 5 + [
        (429, "rate_limited")
    ]
    assert right.status_code == 429
    assert me(client, token).status_code == 200, "the session goes on"
    assert log_in(client, email="ada@example.com").status_code == 429, "and they count together"


def test_the_right_one_clears(client: FlaskClient, ada: User) -> None:
    token = log_in(client).json["access_token"]
    for _ in range(4):
        with_token(client, "POST auth/reauthenticate", token, password="wrong")

    right = with_token(client, "POST auth/reauthenticate", token, password=PASSWORD)

    assert right.status_code == 200
    assert fail(client, 5, email="ada@example.com") == [401] * 5


# A hundred from anywhere


@pytest.fixture
def suspended(client: FlaskClient, ada: User, traveller: Any) -> Any:
    """Ada's account, of whose owner nothing is known, after a hundred guesses."""
    assert fail_patiently(client, traveller, 100) == [401] * 2
    return traveller


def test_after_a_hundred_failures_the_password_is_not_tried_anywhere(
    client: FlaskClient, suspended: Any, evaluated: list[str]
) -> None:
    answers = [log_in(client, peer=peer) for peer in (ATTACKER, HOME, AWAY)]

    assert {problem(answer) for answer in answers} == {(429, "rate_limited")}
    assert {answer.headers["Retry-After"] for answer in answers} == {"3600"}
    assert evaluated == []


def test_nor_by_the_other_name(client: FlaskClient, suspended: Any) -> None:
    assert log_in(client, email="ada@example.com").status_code == 429


def test_they_count_from_wherever_they_come(client: FlaskClient, ada: User, traveller: Any) -> None:
    answers = [fail(client, 1, f"203.0.113.{n}")[0] for n in range(100)]

    assert answers == [401] * 100
    assert log_in(client, peer=HOME).status_code == 429


@pytest.mark.parametrize("days", [1, 29, 364])
def test_time_lifts_nothing(client: FlaskClient, suspended: Any, days: int) -> None:
    suspended.shift(timedelta(days=days))

    assert log_in(client, peer=HOME).status_code == 429
    assert log_in(client, peer=ATTACKER).status_code == 429


def test_an_identifier_that_nobody_has_is_suspended_alike(
    client: FlaskClient, traveller: Any
) -> None:
    fail_patiently(client, traveller, 100, username="nobody")

    response = log_in(client, username="nobody")

    assert problem(response) == (429, "rate_limited")
    assert response.headers["Retry-After"] == "3600"


def test_a_success_in_between_begins_anew(client: FlaskClient, ada: User, traveller: Any) -> None:
    fail_patiently(client, traveller, 99)
    log_in(client, peer=HOME)

    fail_patiently(client, traveller, 99, peer=AWAY)

    assert log_in(client, peer="192.0.2.99").status_code == 200


def test_a_reset_by_mail_lifts_it(
    client: FlaskClient, ada: User, suspended: Any, mailbox: Mailbox, app: Flask
) -> None:
    reset_by_mail(client, mailbox, ada)

    assert rows(app) == []
    assert log_in(client, NEW_PASSWORD, peer=HOME).status_code == 200


def test_a_reset_that_fails_lifts_nothing(client: FlaskClient, suspended: Any) -> None:
    body = {"token": "made up", "new_password": NEW_PASSWORD}

    client.post(f"{API}/auth/password/reset", json=body)

    assert log_in(client, peer=HOME).status_code == 429


def test_a_reset_of_one_account_lifts_no_other(
    client: FlaskClient, bob: User, suspended: Any, mailbox: Mailbox
) -> None:
    reset_by_mail(client, mailbox, bob)

    assert log_in(client, peer=HOME).status_code == 429


# Nobody is locked out by others


def test_the_owner_goes_on_while_somebody_attacks(
    client: FlaskClient, ada: User, traveller: Any, mailbox: Mailbox
) -> None:
    pair = log_in(client, peer=HOME).json
    fail_patiently(client, traveller, 100)
    assert log_in(client, peer=AWAY).status_code == 429

    pair = refresh(client, pair["refresh_token"]).json
    token = pair["access_token"]

    assert me(client, token).status_code == 200
    assert log_in(client, peer=HOME).status_code == 200
    assert (
        with_token(client, "POST auth/reauthenticate", token, password=PASSWORD).status_code == 200
    )


def test_forgot_works_while_the_account_is_suspended(
    client: FlaskClient, ada: User, suspended: Any, mailbox: Mailbox
) -> None:
    client.post(f"{API}/auth/password/forgot", json={"email": ada.email})

    assert mailbox.token("reset-password", ada.email)


def test_a_network_is_known_by_a_session_that_is_over(
    client: FlaskClient, ada: User, traveller: Any
) -> None:
    token = log_in(client, peer=HOME).json["access_token"]
    client.post(f"{API}/auth/logout", headers=bearer(token))
    fail_patiently(client, traveller, 100)

    assert log_in(client, peer=HOME).status_code == 200


def test_on_ipv6_the_whole_network_is_known(client: FlaskClient, ada: User, traveller: Any) -> None:
    log_in(client, peer="2001:db8:1:2::1")
    fail_patiently(client, traveller, 100)

    assert log_in(client, peer="2001:db8:1:3::1").status_code == 429
    assert log_in(client, peer="2001:db8:1:2:ffff::9").status_code == 200


def test_anothers_network_is_not_known(
    client: FlaskClient, ada: User, bob: User, traveller: Any
) -> None:
    log_in(client, peer=AWAY, username="bob")
    fail_patiently(client, traveller, 100)

    assert log_in(client, peer=AWAY).status_code == 429


def test_in_a_known_network_the_delays_go_on(
    client: FlaskClient, ada: User, traveller: Any
) -> None:
    log_in(client, peer=HOME)
    fail_patiently(client, traveller, 100)

    assert fail(client, 6, HOME) == [401] * 5 + [429]


def test_a_hundred_from_a_known_network_stop_that_one_too(
    client: FlaskClient, ada: User, traveller: Any, evaluated: list[str]
) -> None:
    log_in(client, peer=HOME)
    fail_patiently(client, traveller, 100)
    fail_patiently(client, traveller, 100, peer=HOME)
    evaluated.clear()

    now = log_in(client, peer=HOME)
    traveller.shift(timedelta(days=30))
    later = log_in(client, peer=HOME)

    assert [now.headers["Retry-After"], later.headers["Retry-After"]] == ["3600", "3600"]
    assert evaluated == []


def test_a_success_from_a_known_network_lifts_the_suspension(
    client: FlaskClient, ada: User, traveller: Any
) -> None:
    log_in(client, peer=HOME)
    fail_patiently(client, traveller, 100)

    log_in(client, peer=HOME)

    assert log_in(client, peer=AWAY).status_code == 200


# It tells nothing


@pytest.mark.parametrize("failures", [0, 5, 100])
def test_known_and_unknown_take_the_same_statements_and_get_the_same_bytes(
    client: FlaskClient, ada: User, traveller: Any, statements: list[str], failures: int
) -> None:
    taken = []
    for name in ("ada", "nobody"):
        if failures == 100:
            fail_patiently(client, traveller, 100, username=name)
        else:
            fail(client, failures, ATTACKER, username=name)
        peer = ATTACKER if failures == 5 else HOME
        statements.clear()
        response = client.post(
            f"{API}/auth/login",
            json={"username": name, "password": "wrong"},
            headers={"X-Request-ID": "same"},
            environ_base={"REMOTE_ADDR": peer},
        )
        # This says how many calls are left to the network, so each call makes it one less.
        sent = [(name, text) for name, text in response.headers if name != "RateLimit"]
        taken.append((list(statements), response.data, sent))

    assert taken[0] == taken[1]
    assert len(taken[0][0]) >= 3


def test_the_table_names_nobody(app: Flask, client: FlaskClient, ada: User) -> None:
    fail(client, 1, email="ada@example.com")
    fail(client, 1, username="nobody")

    written = json.dumps([[row.subject, row.network] for row in rows(app)])

    # The subjects are hexadecimal digits, among which "ada" may come up by itself.
    assert "@" not in written
    assert "nobody" not in written
    assert all(re.fullmatch("[0-9a-f]{64}", row.subject) for row in rows(app))


def test_the_names_in_it_depend_on_the_secret(
    app: Flask, client: FlaskClient, ada: User, make_app: Callable[..., Flask]
) -> None:
    other = make_app(RATELIMIT_ENABLED="true", SECRET_KEY="another secret: 9876543210 zyxwvutsrqp")

    fail(client, 1)
    fail(other.test_client(), 1)

    assert len({row.subject for row in rows(app)}) == 2


def test_a_refusal_is_an_event_without_the_name(
    client: FlaskClient, ada: User, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    fail(client, 5, email="ada@example.com")
    sample = ("security_events_total", {"event": "login_throttled"})
    before = REGISTRY.get_sample_value(*sample) or 0

    log_in(client, email="ada@example.com")

    (event,) = [r for r in caplog.records if r.getMessage() == "login_throttled"]
    assert event.__dict__["subject_id"] == ada.id
    assert (REGISTRY.get_sample_value(*sample) or 0) - before == 1
    assert "ada@example.com" not in caplog.text


# What was not looked at does not count


def test_an_overloaded_server_gives_the_attempt_back(
    client: FlaskClient, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(client, 4)

    def overloaded(*_: Any) -> None:
        raise Overloaded

    with monkeypatch.context() as patched:
        patched.setattr(hashing, "verify", overloaded)
        answers = [log_in(client).status_code for _ in range(20)]

    assert answers == [503] * 20
    assert fail(client, 2) == [401, 429]


def test_what_is_given_back_counts_nowhere(
    app: Flask, client: FlaskClient, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overloaded(*_: Any) -> None:
        raise Overloaded

    monkeypatch.setattr(hashing, "verify", overloaded)

    log_in(client)

    assert rows(app) == []


def test_a_refusal_counts_nowhere(
    app: Flask, client: FlaskClient, ada: User, traveller: Any
) -> None:
    fail_patiently(client, traveller, 100)
    before = {(row.subject, row.network, row.failures) for row in rows(app)}

    fail(client, 3, AWAY)
    fail(client, 3, ATTACKER)

    assert {(row.subject, row.network, row.failures) for row in rows(app)} == before


# Many at once


def at_once(calls: int, call: Callable[[int], Any]) -> list[Any]:
    together = threading.Barrier(calls)

    def wait_and_call(number: int) -> Any:
        together.wait()
        return call(number)

    with ThreadPoolExecutor(calls) as threads:
        return list(threads.map(wait_and_call, range(calls)))


@pytest.mark.parametrize("name", ["ada", "nobody"])
def test_of_many_guesses_at_once_five_are_looked_at(
    app: Flask, ada: User, evaluated: list[str], name: str
) -> None:
    answers = at_once(30, lambda n: fail(app.test_client(), 1, username=name)[0])

    assert sorted(answers) == [401] * 5 + [429] * 25
    assert len(evaluated) == 5


@pytest.mark.postgresql
def test_successes_failures_and_resets_at_once_never_wait_for_each_other_for_ever(
    app: Flask, ada: User
) -> None:
    def call(number: int) -> int:
        client, peer = app.test_client(), f"192.0.2.{number % 3}"
        worst = 0
        for _ in range(10):
            match number % 4:
                case 0:
                    status = log_in(client, peer=peer, username="ada").status_code
                case 1:
                    status = log_in(client, peer=peer, email="ada@example.com").status_code
                case 2:
                    status = fail(client, 1, peer, email="ada@example.com")[0]
                case _:
                    with app.app_context():
                        throttle.clear(ada)
                        db.session.commit()
                    status = 204
            worst = max(worst, status)
        return worst

    worst = at_once(16, call)

    assert max(worst) < 500


# Pruning


def prune(app: Flask) -> int:
    with app.app_context():
        removed = 0
        while some := throttle.prune(2):
            removed += some
        return removed


def keep(app: Flask, network: str, failures: int, idle: timedelta) -> None:
    with app.app_context():
        number = len(rows(app))
        row = LoginThrottle(
            subject=f"{number:064}",
            network=network,
            failures=failures,
            last_failure_at=clock.now() - idle,
        )
        db.session.add(row)
        db.session.commit()


@pytest.mark.parametrize(
    ("network", "failures", "kept_for"),
    [
        (HOME, 1, timedelta(days=1)),
        (HOME, 99, timedelta(days=1)),
        (HOME, 100, timedelta(days=365)),
        ("*", 0, timedelta(days=30)),
        ("*", 99, timedelta(days=30)),
        ("*", 100, timedelta(days=365)),
    ],
)
def test_a_count_is_kept_as_long_as_it_says_something(
    app: Flask, traveller: Any, network: str, failures: int, kept_for: timedelta
) -> None:
    for _ in range(3):
        keep(app, network, failures, kept_for - timedelta(seconds=1))
        keep(app, network, failures, kept_for + timedelta(seconds=1))

    removed = prune(app)

    assert removed == 3
    assert {row.last_failure_at > clock.now() - kept_for for row in rows(app)} == {True}


def test_the_command_prunes_them(app: Flask) -> None:
    keep(app, HOME, 1, timedelta(days=2))

    result = app.test_cli_runner().invoke(args=["prune"])

    assert "Removed 1 failed logins." in result.output


def test_with_a_person_goes_what_was_counted_about_them(
    app: Flask, client: FlaskClient, ada: User, bob: User, traveller: Any
) -> None:
    fail_patiently(client, traveller, 100)
    fail(client, 1, email="ada@example.com")
    fail(client, 1, username="bob")
    with app.app_context():
        db.session.execute(
            update(User).where(User.id == ada.id).values(deletion_due_at=clock.now())
        )
        db.session.commit()

    app.test_cli_runner().invoke(args=["prune"])

    assert len(rows(app)) == 2, "bob's"


# Any history


class Model:
    """The policy in a few lines of Python, without a database."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str], tuple[int, float, float]] = {}

    def expect(self, now: float, network: str, name: str, right: bool) -> int:
        failures, blocked_until, last = self.counts.get((network, name), (0, 0, 0))
        if now < blocked_until:
            return 429
        if right:
            self.counts.pop((network, name), None)
            return 200
        failures = 1 if now - last >= 24 * 3600 else failures + 1
        delay = min(30 * 2 ** (failures - 5), 3600) if failures >= 5 else 0
        self.counts[network, name] = (failures, now + delay, now)
        return 401


histories = st.lists(
    st.tuples(
        st.sampled_from([HOME, ATTACKER]),
        st.sampled_from(["ada", "nobody"]),
        st.sampled_from([False] * 9 + [True]),
        st.sampled_from([0, 0, 0, 29, 30, 60, 3599, 3600, 24 * 3600 - 1, 24 * 3600]),
    ),
    min_size=30,
    max_size=45,
)


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories)
def test_any_history_of_attempts_is_answered_by_the_policy(
    app: Flask, ada: User, history: list[tuple[str, str, bool, int]]
) -> None:
    with app.app_context():
        db.session.execute(delete(LoginThrottle))
        db.session.commit()
    client, model = app.test_client(), Model()

    with time_machine.travel(NOW, tick=False) as traveller:
        for network, name, is_right, wait in history:
            traveller.shift(timedelta(seconds=wait))
            password = PASSWORD if is_right and name == "ada" else "wrong"
            expected = model.expect(
                clock.now().timestamp(), network, name, right=password == PASSWORD
            )

            assert log_in(client, password, network, username=name).status_code == expected
