"""GET and DELETE /auth/sessions, the scopes of POST /auth/logout, and revocation at once."""

import uuid
from collections.abc import Callable
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
from app.administration import accounts
from app.extensions import db
from app.models import User
from tests.cases import each
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

SESSION_KEYS = {
    "id",
    "ip",
    "user_agent",
    "device",
    "created_at",
    "last_seen_at",
    "expires_at",
    "is_current",
    "aal",
    "amr",
    "signed_in_by",
    "kind",
    "fresh_until",
}


def listed(client: FlaskClient, access_token: str) -> list[dict[str, Any]]:
    response = client.get(f"{API}/auth/sessions", headers=bearer(access_token))
    assert response.status_code == 200, response.text
    items: list[dict[str, Any]] = response.json["items"]
    return items


def end(client: FlaskClient, access_token: str, session_id: str) -> TestResponse:
    return client.delete(f"{API}/auth/sessions/{session_id}", headers=bearer(access_token))


def log_out(
    client: FlaskClient,
    access_token: str | None = None,
    *,
    refresh_token: str | None = None,
    query: str = "",
) -> TestResponse:
    return client.post(
        f"{API}/auth/logout{query}",
        headers=bearer(access_token) if access_token else {},
        json={"refresh_token": refresh_token} if refresh_token else None,
    )


def session_of(pair: dict[str, Any]) -> str:
    claims = jwt.decode(pair["refresh_token"], options={"verify_signature": False})
    return str(claims["sid"])


def is_over(client: FlaskClient, pair: dict[str, Any]) -> bool:
    """Whether both tokens are dead, by the codes of an ended session; else both must live."""
    answers = me(client, pair["access_token"]), refresh(client, pair["refresh_token"])
    if [answer.status_code for answer in answers] == [200, 200]:
        return False
    assert problem(answers[0]) == (401, "session_ended")
    assert problem(answers[1]) == (401, "invalid_refresh_token")
    return True


# The list


def test_a_session_is_described_by_the_contracts_keys_alone(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)

    response = client.get(f"{API}/auth/sessions", headers=bearer(pair["access_token"]))

    assert response.json.keys() == {"items"}
    (session,) = response.json["items"]
    assert session.keys() == SESSION_KEYS
    assert session["id"] == session_of(pair)


def test_a_session_tells_the_address_and_user_agent_of_its_login(
    client: FlaskClient, ada: User
) -> None:
    pair = client.post(
        f"{API}/auth/login",
        json={"username": "ada", "password": PASSWORD},
        headers={"User-Agent": "Lynx/2.9", "X-Forwarded-For": "203.0.113.9"},
        environ_base={"REMOTE_ADDR": "198.51.100.7"},
    ).json

    (session,) = listed(client, pair["access_token"])

    assert session["ip"] == "198.51.100.7"
    assert session["user_agent"] == "Lynx/2.9"


def test_a_client_without_user_agent_is_listed_with_null(client: FlaskClient, ada: User) -> None:
    pair = client.post(
        f"{API}/auth/login",
        json={"username": "ada", "password": PASSWORD},
        headers={"User-Agent": ""},
    ).json

    (session,) = listed(client, pair["access_token"])

    assert session["user_agent"] is None


def test_a_user_agent_is_kept_without_control_characters_and_300_long(
    client: FlaskClient, ada: User
) -> None:
    pair = client.post(
        f"{API}/auth/login",
        json={"username": "ada", "password": PASSWORD},
        headers={"User-Agent": "a\x1b[31mb\x7f" + "c" * 400},
    ).json

    (session,) = listed(client, pair["access_token"])

    assert session["user_agent"] == ("a[31mb" + "c" * 400)[:300]


def test_only_the_session_that_asks_is_current(client: FlaskClient, ada: User) -> None:
    phone = log_in(client, ada)
    laptop = log_in(client, ada)

    current = {s["id"]: s["is_current"] for s in listed(client, laptop["access_token"])}

    assert current == {session_of(phone): False, session_of(laptop): True}


