"""POST /auth/refresh and POST /auth/logout"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, update
from werkzeug.test import TestResponse

from app import clock
from app.administration import accounts
from app.extensions import db
from app.models import Session, User
from tests.cases import each
from tests.factories import API, bearer, claims_of, log_in, me, problem, refresh, refused_fields

DAY = timedelta(days=1)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, traveller: time_machine.Traveller) -> None:
        self.traveller = traveller

    def advance(self, time: timedelta) -> None:
        self.traveller.shift(time)


@pytest.fixture
def stopped_clock() -> Iterator[Clock]:
    with time_machine.travel(clock.now().replace(microsecond=250_000), tick=False) as traveller:
        yield Clock(traveller)


def log_out(client: FlaskClient, pair: dict[str, Any], **request: Any) -> TestResponse:
    """Log out with the access token of the pair."""
    return client.post(f"{API}/auth/logout", headers=bearer(pair["access_token"]), **request)


def log_out_by_refresh_token(client: FlaskClient, token: Any, **request: Any) -> TestResponse:
    return client.post(f"{API}/auth/logout", json={"refresh_token": token}, **request)


def is_over(client: FlaskClient, pair: dict[str, Any]) -> bool:
    """Whether neither token of the pair is good any more, in the contract's words."""
    answers = {
        problem(me(client, pair["access_token"])),
        problem(refresh(client, pair["refresh_token"])),
    }
    return answers == {(401, "session_ended"), (401, "invalid_refresh_token")}


# Refreshing


def test_returns_a_new_pair_that_works(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)

    response = refresh(client, pair["refresh_token"])

    assert response.status_code == 200
    assert response.json["refresh_token"] != pair["refresh_token"]
    assert me(client, response.json["access_token"]).status_code == 200


def test_the_new_pair_has_the_shape_of_the_first(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)

    response = refresh(client, pair["refresh_token"])

    assert response.json.keys() == pair.keys()
    assert (response.json["token_type"], response.json["expires_in"]) == ("bearer", 900)
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_refresh_token_may_come_as_the_bearer_token(
    client: FlaskClient, ada: User, scheme: str
) -> None:
    pair = log_in(client, ada)

    response = client.post(
        f"{API}/auth/refresh", headers={"Authorization": f"{scheme} {pair['refresh_token']}"}
    )

    assert response.status_code == 200


def test_the_session_stays_the_same(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)

    new = refresh(client, pair["refresh_token"]).json

    assert claims_of(new["refresh_token"])["sid"] == claims_of(pair["refresh_token"])["sid"]
    assert claims_of(new["refresh_token"])["jti"] != claims_of(pair["refresh_token"])["jti"]


def test_the_access_token_from_before_stays_good(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)

    refresh(client, pair["refresh_token"])

    assert me(client, pair["access_token"]).status_code == 200


def test_a_refreshed_access_token_is_not_fresh(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)

    new = refresh(client, pair["refresh_token"]).json

    assert claims_of(pair["access_token"])["fresh"] > clock.now().timestamp()
    assert claims_of(new["access_token"])["fresh"] is False


def test_a_session_can_be_refreshed_again_and_again(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)

    for _ in range(5):
        pair = refresh(client, pair["refresh_token"]).json

    assert me(client, pair["access_token"]).status_code == 200


def test_refreshing_leaves_other_sessions_alone(client: FlaskClient, ada: User, bob: User) -> None:
    pair, other_device, bobs = log_in(client, ada), log_in(client, ada), log_in(client, bob)
    newest = refresh(client, refresh(client, pair["refresh_token"]).json["refresh_token"]).json

    replay = refresh(client, pair["refresh_token"])

    assert problem(replay) == (401, "refresh_token_reused")
    assert is_over(client, newest)
    assert refresh(client, other_device["refresh_token"]).status_code == 200
    assert refresh(client, bobs["refresh_token"]).status_code == 200


