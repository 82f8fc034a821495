"""POST /auth/password/change"""

from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.models import User
from tests.factories import API, PASSWORD, bearer, log_in, me, problem, refresh, refused_fields
from tests.mailbox import Mailbox

NEW_PASSWORD = "a new password for a new day"


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

    assert (response.status_code, response.data) == (204, b"")
    log_in(client, ada, NEW_PASSWORD)
    refused = client.post(f"{API}/auth/login", json={"username": "ada", "password": PASSWORD})
    assert problem(refused) == (401, "invalid_credentials")


def test_the_other_sessions_end_and_this_one_stays(
    client: FlaskClient, ada: User, bob: User
) -> None:
    pair, other, bobs = log_in(client, ada), log_in(client, ada), log_in(client, bob)

    change(client, pair)

    assert me(client, pair["access_token"]).status_code == 200
    assert refresh(client, pair["refresh_token"]).status_code == 200
    assert problem(me(client, other["access_token"])) == (401, "session_ended")
    assert problem(refresh(client, other["refresh_token"])) == (401, "invalid_refresh_token")
    assert me(client, bobs["access_token"]).status_code == 200


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
    for circumstance in ("2026-11-22 08:00 UTC", "198.51.100.7", "Lynx/2.9"):
        assert circumstance in notice.text