def test_times_are_instants_in_utc_and_follow_the_settings(client: FlaskClient, ada: User) -> None:
    with time_machine.travel("2026-11-22T08:00:00Z", tick=False):
        pair = log_in(client, ada)

        (session,) = listed(client, pair["access_token"])

    assert session["created_at"] == session["last_seen_at"] == "2026-11-22T08:00:00Z"
    assert session["expires_at"] == "2026-12-06T08:00:00Z"


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        ("2026-11-22T08:00:00Z", "08:00:00Z"),
        ("2026-11-22T08:00:01Z", "08:00:00Z"),
        ("2026-11-22T08:04:59Z", "08:00:00Z"),
        ("2026-11-22T08:05:00Z", "08:05:00Z"),
        ("2026-11-22T08:59:59Z", "08:55:00Z"),
    ],
)
def test_when_a_device_was_seen_is_told_to_five_minutes(
    client: FlaskClient, ada: User, seen: str, told: str
) -> None:
    """Whoever holds a copy of a token must not see the second in which its owner comes back."""
    with time_machine.travel("2026-11-22T07:00:00Z", tick=False) as travelled:
        pair = log_in(client, ada)
        travelled.move_to(seen)
        pair = refresh(client, pair["refresh_token"]).json

        (session,) = listed(client, pair["access_token"])

    assert session["last_seen_at"] == f"2026-11-22T{told}"
    # The one is fourteen days after the other, so it would tell as much.
    assert session["expires_at"] == f"2026-12-06T{told}"


@pytest.mark.parametrize("is_refreshed", [False, True])
def test_the_order_of_the_devices_tells_no_more_of_it(
    client: FlaskClient, ada: User, is_refreshed: bool
) -> None:
    with time_machine.travel("2026-11-22T08:00:01Z", tick=False) as travelled:
        phone = log_in(client, ada)
        travelled.shift(1)
        laptop = log_in(client, ada)
        travelled.shift(60)
        if is_refreshed:
            phone = refresh(client, phone["refresh_token"]).json

        found = [one["id"] for one in listed(client, phone["access_token"])]

    assert found == [session_of(laptop), session_of(phone)]


def test_the_export_tells_no_more_of_it(client: FlaskClient, ada: User) -> None:
    with time_machine.travel("2026-11-22T08:04:59Z", tick=False):
        pair = log_in(client, ada)

        export = client.get(f"{API}/users/me/export", headers=bearer(pair["access_token"])).json

    (session,) = export["sessions"]
    assert session["last_seen_at"] == "2026-11-22T08:00:00Z"
    assert session["expires_at"] == "2026-12-06T08:00:00Z"


def test_administrators_see_it_to_the_second(client: FlaskClient, ada: User, grace: User) -> None:
    with time_machine.travel("2026-11-22T08:04:59Z", tick=False):
        log_in(client, ada)
        graces = log_in(client, grace)

        (session,) = client.get(
            f"{API}/users/{ada.id}/sessions", headers=bearer(graces["access_token"])
        ).json["items"]

    assert session.keys() == SESSION_KEYS
    assert session["last_seen_at"] == "2026-11-22T08:04:59Z"
    assert session["expires_at"] == "2026-12-06T08:04:59Z"


def test_a_refresh_moves_last_seen_and_expiry_and_is_not_fresh(
    client: FlaskClient, ada: User
) -> None:
    with time_machine.travel("2026-11-22T08:00:00Z", tick=False) as travelled:
        pair = log_in(client, ada)
        (before,) = listed(client, pair["access_token"])
        travelled.move_to("2026-11-23T08:00:00Z")

        new = refresh(client, pair["refresh_token"]).json

        (after,) = listed(client, new["access_token"])
    moved = {"last_seen_at": "2026-11-23T08:00:00Z", "expires_at": "2026-12-07T08:00:00Z"}
    assert before["fresh_until"] == "2026-11-22T08:10:00Z"
    assert after == before | moved | {"fresh_until": None}


def test_a_session_never_outlives_its_greatest_age(client: FlaskClient, ada: User) -> None:
    with time_machine.travel("2026-11-01T08:00:00Z", tick=False) as travelled:
        pair = log_in(client, ada)
        for day in ("2026-11-14", "2026-11-27"):
            travelled.move_to(f"{day}T08:00:00Z")
            pair = refresh(client, pair["refresh_token"]).json

        (session,) = listed(client, pair["access_token"])

    assert session["expires_at"] == "2026-12-01T08:00:00Z"


