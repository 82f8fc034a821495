"""The audit log: a reused refresh token is on record, once."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import jwt
import pytest
import sqlalchemy
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import clock
from app.audit import recording
from app.audit.vocabulary import Event
from app.extensions import db
from app.models import AuditEvent, User
from tests.factories import API, bearer, confirm, log_in, me, problem, refresh

AFTER_THE_WINDOW = timedelta(hours=24, seconds=1)


@pytest.fixture
def ada(app: Flask, ada: User) -> User:
    """Ada has confirmed her address: notices go to nobody else."""
    return confirm(app, ada)


@pytest.fixture
def refused_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that takes no record of a replay."""
    run = recording.APPENDED.run

    def refuse(**values: Any) -> Any:
        if values["event"] == "refresh_token_reused":
            raise sqlalchemy.exc.IntegrityError("INSERT", {}, Exception("the disk is full"))
        return run(**values)

    monkeypatch.setattr(recording.APPENDED, "run", refuse)


def recorded(app: Flask) -> list[AuditEvent]:
    """The replays on record."""
    replays = sqlalchemy.select(AuditEvent).where(AuditEvent.event == "refresh_token_reused")
    with app.app_context():
        return list(db.session.scalars(replays.order_by(AuditEvent.id)))


def session_of(pair: dict[str, Any]) -> str:
    claims = jwt.decode(pair["refresh_token"], options={"verify_signature": False})
    return str(claims["sid"])


def replay(client: FlaskClient, refresh_token: str, **request: Any) -> TestResponse:
    """Present a superseded token when the window is over."""
    with time_machine.travel(clock.now() + AFTER_THE_WINDOW):
        return client.post(f"{API}/auth/refresh", json={"refresh_token": refresh_token}, **request)


# How much may be written


def test_what_a_request_puts_on_record_is_bounded(app: Flask) -> None:
    long = {"text": "é" * 10_000, "list": [f"role {n}" for n in range(5000)]}
    with app.app_context():
        recording.record(
            Event.ROLES_CHANGED, subject_id=1, personal={"email": long}, roles=long, n=2**53
        )
        db.session.commit()
        [row] = db.session.scalars(sqlalchemy.select(AuditEvent))

        for kept in (row.details["roles"], row.personal["email"]):
            assert len(kept["text"]) == 500
            assert kept["text"].endswith("é…")
            assert len(kept["list"]) == 50
            assert kept["list"][:2] == ["role 0", "role 1"]
            assert kept["list"][-1] == "… and 4951 more"
        assert row.details["n"] == 2**53


def test_what_is_bounded_already_stays_as_it_is() -> None:
    once = recording.bounded({"text": "é" * 10_000, "list": [["x"] * 200] * 200, "n": None})

    assert recording.bounded(once) == once


# What is written


def test_a_replay_after_the_window_is_recorded(app: Flask, client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)
    refresh(client, pair["refresh_token"])

    response = replay(client, pair["refresh_token"])

    assert problem(response) == (401, "refresh_token_reused")
    (event,) = recorded(app)
    assert (event.event, event.subject_id, event.actor_id) == ("refresh_token_reused", ada.id, None)
    assert event.details == {"session_id": session_of(pair), "kind": "after_window"}