@each("token", ["", "x", "a.b.c", "a.b", "..", "é.é.é", "x" * 20_000])
def test_garbage_is_no_refresh_token(client: FlaskClient, token: str) -> None:
    response = refresh(client, token)

    assert problem(response) == (401, "invalid_refresh_token")
    assert response.json["detail"] == "Invalid refresh token"
    assert response.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize("request_arguments", [{}, {"json": {}}])
def test_refreshing_with_nothing_is_not_authenticated(
    client: FlaskClient, request_arguments: dict[str, Any]
) -> None:
    response = client.post(f"{API}/auth/refresh", **request_arguments)

    assert problem(response) == (401, "not_authenticated")
    assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("value", [None, True, 1, ["x"], {"x": "y"}])
def test_a_refresh_token_is_a_string(client: FlaskClient, value: object) -> None:
    response = client.post(f"{API}/auth/refresh", json={"refresh_token": value})

    assert refused_fields(response).keys() == {"#/refresh_token"}


def test_refreshing_takes_no_other_field(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)

    response = client.post(
        f"{API}/auth/refresh", json={"refresh_token": pair["refresh_token"], "sid": "x"}
    )

    assert refused_fields(response) == {"#/sid": "unknown_field"}


# The retry window


def test_the_token_just_superseded_gets_the_same_successor(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)
    first = refresh(client, pair["refresh_token"]).json

    again = refresh(client, pair["refresh_token"])

    assert again.status_code == 200
    assert again.json["refresh_token"] == first["refresh_token"]
    assert me(client, again.json["access_token"]).status_code == 200


def test_a_retry_later_in_the_window_gets_the_very_same_successor(
    client: FlaskClient, ada: User, stopped_clock: Clock
) -> None:
    pair = log_in(client, ada)
    stopped_clock.advance(timedelta(hours=1))
    first = refresh(client, pair["refresh_token"]).json

    stopped_clock.advance(timedelta(seconds=9.9))
    again = refresh(client, pair["refresh_token"]).json

    assert again["refresh_token"] == first["refresh_token"]
    assert claims_of(again["access_token"])["jti"] != claims_of(first["access_token"])["jti"]


def test_a_retry_does_not_stretch_the_window(
    client: FlaskClient, ada: User, stopped_clock: Clock
) -> None:
    pair = log_in(client, ada)
    first = refresh(client, pair["refresh_token"]).json
    stopped_clock.advance(timedelta(seconds=9))
    refresh(client, pair["refresh_token"])

    stopped_clock.advance(timedelta(seconds=2))
    response = refresh(client, pair["refresh_token"])

    assert response.json["refresh_token"] != first["refresh_token"]


def test_the_successor_of_a_retry_goes_on(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)
    refresh(client, pair["refresh_token"])
    again = refresh(client, pair["refresh_token"]).json

    response = refresh(client, again["refresh_token"])

    assert response.status_code == 200


@pytest.mark.parametrize("seconds", [10, 11, 3600])
def test_after_the_window_it_ends_the_session_where_there_is_no_late_retry(
    client: FlaskClient,
    ada: User,
    stopped_clock: Clock,
    set_settings: Callable[..., None],
    seconds: int,
) -> None:
    set_settings(refresh_late_retry=timedelta(0))
    pair = log_in(client, ada)
    new = refresh(client, pair["refresh_token"]).json

    stopped_clock.advance(timedelta(seconds=seconds))
    replay = refresh(client, pair["refresh_token"])

    assert problem(replay) == (401, "refresh_token_reused")
    stopped_clock.advance(timedelta(seconds=-seconds))
    assert is_over(client, new)


@pytest.mark.parametrize("seconds", [86400, 86401, 300_000])
def test_beyond_the_time_for_late_retries_it_ends_the_session_for_both_holders(
    client: FlaskClient, ada: User, stopped_clock: Clock, seconds: int
) -> None:
    pair = log_in(client, ada)
    new = refresh(client, pair["refresh_token"]).json

    stopped_clock.advance(timedelta(seconds=seconds))
    replay = refresh(client, pair["refresh_token"])

    assert problem(replay) == (401, "refresh_token_reused")
    assert replay.json["detail"] == "Invalid refresh token"
    assert replay.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    stopped_clock.advance(timedelta(seconds=-seconds))
    assert is_over(client, new)