def test_only_ones_own_sessions_are_listed(client: FlaskClient, ada: User, bob: User) -> None:
    log_in(client, bob)
    pair = log_in(client, ada)

    (session,) = listed(client, pair["access_token"])

    assert session["id"] == session_of(pair)


def test_a_superuser_too_sees_only_their_own(client: FlaskClient, ada: User, grace: User) -> None:
    log_in(client, ada)
    pair = log_in(client, grace)

    (session,) = listed(client, pair["access_token"])

    assert session["id"] == session_of(pair)


def test_ended_sessions_are_not_listed(client: FlaskClient, ada: User) -> None:
    log_out(client, log_in(client, ada)["access_token"])
    pair = log_in(client, ada)

    (session,) = listed(client, pair["access_token"])

    assert session["id"] == session_of(pair)


def test_expired_sessions_are_not_listed(client: FlaskClient, ada: User) -> None:
    with time_machine.travel(clock.now() - timedelta(days=14)):
        log_in(client, ada)
    pair = log_in(client, ada)

    (session,) = listed(client, pair["access_token"])

    assert session["id"] == session_of(pair)


def test_the_session_seen_last_comes_first(client: FlaskClient, ada: User) -> None:
    with time_machine.travel("2026-11-22T08:00:00Z", tick=False) as travelled:
        phone = log_in(client, ada)
        travelled.shift(timedelta(minutes=5))
        laptop = log_in(client, ada)
        travelled.shift(timedelta(minutes=5))
        phone = refresh(client, phone["refresh_token"]).json

        sessions = listed(client, laptop["access_token"])

    assert [s["id"] for s in sessions] == [session_of(phone), session_of(laptop)]


def test_the_list_wants_a_token(client: FlaskClient) -> None:
    response = client.get(f"{API}/auth/sessions")

    assert problem(response) == (401, "not_authenticated")


def test_the_list_is_not_cached(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)

    response = client.get(f"{API}/auth/sessions", headers=bearer(pair["access_token"]))

    assert response.headers["Cache-Control"] == "no-store"


# Ending one


def test_a_deleted_session_is_dead_on_the_next_request(client: FlaskClient, ada: User) -> None:
    phone, laptop = log_in(client, ada), log_in(client, ada)

    response = end(client, laptop["access_token"], session_of(phone))

    assert (response.status_code, response.data) == (204, b"")
    assert is_over(client, phone)
    assert not is_over(client, laptop)


def test_one_may_delete_the_session_that_asks(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)

    response = end(client, pair["access_token"], session_of(pair))

    assert response.status_code == 204
    assert is_over(client, pair)


def test_anothers_session_is_not_found_and_lives_on(
    client: FlaskClient, ada: User, bob: User
) -> None:
    adas, bobs = log_in(client, ada), log_in(client, bob)

    response = end(client, bobs["access_token"], session_of(adas))

    assert problem(response) == (404, "not_found")
    assert not is_over(client, adas)


def test_a_superuser_ends_nobody_elses_session_here(
    client: FlaskClient, ada: User, grace: User
) -> None:
    adas, graces = log_in(client, ada), log_in(client, grace)

    response = end(client, graces["access_token"], session_of(adas))

    assert problem(response) == (404, "not_found")
    assert not is_over(client, adas)


def test_an_ended_session_is_not_found(client: FlaskClient, ada: User) -> None:
    phone, laptop = log_in(client, ada), log_in(client, ada)
    end(client, laptop["access_token"], session_of(phone))

    response = end(client, laptop["access_token"], session_of(phone))

    assert problem(response) == (404, "not_found")


def test_an_expired_session_is_not_found(client: FlaskClient, ada: User) -> None:
    with time_machine.travel(clock.now() - timedelta(days=15)):
        phone = log_in(client, ada)
    laptop = log_in(client, ada)

    response = end(client, laptop["access_token"], session_of(phone))

    assert problem(response) == (404, "not_found")


def test_an_id_that_nobody_has_is_not_found(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)

    response = end(client, pair["access_token"], str(uuid.uuid4()))

    assert problem(response) == (404, "not_found")


