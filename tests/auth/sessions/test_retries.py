"""POST /auth/refresh with the token before the current one: retries, and the thieves among them"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import jwt
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from app.administration import accounts
from app.audit.vocabulary import Event
from app.auth.sessions import refreshing
from app.extensions import db
from app.models import AuditEvent, Session, User
from app.security import tokens
from tests.auth.sessions.test_races import live_sessions, outcomes, times
from tests.auth.sessions.test_sessions import Clock, claims_of, stopped_clock
from tests.factories import API, bearer, log_in, me, problem, refresh
from tests.mailbox import Mailbox

__all__ = ["stopped_clock"]

SECOND, MINUTE, HOUR, DAY = (
    timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days")
)


def token_of(answer: TestResponse) -> str:
    assert answer.status_code == 200, answer.text
    token: str = answer.json["refresh_token"]
    return token


def recorded(app: Flask, *events: Event) -> list[AuditEvent]:
    rows = select(AuditEvent).where(AuditEvent.event.in_([event.value for event in events]))
    with app.app_context():
        return list(db.session.scalars(rows.order_by(AuditEvent.id)))


def is_caught(client: FlaskClient, token: str) -> bool:
    return problem(refresh(client, token)) == (401, "refresh_token_reused")


# Within the window: on record


def test_that_a_successor_was_given_out_again_is_on_record_once(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    pair = log_in(client, ada)
    refresh(client, pair["refresh_token"])
    assert recorded(app, Event.REFRESH_RETRIED) == []

    for _ in range(3):
        refresh(client, pair["refresh_token"])

    (event,) = recorded(app, Event.REFRESH_RETRIED)
    assert (event.subject_id, event.actor_id) == (ada.id, None)
    assert event.details == {"session_id": claims_of(pair["refresh_token"])["sid"]}


def test_each_successor_has_a_record_of_its_own(app: Flask, client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)

    for _ in range(3):
        successor = refresh(client, pair["refresh_token"]).json
        refresh(client, pair["refresh_token"])
        pair = successor

    assert len(recorded(app, Event.REFRESH_RETRIED)) == 3


def test_a_refresh_that_is_not_retried_is_not_on_record(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    pair = log_in(client, ada)

    for _ in range(3):
        pair = refresh(client, pair["refresh_token"]).json

    assert recorded(app, Event.REFRESH_RETRIED, Event.REFRESH_RETRIED_LATE) == []


def test_twenty_tabs_at_once_are_one_record(app: Flask, client: FlaskClient, ada: User) -> None:
    token = log_in(client, ada)["refresh_token"]

    answers = times(20, lambda client: refresh(client, token), app)

    assert outcomes(answers) == {200: 20}
    assert len(recorded(app, Event.REFRESH_RETRIED)) == 1


def test_a_person_sees_a_retry_in_their_activity_with_address_and_device(
    client: FlaskClient, ada: User
) -> None:
    pair = log_in(client, ada)
    new = refresh(client, pair["refresh_token"]).json
    client.post(
        f"{API}/auth/refresh",
        json={"refresh_token": pair["refresh_token"]},
        headers={"User-Agent": "Thief/1.0"},
        environ_base={"REMOTE_ADDR": "203.0.113.66"},
    )

    activity = client.get(f"{API}/users/me/activity", headers=bearer(new["access_token"])).json

    (event,) = [item for item in activity["items"] if item["event"] == "refresh_retried"]
    assert (event["ip"], event["user_agent"]) == ("203.0.113.66", "Thief/1.0")
    assert event["by_you"] is False


def test_a_retry_at_the_token_endpoint_is_on_record_too(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    pair = log_in(client, ada)
    form = {"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]}

    for _ in range(2):
        assert client.post(f"{API}/auth/token", data=form).status_code == 200

    assert len(recorded(app, Event.REFRESH_RETRIED)) == 1


# After the window: a new successor


@pytest.mark.parametrize("later", [10 * SECOND, MINUTE, HOUR, DAY - SECOND])
def test_a_client_whose_answer_was_lost_goes_on_within_a_day(
    app: Flask, client: FlaskClient, ada: User, stopped_clock: Clock, later: timedelta
) -> None:
    pair = log_in(client, ada)
    lost = token_of(refresh(client, pair["refresh_token"]))
    stopped_clock.advance(later)

    response = refresh(client, pair["refresh_token"])

    assert token_of(response) != lost
    assert me(client, response.json["access_token"]).status_code == 200
    assert refresh(client, response.json["refresh_token"]).status_code == 200
    (event,) = recorded(app, Event.REFRESH_RETRIED_LATE)
    assert (event.subject_id, event.actor_id) == (ada.id, None)
    assert event.details == {"session_id": claims_of(pair["refresh_token"])["sid"]}


def test_the_hours_are_a_setting(
    client: FlaskClient, ada: User, stopped_clock: Clock, set_settings: Callable[..., None]
) -> None:
    set_settings(refresh_late_retry=HOUR)
    pair, other = log_in(client, ada), log_in(client, ada)
    for device in (pair, other):
        refresh(client, device["refresh_token"])

    stopped_clock.advance(HOUR - SECOND)
    in_time = refresh(client, pair["refresh_token"])
    stopped_clock.advance(SECOND)
    too_late = refresh(client, other["refresh_token"])

    assert in_time.status_code == 200
    assert problem(too_late) == (401, "refresh_token_reused")


def test_the_statement_of_a_late_retry_compares_the_time_itself(
    app: Flask, client: FlaskClient, ada: User, stopped_clock: Clock
) -> None:
    token = log_in(client, ada)["refresh_token"]
    unused = UUID(claims_of(token_of(refresh(client, token)))["jti"])
    stopped_clock.advance(DAY)

    with app.app_context():
        retried = refreshing._retry_late(tokens.read_refresh_token(token), unused=unused)

    assert retried is None


def test_within_the_window_after_it_the_same_token_gets_the_same_new_successor(
    app: Flask, client: FlaskClient, ada: User, stopped_clock: Clock
) -> None:
    pair = log_in(client, ada)
    refresh(client, pair["refresh_token"])
    stopped_clock.advance(HOUR)
    late = token_of(refresh(client, pair["refresh_token"]))

    stopped_clock.advance(9.9 * SECOND)
    again = token_of(refresh(client, pair["refresh_token"]))

    assert again == late
    assert len(recorded(app, Event.REFRESH_RETRIED_LATE)) == 1
    assert len(recorded(app, Event.REFRESH_RETRIED)) == 1


def test_late_retries_can_be_repeated_but_the_day_counts_from_the_first_rotation(
    client: FlaskClient, ada: User, stopped_clock: Clock
) -> None:
    pair = log_in(client, ada)
    refresh(client, pair["refresh_token"])
    given = []
    for _ in range(2):
        stopped_clock.advance(11 * HOUR)
        given.append(token_of(refresh(client, pair["refresh_token"])))

    stopped_clock.advance(2 * HOUR)

    assert given[0] != given[1]
    assert is_caught(client, pair["refresh_token"])


def test_the_next_rotation_begins_a_day_of_its_own(
    client: FlaskClient, ada: User, stopped_clock: Clock
) -> None:
    pair = log_in(client, ada)
    for _ in range(3):
        refresh(client, pair["refresh_token"])
        stopped_clock.advance(23 * HOUR)
        pair = refresh(client, pair["refresh_token"]).json

    assert refresh(client, pair["refresh_token"]).status_code == 200


def test_a_late_retry_is_not_for_a_token_whose_successor_was_presented(
    client: FlaskClient, ada: User, stopped_clock: Clock
) -> None:
    pair = log_in(client, ada)
    second = refresh(client, pair["refresh_token"]).json
    refresh(client, second["refresh_token"])
    stopped_clock.advance(HOUR)

    assert is_caught(client, pair["refresh_token"])
    assert live_sessions_of(client, second) == 0


def test_a_late_retry_counts_as_the_last_refresh_of_its_session(
    client: FlaskClient, ada: User, stopped_clock: Clock
) -> None:
    pair = log_in(client, ada)
    refresh(client, pair["refresh_token"])
    stopped_clock.advance(HOUR)
    late = refresh(client, pair["refresh_token"]).json

    claims = claims_of(late["refresh_token"])

    assert claims["exp"] - claims["iat"] == 14 * 86400
    stopped_clock.advance(14 * DAY - SECOND)
    assert refresh(client, late["refresh_token"]).status_code == 200


def test_a_late_retry_does_not_outlive_the_greatest_age_of_the_session(
    client: FlaskClient, ada: User, stopped_clock: Clock
) -> None:
    pair = log_in(client, ada)
    for _ in range(3):
        stopped_clock.advance(9.9 * DAY)
        before, pair = pair, refresh(client, pair["refresh_token"]).json

    stopped_clock.advance(2 * HOUR)
    late = refresh(client, before["refresh_token"]).json
    stopped_clock.advance(6 * HOUR)

    assert problem(refresh(client, late["refresh_token"])) == (401, "invalid_refresh_token")


def test_a_session_that_refreshed_under_an_earlier_release_has_its_day_too(
    app: Flask, client: FlaskClient, ada: User, stopped_clock: Clock
) -> None:
    pair, other = log_in(client, ada), log_in(client, ada)
    for device in (pair, other):
        refresh(client, device["refresh_token"])
    with app.app_context():
        db.session.execute(update(Session).values(rotated_at=None))
        db.session.commit()

    for _ in range(2):
        stopped_clock.advance(11 * HOUR)
        assert refresh(client, pair["refresh_token"]).status_code == 200
    stopped_clock.advance(2 * HOUR)

    assert is_caught(client, pair["refresh_token"])
    assert is_caught(client, other["refresh_token"])


def test_neither_an_ended_session_nor_a_deactivated_user_retries_late(
    app: Flask, client: FlaskClient, ada: User, bob: User, stopped_clock: Clock
) -> None:
    pair, bobs = log_in(client, ada), log_in(client, bob)
    for device in (pair, bobs):
        new = refresh(client, device["refresh_token"]).json
    stopped_clock.advance(MINUTE)
    client.post(f"{API}/auth/logout", headers=bearer(new["access_token"]))
    with app.app_context():
        db.session.execute(update(User).where(User.id == ada.id).values(is_active=False))
        db.session.commit()

    for device in (pair, bobs):
        answer = refresh(client, device["refresh_token"])
        assert problem(answer) == (401, "invalid_refresh_token")
    with app.app_context():
        accounts.set_active(ada.email, True)
    assert recorded(app, Event.REFRESH_RETRIED_LATE) == []


def live_sessions_of(client: FlaskClient, pair: dict[str, Any]) -> int:
    return int(me(client, pair["access_token"]).status_code == 200)


# Thieves and owners


def test_a_thief_who_retries_late_is_caught_when_the_owner_refreshes(
    app: Flask, client: FlaskClient, ada: User, stopped_clock: Clock, mailbox: Mailbox
) -> None:
    stolen = log_in(client, ada)["refresh_token"]
    owners = refresh(client, stolen).json
    stopped_clock.advance(10 * MINUTE)
    thiefs = refresh(client, stolen).json

    stopped_clock.advance(MINUTE)

    assert is_caught(client, owners["refresh_token"])
    assert problem(me(client, thiefs["access_token"])) == (401, "session_ended")
    assert problem(refresh(client, thiefs["refresh_token"])) == (401, "invalid_refresh_token")
    assert [event.details["kind"] for event in recorded(app, Event.REFRESH_TOKEN_REUSED)] == [
        "older"
    ]
    assert [mail.to for mail in mailbox.deliver()] == ["ada@example.com"]


def test_a_thief_who_refreshed_first_is_caught_at_the_next_refresh_after_the_owners_retry(
    client: FlaskClient, ada: User, stopped_clock: Clock
) -> None:
    stolen = log_in(client, ada)["refresh_token"]
    thiefs = refresh(client, stolen).json
    stopped_clock.advance(10 * MINUTE)
    owners = refresh(client, stolen).json
    assert me(client, owners["access_token"]).status_code == 200

    stopped_clock.advance(MINUTE)

    assert is_caught(client, thiefs["refresh_token"])
    assert problem(refresh(client, owners["refresh_token"])) == (401, "invalid_refresh_token")


def test_an_owner_whom_a_thief_overtook_is_caught_as_well_if_the_thief_went_on(
    client: FlaskClient, ada: User, stopped_clock: Clock
) -> None:
    stolen = log_in(client, ada)["refresh_token"]
    thiefs = refresh(client, stolen).json
    refresh(client, thiefs["refresh_token"])
    stopped_clock.advance(10 * MINUTE)

    assert is_caught(client, stolen)


def test_nobody_can_keep_two_lines_of_one_session_alive(
    client: FlaskClient, ada: User, stopped_clock: Clock
) -> None:
    """Thief and owner share the token before. Whatever each does next, one of them is caught."""
    stolen = log_in(client, ada)["refresh_token"]
    lines = []
    for _ in range(2):
        lines.append(token_of(refresh(client, stolen)))
        stopped_clock.advance(MINUTE)

    answers = [refresh(client, token) for token in reversed(lines)]

    assert [answer.status_code for answer in answers] == [200, 401]
    assert problem(answers[1]) == (401, "refresh_token_reused")


# Switched off


@pytest.mark.parametrize("seconds", [0, -1, 1, 60])
def test_with_both_at_0_not_even_the_next_instant_is_a_retry(
    app: Flask,
    client: FlaskClient,
    ada: User,
    stopped_clock: Clock,
    set_settings: Callable[..., None],
    seconds: int,
) -> None:
    set_settings(refresh_retry_window=timedelta(0), refresh_late_retry=timedelta(0))
    pair = log_in(client, ada)
    refresh(client, pair["refresh_token"])
    stopped_clock.advance(seconds * SECOND)

    assert is_caught(client, pair["refresh_token"])
    assert live_sessions(app) == 0


def test_without_a_window_a_retry_gets_a_new_successor_each_time(
    client: FlaskClient, ada: User, stopped_clock: Clock, set_settings: Callable[..., None]
) -> None:
    set_settings(refresh_retry_window=timedelta(0))
    pair = log_in(client, ada)

    given = [token_of(refresh(client, pair["refresh_token"])) for _ in range(3)]

    assert len(set(given)) == 3
    assert is_caught(client, given[0])


# At once


@pytest.mark.parametrize("round_", range(3))
def test_twenty_late_retries_at_once_get_one_new_successor(
    app: Flask, client: FlaskClient, ada: User, stopped_clock: Clock, round_: int
) -> None:
    token = log_in(client, ada)["refresh_token"]
    lost = token_of(refresh(client, token))
    stopped_clock.advance(HOUR)

    answers = times(20, lambda client: refresh(client, token), app)

    assert outcomes(answers) == {200: 20}
    (successor,) = {token_of(answer) for answer in answers}
    assert successor != lost
    assert len(recorded(app, Event.REFRESH_RETRIED_LATE)) == 1
    assert refresh(client, successor).status_code == 200


@pytest.mark.parametrize("round_", range(5))
def test_a_late_retry_against_the_unused_successor_leaves_one_line_or_none(
    app: Flask, client: FlaskClient, ada: User, stopped_clock: Clock, round_: int
) -> None:
    old = log_in(client, ada)["refresh_token"]
    unused = token_of(refresh(client, old))
    stopped_clock.advance(HOUR)
    presented = [old, unused] * 4

    answers = times_each(app, presented)

    found = outcomes(answers)
    assert set(found) <= {200, (401, "refresh_token_reused"), (401, "invalid_refresh_token")}
    # Both were presented and they are two lines, so somebody was caught.
    assert found[(401, "refresh_token_reused")] >= 1
    assert live_sessions(app) == 0


def times_each(app: Flask, presented: list[str]) -> list[TestResponse]:
    waiting = iter(presented)
    return times(len(presented), lambda client: refresh(client, next(waiting)), app)


def test_a_late_retry_that_races_with_a_logout_leaves_no_token_good(
    app: Flask, client: FlaskClient, ada: User, stopped_clock: Clock
) -> None:
    pair = log_in(client, ada)
    new = refresh(client, pair["refresh_token"]).json
    stopped_clock.advance(MINUTE)
    calls = iter([True] + [False] * 7)

    def call(client: FlaskClient) -> TestResponse:
        if next(calls):
            return client.post(f"{API}/auth/logout", headers=bearer(new["access_token"]))
        return refresh(client, pair["refresh_token"])

    answers = times(8, call, app)

    assert live_sessions(app) == 0
    for answer in answers:
        if answer.status_code == 200:
            assert problem(me(client, answer.json["access_token"])) == (401, "session_ended")


def test_the_row_of_a_session_says_when_its_token_was_superseded_first(
    app: Flask, client: FlaskClient, ada: User, stopped_clock: Clock
) -> None:
    pair = log_in(client, ada)
    refresh(client, pair["refresh_token"])
    stopped_clock.advance(HOUR)
    late = refresh(client, pair["refresh_token"]).json

    with app.app_context():
        row = db.session.scalars(select(Session)).one()

    assert row.refreshed_at - row.rotated_at == HOUR
    claims = jwt.decode(late["refresh_token"], options={"verify_signature": False})
    assert claims["jti"] == str(row.refresh_jti)