def test_two_hops_old_ends_the_session_even_inside_the_window(
    client: FlaskClient, ada: User, stopped_clock: Clock
) -> None:
    pair = log_in(client, ada)
    second = refresh(client, pair["refresh_token"]).json
    third = refresh(client, second["refresh_token"]).json

    replay = refresh(client, pair["refresh_token"])

    assert problem(replay) == (401, "refresh_token_reused")
    assert is_over(client, third)
    assert problem(refresh(client, second["refresh_token"])) == (401, "invalid_refresh_token")


def test_a_token_is_reused_once_and_then_merely_invalid(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)
    refresh(client, refresh(client, pair["refresh_token"]).json["refresh_token"])
    refresh(client, pair["refresh_token"])

    response = refresh(client, pair["refresh_token"])

    assert problem(response) == (401, "invalid_refresh_token")


def test_without_a_window_not_even_the_next_instant_is_a_retry(
    client: FlaskClient, ada: User, stopped_clock: Clock, set_settings: Callable[..., None]
) -> None:
    set_settings(refresh_retry_window=timedelta(0), refresh_late_retry=timedelta(0))
    pair = log_in(client, ada)
    new = refresh(client, pair["refresh_token"]).json

    replay = refresh(client, pair["refresh_token"])

    assert problem(replay) == (401, "refresh_token_reused")
    assert is_over(client, new)


def test_without_a_window_a_clock_that_lags_makes_no_retry(
    client: FlaskClient, ada: User, stopped_clock: Clock, set_settings: Callable[..., None]
) -> None:
    set_settings(refresh_retry_window=timedelta(0), refresh_late_retry=timedelta(0))
    pair = log_in(client, ada)
    refresh(client, pair["refresh_token"])

    stopped_clock.advance(timedelta(seconds=-1))
    replay = refresh(client, pair["refresh_token"])

    assert problem(replay) == (401, "refresh_token_reused")


# How long a session lasts


def test_an_access_token_lasts_fifteen_minutes_to_the_second(
    client: FlaskClient, ada: User, stopped_clock: Clock
) -> None:
    pair = log_in(client, ada)

    stopped_clock.advance(timedelta(minutes=15, seconds=-1))
    before = me(client, pair["access_token"])
    stopped_clock.advance(timedelta(seconds=1))
    after = me(client, pair["access_token"])

    assert before.status_code == 200
    assert problem(after) == (401, "token_expired")
    assert after.json["detail"] == "Could not validate credentials"
    assert after.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_an_unused_session_ends_after_fourteen_days(
    client: FlaskClient, ada: User, stopped_clock: Clock
) -> None:
    pair = log_in(client, ada)

    stopped_clock.advance(14 * DAY)
    response = refresh(client, pair["refresh_token"])

    assert problem(response) == (401, "invalid_refresh_token")


def test_refreshing_puts_off_the_end(client: FlaskClient, ada: User, stopped_clock: Clock) -> None:
    pair = log_in(client, ada)

    for _ in range(2):
        stopped_clock.advance(14 * DAY - timedelta(seconds=2))
        pair = refresh(client, pair["refresh_token"]).json

    assert me(client, pair["access_token"]).status_code == 200


def test_a_retry_does_not_put_off_the_end(
    client: FlaskClient, ada: User, stopped_clock: Clock
) -> None:
    pair = log_in(client, ada)
    new = refresh(client, pair["refresh_token"]).json
    stopped_clock.advance(timedelta(seconds=5))
    refresh(client, pair["refresh_token"])

    stopped_clock.advance(14 * DAY - timedelta(seconds=5))
    response = refresh(client, new["refresh_token"])

    assert problem(response) == (401, "invalid_refresh_token")


def test_no_session_lasts_longer_than_thirty_days(
    client: FlaskClient, ada: User, stopped_clock: Clock
) -> None:
    pair = log_in(client, ada)
    for _ in range(29):
        stopped_clock.advance(DAY)
        pair = refresh(client, pair["refresh_token"]).json

    stopped_clock.advance(DAY)
    response = refresh(client, pair["refresh_token"])

    assert problem(response) == (401, "invalid_refresh_token")


