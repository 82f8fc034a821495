"""POST /auth/password/change"""

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import jwt
import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import clock
from app.extensions import db
from app.models import Session, User
from tests.factories import (
    API,
    PASSWORD,
    bearer,
    confirm,
    log_in,
    me,
    problem,
    refresh,
    refused_fields,
)
from tests.mailbox import Mailbox

NEW_PASSWORD = "a new password for a new day"


@pytest.fixture
def ada(app: Flask, ada: User) -> User:
    """Ada has confirmed her address: notices go to nobody else."""
    return confirm(app, ada)


def change(
    client: FlaskClient,
    pair: dict[str, Any],
    current: str = PASSWORD,
    new: str = NEW_PASSWORD,
    **options: Any,
) -> TestResponse:
    return client.post(
        f"{API}/auth/password/change",
        json={"current_password": current, "new_password": new},
        headers=bearer(pair["access_token"]) | options.pop("headers", {}),
        **options,
    )


def test_the_new_password_logs_in_and_the_old_one_no_more(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)

    response = change(client, pair)

    assert response.status_code == 200
    log_in(client, ada, NEW_PASSWORD)
    refused = client.post(f"{API}/auth/login", json={"username": "ada", "password": PASSWORD})
    assert problem(refused) == (401, "invalid_credentials")


def test_the_other_sessions_end_and_this_one_goes_on_with_a_new_pair(
    client: FlaskClient, ada: User, bob: User
) -> None:
    pair, other, bobs = log_in(client, ada), log_in(client, ada), log_in(client, bob)

    new = change(client, pair).json

    assert me(client, new["access_token"]).status_code == 200
    assert refresh(client, new["refresh_token"]).status_code == 200
    assert problem(me(client, other["access_token"])) == (401, "session_ended")
    assert problem(refresh(client, other["refresh_token"])) == (401, "invalid_refresh_token")
    assert me(client, bobs["access_token"]).status_code == 200


# The tokens from before


def sessions_of(client: FlaskClient, pair: dict[str, Any]) -> list[dict[str, Any]]:
    response = client.get(f"{API}/auth/sessions", headers=bearer(pair["access_token"]))
    items: list[dict[str, Any]] = response.json["items"]
    return items


def test_the_answer_is_a_token_pair_of_the_same_session(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)
    (before,) = sessions_of(client, pair)

    response = change(client, pair)

    assert response.json.keys() == pair.keys()
    assert response.headers["Cache-Control"] == "no-store"
    (after,) = sessions_of(client, response.json)
    assert after["is_current"]
    assert [after[name] for name in ("id", "created_at")] == [
        before[name] for name in ("id", "created_at")
    ]


def test_the_new_access_token_is_fresh_as_the_password_was_just_given(
    client: FlaskClient, ada: User
) -> None:
    with time_machine.travel(clock.now() - timedelta(minutes=14)):
        pair = log_in(client, ada)

    new = change(client, pair).json

    export = client.get(f"{API}/users/me/export", headers=bearer(new["access_token"]))
    assert export.status_code == 200


def test_the_access_tokens_from_before_are_dead_at_once(client: FlaskClient, ada: User) -> None:
    """In the same second too: what a token says of its time is too coarse to tell."""
    first = log_in(client, ada)
    second = refresh(client, first["refresh_token"]).json
    with time_machine.travel(clock.now(), tick=False):
        third = refresh(client, second["refresh_token"]).json
        body = {"password": PASSWORD}
        headers = bearer(third["access_token"])
        fresh = client.post(f"{API}/auth/reauthenticate", json=body, headers=headers).json

        new = change(client, third).json

        for pair in (first, second, third, fresh):
            assert problem(me(client, pair["access_token"])) == (401, "session_ended")
        assert me(client, new["access_token"]).status_code == 200