def test_a_replay_of_an_older_token_is_recorded_as_such(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    pair = log_in(client, ada)
    second = refresh(client, pair["refresh_token"]).json
    refresh(client, second["refresh_token"])

    response = refresh(client, pair["refresh_token"])

    assert problem(response) == (401, "refresh_token_reused")
    (event,) = recorded(app)
    assert event.details == {"session_id": session_of(pair), "kind": "older"}


def test_an_older_token_after_the_window_is_older_still(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    pair = log_in(client, ada)
    second = refresh(client, pair["refresh_token"]).json
    refresh(client, second["refresh_token"])

    replay(client, pair["refresh_token"])

    (event,) = recorded(app)
    assert event.details["kind"] == "older"


def test_without_a_window_the_next_instant_is_after_it(
    app: Flask, client: FlaskClient, ada: User, set_settings: Callable[..., None]
) -> None:
    set_settings(refresh_retry_window=timedelta(0), refresh_late_retry=timedelta(0))
    with time_machine.travel("2026-11-22T08:00:00Z", tick=False):
        pair = log_in(client, ada)
        refresh(client, pair["refresh_token"])

        response = refresh(client, pair["refresh_token"])

    assert problem(response) == (401, "refresh_token_reused")
    (event,) = recorded(app)
    assert event.details["kind"] == "after_window"


def test_the_event_says_when_from_where_and_in_which_request(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    pair = log_in(client, ada)
    refresh(client, pair["refresh_token"])

    replay(
        client,
        pair["refresh_token"],
        headers={
            "User-Agent": "Thief/1.0",
            "X-Request-ID": "the-request",
            "X-Forwarded-For": "::1",
        },
        environ_base={"REMOTE_ADDR": "203.0.113.66"},
    )

    (event,) = recorded(app)
    assert (event.ip, event.user_agent) == ("203.0.113.66", "Thief/1.0")
    assert event.request_id == "the-request"
    assert abs(event.at - clock.now() - AFTER_THE_WINDOW) < timedelta(seconds=5)


def test_the_event_and_the_answer_have_one_request_id(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    pair = log_in(client, ada)
    refresh(client, pair["refresh_token"])

    response = replay(client, pair["refresh_token"])

    (event,) = recorded(app)
    assert event.request_id == response.headers["X-Request-ID"] == response.json["request_id"]


def test_a_replay_at_the_token_endpoint_is_recorded_too(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    pair = log_in(client, ada)
    refresh(client, pair["refresh_token"])
    form = {"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]}

    with time_machine.travel(clock.now() + AFTER_THE_WINDOW):
        response = client.post(f"{API}/auth/token", data=form)

    assert problem(response) == (400, "invalid_grant")
    (event,) = recorded(app)
    assert event.details["kind"] == "after_window"


def test_no_token_is_in_the_event(app: Flask, client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)
    new = refresh(client, pair["refresh_token"]).json

    replay(client, pair["refresh_token"])

    (event,) = recorded(app)
    written = str(event.__dict__)
    for token in (pair["access_token"], pair["refresh_token"], new["refresh_token"]):
        claims = jwt.decode(token, options={"verify_signature": False})
        assert token not in written
        assert claims["jti"] not in written


def test_the_event_outlives_its_user(app: Flask, client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)
    refresh(client, pair["refresh_token"])
    replay(client, pair["refresh_token"])

    with app.app_context():
        db.session.execute(sqlalchemy.delete(User))
        db.session.commit()

    (event,) = recorded(app)
    assert event.subject_id == ada.id


# Together with the end of the session, or not at all


@pytest.mark.usefixtures("refused_events")
def test_where_it_cannot_be_recorded_the_session_is_not_ended_either(
    client: FlaskClient, ada: User
) -> None:
    pair = log_in(client, ada)
    new = refresh(client, pair["refresh_token"]).json

    response = replay(client, pair["refresh_token"])

    assert problem(response) == (500, "internal_error")
    assert me(client, new["access_token"]).status_code == 200


def test_the_event_is_written_before_the_same_commit_as_the_end(
    client: FlaskClient, ada: User, statements: list[str], app: Flask
) -> None:
    pair = log_in(client, ada)
    refresh(client, pair["refresh_token"])
    with app.app_context():
        engine = db.engine

    def note(_connection: Any) -> None:
        statements.append("COMMIT")

    sqlalchemy.event.listen(engine, "commit", note)
    try:
        statements.clear()
        replay(client, pair["refresh_token"])
    finally:
        sqlalchemy.event.remove(engine, "commit", note)

    written = [
        " ".join(statement.split()[:3]).removesuffix(" SET")
        for statement in statements
        if not statement.startswith(("SELECT", "BEGIN"))
    ]
    # The notice and its link are in it as well.
    assert written[-5:] == [
        "UPDATE sessions",
        "INSERT INTO audit_events",
        "INSERT INTO one_time_tokens",
        "INSERT INTO outbox_messages",
        "COMMIT",
    ]


# Once, and only for a replay


def test_replays_one_after_the_other_are_recorded_once(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    pair = log_in(client, ada)
    refresh(client, pair["refresh_token"])

    answers = [replay(client, pair["refresh_token"]) for _ in range(3)]

    assert [problem(answer) for answer in answers] == [
        (401, "refresh_token_reused"),
        (401, "invalid_refresh_token"),
        (401, "invalid_refresh_token"),
    ]
    assert len(recorded(app)) == 1


def test_twenty_replays_in_parallel_are_recorded_once(
    app: Flask, client: FlaskClient, ada: User, set_settings: Callable[..., None]
) -> None:
    set_settings(refresh_retry_window=timedelta(0), refresh_late_retry=timedelta(0))
    pair = log_in(client, ada)
    new = refresh(client, pair["refresh_token"]).json
    barrier = threading.Barrier(20)

    def at_the_barrier(_: int) -> TestResponse:
        barrier.wait()
        return refresh(app.test_client(), pair["refresh_token"])

    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(at_the_barrier, range(20)))

    assert {problem(answer)[0] for answer in answers} == {401}
    assert len(recorded(app)) == 1
    assert problem(me(client, new["access_token"])) == (401, "session_ended")


def test_each_session_that_is_replayed_is_recorded(
    app: Flask, client: FlaskClient, ada: User, bob: User
) -> None:
    pairs = [log_in(client, ada), log_in(client, ada), log_in(client, bob)]
    for pair in pairs:
        refresh(client, pair["refresh_token"])

    for pair in pairs:
        replay(client, pair["refresh_token"])

    events = recorded(app)
    assert [event.subject_id for event in events] == [ada.id, ada.id, bob.id]
    assert [event.details["session_id"] for event in events] == [session_of(p) for p in pairs]


def test_an_honest_retry_is_not_recorded(app: Flask, client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)
    refresh(client, pair["refresh_token"])

    for _ in range(3):
        assert refresh(client, pair["refresh_token"]).status_code == 200

    assert recorded(app) == []


def test_daily_life_is_no_replay(app: Flask, client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)
    pair = refresh(client, pair["refresh_token"]).json
    client.post(f"{API}/auth/logout", headers=bearer(pair["access_token"]))

    refresh(client, pair["refresh_token"])
    refresh(client, "garbage")
    client.post(f"{API}/auth/revoke", data={"token": pair["refresh_token"]})

    assert recorded(app) == []


def test_a_token_that_has_expired_proves_nothing_and_is_not_recorded(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    with time_machine.travel(clock.now() - timedelta(days=15)):
        pair = log_in(client, ada)
        new = refresh(client, pair["refresh_token"]).json
    with time_machine.travel(clock.now() - timedelta(days=2)):
        new = refresh(client, new["refresh_token"]).json

    response = refresh(client, pair["refresh_token"])

    assert problem(response) == (401, "invalid_refresh_token")
    assert recorded(app) == []
    assert refresh(client, new["refresh_token"]).status_code == 200