@each(
    "session_id", ["1", "me", "0" * 32, "'; DROP TABLE sessions; --", "%00", "%2e%2e", "x" * 5000]
)
def test_what_is_no_uuid_is_not_found(client: FlaskClient, ada: User, session_id: str) -> None:
    pair = log_in(client, ada)

    response = end(client, pair["access_token"], session_id)

    assert problem(response) == (404, "not_found")
    assert not is_over(client, pair)


def test_ending_a_session_wants_a_token(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)

    response = client.delete(f"{API}/auth/sessions/{session_of(pair)}")

    assert problem(response) == (401, "not_authenticated")
    assert not is_over(client, pair)


def test_a_refresh_token_neither_lists_nor_ends_sessions(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)

    answers = (
        client.get(f"{API}/auth/sessions", headers=bearer(pair["refresh_token"])),
        end(client, pair["refresh_token"], session_of(pair)),
    )

    assert [problem(answer) for answer in answers] == [(401, "invalid_token")] * 2


# The scopes of logout


@pytest.mark.parametrize(
    ("query", "over"),
    [
        ("", (True, False)),
        ("?scope=local", (True, False)),
        ("?scope=others", (False, True)),
        ("?scope=global", (True, True)),
    ],
)
def test_logout_ends_what_its_scope_says_and_nobody_elses(
    client: FlaskClient, ada: User, bob: User, query: str, over: tuple[bool, bool]
) -> None:
    asking, other, bobs = log_in(client, ada), log_in(client, ada), log_in(client, bob)

    response = log_out(client, asking["access_token"], query=query)

    assert response.status_code == 204
    assert (is_over(client, asking), is_over(client, other)) == over
    assert not is_over(client, bobs)


@pytest.mark.parametrize("query", ["?scope=others", "?scope=global"])
def test_a_refresh_token_logs_out_its_own_session_alone(
    client: FlaskClient, ada: User, query: str
) -> None:
    phone, laptop = log_in(client, ada), log_in(client, ada)

    response = log_out(client, refresh_token=phone["refresh_token"], query=query)

    assert refused_fields(response).keys() == {"scope"}
    assert not is_over(client, phone)
    assert not is_over(client, laptop)


def test_a_refused_scope_is_named_as_a_parameter(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)

    response = log_out(client, refresh_token=pair["refresh_token"], query="?scope=global")

    (error,) = response.json["errors"]
    assert error["parameter"] == "scope"
    assert "pointer" not in error


@pytest.mark.parametrize("query", ["?scope=all", "?scope=", "?scope=LOCAL", "?scope=local%00"])
def test_an_unknown_scope_is_refused_and_ends_nothing(
    client: FlaskClient, ada: User, query: str
) -> None:
    pair = log_in(client, ada)

    response = log_out(client, pair["access_token"], query=query)

    assert refused_fields(response).keys() == {"scope"}
    assert not is_over(client, pair)


def test_a_scope_given_twice_is_refused(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)

    response = log_out(client, pair["access_token"], query="?scope=local&scope=global")

    assert refused_fields(response).keys() == {"scope"}
    assert not is_over(client, pair)


def test_an_unknown_parameter_is_refused(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)

    response = log_out(client, pair["access_token"], query="?everywhere=true")

    assert refused_fields(response).keys() == {"everywhere"}
    assert not is_over(client, pair)


def test_who_asks_comes_before_the_scope(client: FlaskClient) -> None:
    answers = (
        log_out(client, query="?scope=all"),
        log_out(client, "garbage", query="?scope=all"),
        log_out(client, refresh_token="garbage", query="?scope=all"),
        log_out(client, refresh_token="garbage", query="?scope=global"),
    )

    assert [problem(answer) for answer in answers] == [
        (401, "not_authenticated"),
        (401, "invalid_token"),
        (401, "invalid_refresh_token"),
        (401, "invalid_refresh_token"),
    ]


def test_nothing_at_all_logs_nobody_out(client: FlaskClient) -> None:
    answers = log_out(client), client.post(f"{API}/auth/logout", json={})

    assert [problem(answer) for answer in answers] == [(401, "not_authenticated")] * 2


# Logout with a refresh token