@pytest.mark.parametrize("age", [0, 1, 2])
@pytest.mark.parametrize("later", [timedelta(0), timedelta(minutes=1), timedelta(hours=25)])
def test_a_refresh_token_from_before_is_refused_and_ends_nothing(
    client: FlaskClient, ada: User, age: int, later: timedelta
) -> None:
    pairs = [log_in(client, ada)]
    for _ in range(2):
        pairs.append(refresh(client, pairs[-1]["refresh_token"]).json)
    new = change(client, pairs[-1]).json

    with time_machine.travel(clock.now() + later):
        response = refresh(client, pairs[-1 - age]["refresh_token"])

        assert problem(response) == (401, "invalid_refresh_token")
        assert refresh(client, new["refresh_token"]).status_code == 200


def test_a_dead_token_can_neither_log_the_session_out_nor_revoke_it(
    client: FlaskClient, ada: User
) -> None:
    """A thief who was evicted would only have to say so to sign the owner out."""
    pair = log_in(client, ada)
    new = change(client, pair).json

    by_body = client.post(f"{API}/auth/logout", json={"refresh_token": pair["refresh_token"]})
    by_header = client.post(f"{API}/auth/logout", headers=bearer(pair["access_token"]))
    for kind in ("access_token", "refresh_token"):
        revoked = client.post(f"{API}/auth/revoke", data={"token": pair[kind]})
        assert revoked.status_code == 200

    assert problem(by_body) == (401, "invalid_refresh_token")
    assert problem(by_header) == (401, "session_ended")
    assert me(client, new["access_token"]).status_code == 200
    assert refresh(client, new["refresh_token"]).status_code == 200


def test_a_dead_token_of_a_session_that_is_over_logs_out_as_any_other(
    client: FlaskClient, ada: User
) -> None:
    pair = log_in(client, ada)
    new = change(client, pair).json
    client.post(f"{API}/auth/logout", headers=bearer(new["access_token"]))

    response = client.post(f"{API}/auth/logout", json={"refresh_token": pair["refresh_token"]})

    assert response.status_code == 204


def test_after_several_changes_the_last_pair_alone_is_good(client: FlaskClient, ada: User) -> None:
    words = [PASSWORD, "the second password", "the third password", "the fourth password"]
    pairs = [log_in(client, ada)]
    for current, new in pairwise(words):
        pairs.append(change(client, pairs[-1], current=current, new=new).json)

    for pair in pairs[:-1]:
        assert problem(me(client, pair["access_token"])) == (401, "session_ended")
        assert problem(refresh(client, pair["refresh_token"])) == (401, "invalid_refresh_token")
    assert me(client, pairs[-1]["access_token"]).status_code == 200
    assert refresh(client, pairs[-1]["refresh_token"]).status_code == 200


def test_the_new_pair_is_rotated_retried_and_watched_like_any_other(
    client: FlaskClient, ada: User
) -> None:
    new = change(client, log_in(client, ada)).json
    second = refresh(client, new["refresh_token"]).json
    assert refresh(client, new["refresh_token"]).json["refresh_token"] == second["refresh_token"]
    third = refresh(client, second["refresh_token"]).json

    replay = refresh(client, new["refresh_token"])

    assert problem(replay) == (401, "refresh_token_reused")
    assert problem(me(client, third["access_token"])) == (401, "session_ended")