def test_no_token_outlives_its_session(
    client: FlaskClient, ada: User, stopped_clock: Clock
) -> None:
    pair = log_in(client, ada)
    end = claims_of(pair["refresh_token"])["iat"] + 30 * 86400
    for step in (13 * DAY, 13 * DAY, 4 * DAY - timedelta(seconds=60)):
        stopped_clock.advance(step)
        pair = refresh(client, pair["refresh_token"]).json

    assert pair["expires_in"] <= 60
    assert claims_of(pair["access_token"])["exp"] <= end
    assert claims_of(pair["refresh_token"])["exp"] <= end


def test_lifetimes_are_settings(
    client: FlaskClient, ada: User, stopped_clock: Clock, set_settings: Callable[..., None]
) -> None:
    set_settings(
        access_token_lifetime=timedelta(minutes=1),
        refresh_token_lifetime=timedelta(hours=1),
        session_max_age=timedelta(hours=2),
    )
    pair = log_in(client, ada)

    claims = {name: claims_of(pair[name]) for name in ("access_token", "refresh_token")}

    assert pair["expires_in"] == 60
    assert claims["access_token"]["exp"] - claims["access_token"]["iat"] == 60
    assert claims["refresh_token"]["exp"] - claims["refresh_token"]["iat"] == 3600


def test_a_new_limit_shortens_no_session_that_is_under_way(
    client: FlaskClient, ada: User, stopped_clock: Clock, set_settings: Callable[..., None]
) -> None:
    pair = log_in(client, ada)
    set_settings(session_max_age=timedelta(days=60))

    for _ in range(3):
        stopped_clock.advance(9.9 * DAY)
        pair = refresh(client, pair["refresh_token"]).json
    stopped_clock.advance(DAY)

    assert problem(refresh(client, pair["refresh_token"])) == (401, "invalid_refresh_token")


# Whose session it is