def test_someone_elses_refresh_token_beside_ones_own_access_token_does_nothing(
    client: FlaskClient, ada: User, bob: User
) -> None:
    adas, bobs = log_in(client, ada), log_in(client, bob)

    response = log_out(client, bobs["access_token"], refresh_token=adas["refresh_token"])

    assert response.status_code == 204
    assert is_over(client, bobs)
    assert not is_over(client, adas)


def test_beside_a_good_access_token_the_body_is_not_even_read(
    client: FlaskClient, ada: User
) -> None:
    pair = log_in(client, ada)

    response = client.post(
        f"{API}/auth/logout",
        headers=bearer(pair["access_token"]) | {"Content-Type": "application/json"},
        data=b"{no json",
    )

    assert response.status_code == 204
    assert is_over(client, pair)


def test_beside_an_expired_access_token_the_refresh_token_logs_out(
    client: FlaskClient, ada: User
) -> None:
    pair = log_in(client, ada)

    with time_machine.travel(clock.now() + timedelta(minutes=16)):
        response = log_out(client, pair["access_token"], refresh_token=pair["refresh_token"])

    assert response.status_code == 204
    assert is_over(client, pair)


def test_an_expired_access_token_alone_is_told_so(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)

    with time_machine.travel(clock.now() + timedelta(minutes=16)):
        response = log_out(client, pair["access_token"])

    assert problem(response) == (401, "token_expired")
    assert not is_over(client, pair)


def test_a_superseded_refresh_token_still_logs_out(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)
    new = refresh(client, pair["refresh_token"]).json

    response = log_out(client, refresh_token=pair["refresh_token"])

    assert response.status_code == 204
    assert is_over(client, new)


def test_an_expired_refresh_token_still_logs_out(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)
    with time_machine.travel(clock.now() + timedelta(days=13)):
        new = refresh(client, pair["refresh_token"]).json

    with time_machine.travel(clock.now() + timedelta(days=14, minutes=1)):
        response = log_out(client, refresh_token=pair["refresh_token"])

        assert response.status_code == 204
        assert problem(refresh(client, new["refresh_token"])) == (401, "invalid_refresh_token")


def test_logging_out_of_a_session_that_is_over_is_no_error(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)
    log_out(client, pair["access_token"])

    response = log_out(client, refresh_token=pair["refresh_token"])

    assert response.status_code == 204


def test_an_access_token_in_the_body_is_no_refresh_token(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)

    response = log_out(client, refresh_token=pair["access_token"])

    assert problem(response) == (401, "invalid_refresh_token")
    assert not is_over(client, pair)


# The cap


def test_a_login_beyond_the_cap_ends_the_session_idle_longest(
    client: FlaskClient, ada: User, set_settings: Callable[..., None]
) -> None:
    set_settings(max_sessions_per_user=2)
    with time_machine.travel("2026-11-22T08:00:00Z", tick=False) as travelled:
        phone = log_in(client, ada)
        travelled.shift(timedelta(seconds=60))
        laptop = log_in(client, ada)
        travelled.shift(timedelta(seconds=60))
        phone = refresh(client, phone["refresh_token"]).json
        travelled.shift(timedelta(seconds=60))

        tablet = log_in(client, ada)

        assert is_over(client, laptop)
        assert not is_over(client, phone)
        assert not is_over(client, tablet)


def test_with_a_cap_of_one_the_newest_login_remains(
    client: FlaskClient, ada: User, set_settings: Callable[..., None]
) -> None:
    set_settings(max_sessions_per_user=1)
    phone = log_in(client, ada)

    laptop = log_in(client, ada)

    assert is_over(client, phone)
    assert not is_over(client, laptop)


def test_ended_and_expired_sessions_do_not_count_towards_the_cap(
    client: FlaskClient, ada: User, set_settings: Callable[..., None]
) -> None:
    set_settings(max_sessions_per_user=2)
    with time_machine.travel(clock.now() - timedelta(days=20)):
        log_in(client, ada)
    phone = log_in(client, ada)
    log_out(client, log_in(client, ada)["access_token"])

    laptop = log_in(client, ada)

    assert not is_over(client, phone)
    assert not is_over(client, laptop)


def test_the_cap_counts_each_users_sessions_alone(
    client: FlaskClient, ada: User, bob: User, set_settings: Callable[..., None]
) -> None:
    set_settings(max_sessions_per_user=1)
    adas = log_in(client, ada)

    log_in(client, bob)

    assert not is_over(client, adas)