def test_the_new_pair_puts_off_the_end_as_a_refresh_does(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    with time_machine.travel("2026-11-01T08:00:00Z", tick=False) as travelled:
        pair = log_in(client, ada)
        travelled.shift(timedelta(minutes=10))

        new = change(client, pair).json

        claims = jwt.decode(new["refresh_token"], options={"verify_signature": False})
        assert claims["exp"] == (clock.now() + timedelta(days=14)).timestamp()
    with app.app_context():
        session = db.session.scalar(db.select(Session))
        assert session.max_expires_at == session.created_at + timedelta(days=30)


def test_a_thief_with_a_copy_of_this_sessions_tokens_is_evicted_without_a_fight(
    client: FlaskClient, ada: User
) -> None:
    """The thief kept within the retry window, so nothing had ended the session."""
    stolen = log_in(client, ada)
    owners = refresh(client, stolen["refresh_token"]).json
    thiefs = refresh(client, stolen["refresh_token"]).json
    assert me(client, thiefs["access_token"]).status_code == 200

    owners = change(client, owners).json

    assert problem(me(client, thiefs["access_token"])) == (401, "session_ended")
    assert problem(refresh(client, thiefs["refresh_token"])) == (401, "invalid_refresh_token")
    assert problem(refresh(client, stolen["refresh_token"])) == (401, "invalid_refresh_token")
    assert me(client, owners["access_token"]).status_code == 200
    assert refresh(client, owners["refresh_token"]).status_code == 200


# What is refused


@pytest.mark.parametrize("current", ["wrong", "", PASSWORD.upper(), PASSWORD + " "])
def test_a_wrong_current_password_changes_nothing(
    client: FlaskClient, ada: User, mailbox: Mailbox, current: str
) -> None:
    pair = log_in(client, ada)

    response = change(client, pair, current=current)

    assert problem(response) == (403, "wrong_password")
    assert response.json["detail"] == "Incorrect password"
    assert mailbox.deliver() == []
    assert me(client, pair["access_token"]).status_code == 200
    log_in(client, ada)


def test_the_same_password_is_refused(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)

    response = change(client, pair, new=PASSWORD)

    assert refused_fields(response) == {"#/new_password": "password_unchanged"}


def test_whether_it_is_unchanged_is_told_only_to_who_knows_it(
    client: FlaskClient, ada: User
) -> None:
    pair = log_in(client, ada)

    response = change(client, pair, current="a guess of somebody", new="a guess of somebody")

    assert problem(response) == (403, "wrong_password")


@pytest.mark.parametrize(
    ("new", "code"), [("short", "password_too_short"), ("x" * 101, "password_too_long")]
)
def test_the_policy_applies_to_the_new_password(
    client: FlaskClient, ada: User, new: str, code: str
) -> None:
    pair = log_in(client, ada)

    response = change(client, pair, new=new)

    assert refused_fields(response) == {"#/new_password": code}
    log_in(client, ada)


@pytest.mark.parametrize(
    ("new", "code"),
    [("ada@example.com", "password_like_identity"), ("password123", "password_common")],
)
def test_a_common_password_or_one_like_the_own_address_is_refused(
    client: FlaskClient, ada: User, set_settings: Callable[..., None], new: str, code: str
) -> None:
    set_settings(password_reject_common=True)
    pair = log_in(client, ada)

    response = change(client, pair, new=new)

    assert refused_fields(response) == {"#/new_password": code}
    log_in(client, ada)


def test_it_wants_an_access_token(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)

    answers = (
        client.post(f"{API}/auth/password/change", json={}),
        change(client, {"access_token": pair["refresh_token"]}),
    )

    assert [problem(answer) for answer in answers] == [
        (401, "not_authenticated"),
        (401, "invalid_token"),
    ]


def test_an_unknown_field_is_refused(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD, "user_id": 1}

    response = client.post(
        f"{API}/auth/password/change", json=body, headers=bearer(pair["access_token"])
    )

    assert refused_fields(response).keys() == {"#/user_id"}


def test_a_notice_says_what_when_and_from_where(
    client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    with time_machine.travel("2026-11-22T08:00:00Z", tick=False):
        pair = log_in(client, ada)

        change(
            client,
            pair,
            headers={"User-Agent": "Lynx/2.9"},
            environ_base={"REMOTE_ADDR": "198.51.100.7"},
        )

        (notice,) = mailbox.deliver()
    assert (notice.to, notice.page) == ("ada@example.com", "not-me")
    assert "password of your account was changed" in notice.text
    for circumstance in ("2026-11-22 08:00 UTC", "198.51.100.7", "Device: Lynx"):
        assert circumstance in notice.text