def test_deactivation_ends_every_session_at_once(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    pairs = [log_in(client, ada), log_in(client, ada)]

    with app.app_context():
        accounts.set_active("ada@example.com", False)

    assert all(is_over(client, pair) for pair in pairs)


def test_activating_again_revives_no_session(app: Flask, client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)

    with app.app_context():
        accounts.set_active("ada@example.com", False)
        accounts.set_active("ada@example.com", True)

    assert is_over(client, pair)
    assert log_in(client, ada)


def test_a_deactivated_user_cannot_refresh_whoever_deactivated_them(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    pair = log_in(client, ada)

    with app.app_context():
        db.session.execute(update(User).values(is_active=False))
        db.session.commit()

    assert is_over(client, pair)


def test_a_deleted_user_has_no_session(app: Flask, client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)

    with app.app_context():
        db.session.execute(delete(User).where(User.id == ada.id))
        db.session.commit()

    assert is_over(client, pair)


def test_the_next_user_does_not_inherit_the_sessions_of_a_deleted_one(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    pair = log_in(client, ada)
    with app.app_context():
        db.session.execute(delete(User).where(User.id == ada.id))
        db.session.commit()

    account = {"email": "bob@example.com", "username": "bob", "password": "long enough"}
    bob = client.post(f"{API}/auth/register", json=account).json

    assert bob["id"] != ada.id
    assert is_over(client, pair)


def test_no_usable_token_is_stored(app: Flask, client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)

    with app.app_context():
        row = db.session.get_one(Session, UUID(claims_of(pair["access_token"])["sid"]))
        stored = [str(getattr(row, column.key)) for column in Session.__table__.columns]

    assert not any(pair["refresh_token"].rpartition(".")[2] in value for value in stored)


# Logging out


def test_logging_out_ends_the_session_at_once(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)

    response = log_out(client, pair)

    assert (response.status_code, response.data) == (204, b"")
    assert is_over(client, pair)


def test_logging_out_ends_every_token_of_the_session(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)
    new = refresh(client, pair["refresh_token"]).json

    log_out(client, pair)

    assert is_over(client, pair)
    assert is_over(client, new)


def test_logging_out_leaves_other_sessions_alone(client: FlaskClient, ada: User, bob: User) -> None:
    pair, other_device, bobs = log_in(client, ada), log_in(client, ada), log_in(client, bob)

    log_out(client, pair)

    assert me(client, other_device["access_token"]).status_code == 200
    assert refresh(client, other_device["refresh_token"]).status_code == 200
    assert me(client, bobs["access_token"]).status_code == 200


def test_logging_out_twice_finds_the_session_ended(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)
    log_out(client, pair)

    response = log_out(client, pair)

    assert problem(response) == (401, "session_ended")


@pytest.mark.parametrize(
    "body",
    [
        {"data": "{", "content_type": "application/json"},
        {"data": "hello", "content_type": "text/plain"},
        {"json": {"anything": 1}},
        {"json": {"refresh_token": "garbage"}},
        {"data": b"\xff" * 1000, "content_type": "application/octet-stream"},
    ],
)
def test_with_an_access_token_the_body_is_ignored(
    client: FlaskClient, ada: User, body: dict[str, Any]
) -> None:
    pair = log_in(client, ada)

    response = log_out(client, pair, **body)

    assert response.status_code == 204
    assert is_over(client, pair)


def test_nobody_ends_the_session_of_another_beside_their_own(
    client: FlaskClient, ada: User, bob: User
) -> None:
    adas, bobs = log_in(client, ada), log_in(client, bob)

    log_out(client, adas, json={"refresh_token": bobs["refresh_token"]})

    assert is_over(client, adas)
    assert refresh(client, bobs["refresh_token"]).status_code == 200


def test_the_refresh_token_alone_logs_out(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)

    response = log_out_by_refresh_token(client, pair["refresh_token"])

    assert (response.status_code, response.data) == (204, b"")
    assert is_over(client, pair)


def test_a_superseded_refresh_token_logs_out(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)
    second = refresh(client, pair["refresh_token"]).json
    third = refresh(client, second["refresh_token"]).json

    response = log_out_by_refresh_token(client, pair["refresh_token"])

    assert response.status_code == 204
    assert is_over(client, third)


def test_an_expired_refresh_token_logs_out(
    client: FlaskClient, ada: User, stopped_clock: Clock
) -> None:
    pair = log_in(client, ada)
    stopped_clock.advance(13 * DAY)
    new = refresh(client, pair["refresh_token"]).json
    stopped_clock.advance(2 * DAY)

    response = log_out_by_refresh_token(client, pair["refresh_token"])

    assert response.status_code == 204
    assert problem(refresh(client, new["refresh_token"])) == (401, "invalid_refresh_token")


def test_the_refresh_token_of_a_session_that_is_over_logs_out_too(
    client: FlaskClient, ada: User
) -> None:
    pair = log_in(client, ada)
    log_out_by_refresh_token(client, pair["refresh_token"])

    response = log_out_by_refresh_token(client, pair["refresh_token"])

    assert response.status_code == 204


def test_the_refresh_token_of_a_deleted_user_logs_out_too(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    pair = log_in(client, ada)
    with app.app_context():
        db.session.execute(delete(User).where(User.id == ada.id))
        db.session.commit()

    response = log_out_by_refresh_token(client, pair["refresh_token"])

    assert response.status_code == 204


def test_an_expired_access_token_does_not_keep_the_refresh_token_from_logging_out(
    client: FlaskClient, ada: User, stopped_clock: Clock
) -> None:
    pair = log_in(client, ada)
    stopped_clock.advance(timedelta(hours=1))

    response = log_out(client, pair, json={"refresh_token": pair["refresh_token"]})

    assert response.status_code == 204
    assert problem(refresh(client, pair["refresh_token"])) == (401, "invalid_refresh_token")


def test_an_expired_access_token_alone_does_not_log_out(
    client: FlaskClient, ada: User, stopped_clock: Clock
) -> None:
    pair = log_in(client, ada)
    stopped_clock.advance(timedelta(hours=1))

    response = log_out(client, pair)

    assert problem(response) == (401, "token_expired")
    assert refresh(client, pair["refresh_token"]).status_code == 200


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "é.é.é"])
def test_garbage_does_not_log_out(client: FlaskClient, token: str) -> None:
    response = log_out_by_refresh_token(client, token)

    assert problem(response) == (401, "invalid_refresh_token")


def test_an_access_token_in_place_of_the_refresh_token_does_not_log_out(
    client: FlaskClient, ada: User
) -> None:
    pair = log_in(client, ada)

    response = log_out_by_refresh_token(client, pair["access_token"])

    assert problem(response) == (401, "invalid_refresh_token")
    assert me(client, pair["access_token"]).status_code == 200


def test_a_refresh_token_in_place_of_the_access_token_does_not_log_out(
    client: FlaskClient, ada: User
) -> None:
    pair = log_in(client, ada)

    response = client.post(f"{API}/auth/logout", headers=bearer(pair["refresh_token"]))

    assert problem(response) == (401, "invalid_token")
    assert me(client, pair["access_token"]).status_code == 200


@pytest.mark.parametrize("request_arguments", [{}, {"json": {}}])
def test_logging_out_with_nothing_is_not_authenticated(
    client: FlaskClient, request_arguments: dict[str, Any]
) -> None:
    response = client.post(f"{API}/auth/logout", **request_arguments)

    assert problem(response) == (401, "not_authenticated")


def test_the_scope_may_be_said(client: FlaskClient, ada: User) -> None:
    by_access_token, by_refresh_token = log_in(client, ada), log_in(client, ada)

    first = log_out(client, by_access_token, query_string={"scope": "local"})
    second = log_out_by_refresh_token(
        client, by_refresh_token["refresh_token"], query_string={"scope": "local"}
    )

    assert (first.status_code, second.status_code) == (204, 204)


@pytest.mark.parametrize("scope", ["", "everything", "LOCAL"])
def test_no_other_scope_is_known(client: FlaskClient, ada: User, scope: str) -> None:
    pair = log_in(client, ada)

    response = log_out(client, pair, query_string={"scope": scope})

    assert refused_fields(response) == {"scope": "invalid_choice"}
    assert me(client, pair["access_token"]).status_code == 200


@pytest.mark.parametrize("scope", ["others", "global"])
def test_a_refresh_token_ends_no_session_but_its_own(
    client: FlaskClient, ada: User, scope: str
) -> None:
    pair = log_in(client, ada)

    response = log_out_by_refresh_token(
        client, pair["refresh_token"], query_string={"scope": scope}
    )

    assert refused_fields(response).keys() == {"scope"}
    assert refresh(client, pair["refresh_token"]).status_code == 200


def test_the_scope_is_given_once(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)

    response = log_out(client, pair, query_string="scope=local&scope=local")

    assert refused_fields(response) == {"scope": "repeated"}


@pytest.mark.parametrize("query", ["scope=everything", "unknown=1", "scope=local&scope=local"])
def test_who_asks_comes_before_what_is_asked(client: FlaskClient, query: str) -> None:
    response = client.post(f"{API}/auth/logout", query_string=query)

    assert problem(response) == (401, "not_authenticated")


def test_a_token_in_the_query_does_not_log_out(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)

    response = client.post(
        f"{API}/auth/logout", query_string={"refresh_token": pair["refresh_token"]}
    )

    assert problem(response) == (401, "not_authenticated")
    assert refresh(client, pair["refresh_token"]).status_code == 200


@pytest.mark.parametrize("call", ["logout", "refresh"])
def test_nothing_is_ended_or_renewed_by_get(client: FlaskClient, ada: User, call: str) -> None:
    pair = log_in(client, ada)

    response = client.get(f"{API}/auth/{call}", headers=bearer(pair["access_token"]))

    assert problem(response) == (405, "method_not_allowed")
    assert me(client, pair["access_token"]).status_code == 200
