"""GET /users/audit, /users/{id}/audit and /users/me/activity"""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import audit
from app.audit.vocabulary import Event
from app.extensions import db
from app.models import User
from tests.factories import API, bearer, log_in, permit, refused_fields


@pytest.fixture
def happened(app: Flask, ada: User, bob: User) -> None:
    """Things that Ada did herself, that Bob did to her, and that happened to Bob."""
    for actor, subject, event in (
        (ada, ada, Event.USER_UPDATED),
        (bob, ada, Event.USER_DEACTIVATED),
        (None, ada, Event.REFRESH_TOKEN_REUSED),
        (ada, bob, Event.SESSIONS_ENDED),
    ):
        with app.test_request_context(
            headers={"User-Agent": "Browser"}, environ_base={"REMOTE_ADDR": "192.0.2.7"}
        ):
            audit.record(
                event, subject_id=subject.id, actor_id=actor.id if actor else None, note="x"
            )
            db.session.commit()


def get(client: FlaskClient, user: User, path: str, **query: Any) -> TestResponse:
    # One login a person: each is an event of its own.
    signed_in = client.__dict__.setdefault("signed_in", {})
    if user.id not in signed_in:
        signed_in[user.id] = log_in(client, user)["access_token"]
    headers = bearer(signed_in[user.id])
    return client.get(f"{API}/users/{path}", headers=headers, query_string=query)


def beside_logins(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if event["event"] != "login_succeeded"]


def told(response: TestResponse) -> list[str]:
    assert response.status_code == 200, response.text
    return [event["event"] for event in beside_logins(response.json["items"])]


@pytest.mark.usefixtures("happened")
def test_the_log_is_read_from_the_newest_on(client: FlaskClient, grace: User) -> None:
    response = get(client, grace, "audit")

    assert told(response) == [
        *("sessions_ended", "refresh_token_reused", "user_deactivated", "user_updated")
    ]


@pytest.mark.usefixtures("happened")
def test_an_event_is_the_one_of_the_contract(
    client: FlaskClient, ada: User, bob: User, grace: User
) -> None:
    event = beside_logins(get(client, grace, "audit").json["items"])[0]

    assert event.pop("id") > 0
    assert event.pop("at").endswith("Z")
    assert event.pop("request_id")
    assert event == {
        "event": "sessions_ended",
        "actor_id": ada.id,
        "subject_id": bob.id,
        "ip": "192.0.2.7",
        "user_agent": "Browser",
        "details": {"note": "x"},
    }


@pytest.mark.usefixtures("happened")
def test_the_log_of_one_user_is_about_them_alone(
    client: FlaskClient, ada: User, bob: User, grace: User
) -> None:
    assert told(get(client, grace, f"{bob.id}/audit")) == ["sessions_ended"]
    assert told(get(client, grace, f"{ada.id}/audit")) == [
        *("refresh_token_reused", "user_deactivated", "user_updated")
    ]


@pytest.mark.usefixtures("happened")
def test_the_log_of_who_is_gone_is_still_there(client: FlaskClient, bob: User, grace: User) -> None:
    headers = bearer(log_in(client, grace)["access_token"])
    client.delete(f"{API}/users/{bob.id}", headers=headers)

    assert "user_deleted" in told(get(client, grace, f"{bob.id}/audit"))


@pytest.mark.usefixtures("happened")
@pytest.mark.parametrize("path", ["audit", "{id}/audit", "me/activity"])
def test_it_comes_in_pages(client: FlaskClient, app: Flask, ada: User, path: str) -> None:
    permit(app, ada, "audit:read")
    path = path.format(id=ada.id)
    whole = told(get(client, ada, path))

    seen, cursor = [], {}
    while True:
        page = get(client, ada, path, limit=1, **cursor)
        seen += told(page)
        if page.json["next_cursor"] is None:
            break
        cursor = {"cursor": page.json["next_cursor"]}

    assert seen == whole
    assert len(whole) >= 3


@pytest.mark.usefixtures("happened")
def test_a_cursor_of_ones_users_log_is_none_of_anothers(
    client: FlaskClient, ada: User, bob: User, grace: User
) -> None:
    cursor = get(client, grace, f"{ada.id}/audit", limit=1).json["next_cursor"]

    for path in (f"{bob.id}/audit", "audit"):
        refused = get(client, grace, path, cursor=cursor)
        assert refused_fields(refused) == {"cursor": "invalid_cursor"}


@pytest.mark.usefixtures("happened")
def test_one_sees_ones_own_activity_and_not_who_else_did_it_from_where(
    client: FlaskClient, ada: User
) -> None:
    events = beside_logins(get(client, ada, "me/activity").json["items"])

    assert [(event["event"], event["by_you"], event["ip"]) for event in events] == [
        ("refresh_token_reused", False, "192.0.2.7"),
        ("user_deactivated", False, None),
        ("user_updated", True, "192.0.2.7"),
    ]
    assert [event["user_agent"] for event in events] == ["Browser", None, "Browser"]
    assert not any("actor_id" in event for event in events)


@pytest.mark.usefixtures("happened")
def test_an_export_does_not_tell_from_where_somebody_else_did_it(
    client: FlaskClient, ada: User
) -> None:
    events = beside_logins(get(client, ada, "me/export").json["audit_events"])

    assert {event["event"]: event["ip"] for event in events} == {
        "user_updated": "192.0.2.7",
        "user_deactivated": None,
        "refresh_token_reused": "192.0.2.7",
    }


def test_of_somebody_new_there_is_the_login_alone(client: FlaskClient, ada: User) -> None:
    response = get(client, ada, "me/activity")

    assert [event["event"] for event in response.json["items"]] == ["login_succeeded"]
    assert response.json["next_cursor"] is None


@pytest.mark.parametrize("path", ["audit", "me/activity"])
def test_it_takes_no_other_parameter(client: FlaskClient, grace: User, path: str) -> None:
    assert refused_fields(get(client, grace, path, subject_id=1)) == {"subject_id": "unknown_field"}
    assert refused_fields(get(client, grace, path, limit=101)) == {"limit": "out_of_range"}