def test_a_failed_login_ends_nothing(
    client: FlaskClient, ada: User, set_settings: Callable[..., None]
) -> None:
    set_settings(max_sessions_per_user=1)
    pair = log_in(client, ada)

    client.post(f"{API}/auth/login", json={"username": "ada", "password": "wrong"})

    assert not is_over(client, pair)


# Revocation at once, at one statement a request


def test_a_demotion_counts_from_the_next_request_on(
    app: Flask, client: FlaskClient, ada: User, grace: User, statements: list[str]
) -> None:
    make_user(app, username="alan", email="alan@example.com", superuser=True)
    token = log_in(client, grace)["access_token"]
    assert client.get(f"{API}/users/{ada.id}", headers=bearer(token)).status_code == 200
    with app.app_context():
        accounts.set_superuser(grace.email, False)
    statements.clear()

    response = client.get(f"{API}/users/{ada.id}", headers=bearer(token))

    assert problem(response) == (403, "not_enough_permissions")
    # For the session and its user; for what a role permits; and what it would with a second factor.
    assert len(statements) == 3
    assert me(client, token).status_code == 200


def test_a_promotion_counts_from_the_next_request_on(
    app: Flask, client: FlaskClient, ada: User, bob: User
) -> None:
    token = log_in(client, ada)["access_token"]
    with app.app_context():
        accounts.set_superuser(ada.email, True)

    response = client.get(f"{API}/users/{bob.id}", headers=bearer(token))

    assert response.status_code == 200


def test_a_deactivation_counts_from_the_next_request_on(
    app: Flask, client: FlaskClient, ada: User, statements: list[str]
) -> None:
    pair = log_in(client, ada)
    with app.app_context():
        accounts.set_active(ada.email, False)
    statements.clear()

    response = me(client, pair["access_token"])

    assert problem(response) == (401, "session_ended")
    assert len(statements) == 1
    assert problem(refresh(client, pair["refresh_token"])) == (401, "invalid_refresh_token")


def test_activating_again_revives_no_token(app: Flask, client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)
    with app.app_context():
        accounts.set_active(ada.email, False)

        accounts.set_active(ada.email, True)

    assert is_over(client, pair)
    assert not is_over(client, log_in(client, ada))


def test_a_user_who_is_inactive_by_whatever_way_is_out(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    pair = log_in(client, ada)

    with app.app_context():
        db.session.execute(sqlalchemy.update(User).values(is_active=False))
        db.session.commit()

    assert is_over(client, pair)


def test_a_deletion_counts_from_the_next_request_on(
    app: Flask, client: FlaskClient, ada: User, statements: list[str]
) -> None:
    pair = log_in(client, ada)
    with app.app_context():
        db.session.execute(sqlalchemy.delete(User).where(User.id == ada.id))
        db.session.commit()
    statements.clear()

    response = me(client, pair["access_token"])

    assert problem(response) == (401, "session_ended")
    assert len(statements) == 1
    assert problem(refresh(client, pair["refresh_token"])) == (401, "invalid_refresh_token")


def test_a_logout_counts_from_the_next_request_on(
    client: FlaskClient, ada: User, statements: list[str]
) -> None:
    pair = log_in(client, ada)
    log_out(client, pair["access_token"])
    statements.clear()

    response = me(client, pair["access_token"])

    assert problem(response) == (401, "session_ended")
    assert len(statements) == 1


def test_a_good_request_costs_one_statement(
    client: FlaskClient, ada: User, statements: list[str]
) -> None:
    pair = log_in(client, ada)
    statements.clear()

    response = me(client, pair["access_token"])

    assert response.status_code == 200
    assert len(statements) == 1


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/users/me"), ("GET", "/auth/sessions"), ("POST", "/auth/reauthenticate")],
)
def test_an_ended_session_is_refused_everywhere(
    client: FlaskClient, ada: User, method: str, path: str
) -> None:
    pair = log_in(client, ada)
    log_out(client, pair["access_token"])

    response = client.open(API + path, method=method, headers=bearer(pair["access_token"]))

    assert problem(response) == (401, "session_ended")
    assert response.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
