"""The calls under /api/v1/notes."""

import pytest
from flask.testing import FlaskClient

from app.testing import LogIn, MakeUser

Headers = dict[str, str]


@pytest.fixture
def ada(make_user: MakeUser, log_in: LogIn) -> Headers:
    return log_in(make_user("ada"))


@pytest.fixture
def bob(make_user: MakeUser, log_in: LogIn) -> Headers:
    return log_in(make_user("bob"))


def write(client: FlaskClient, author: Headers, text: str) -> int:
    answer = client.post("/api/v1/notes", json={"text": text}, headers=author)
    assert answer.status_code == 201, answer.text
    number: int = answer.json["id"]
    return number


def test_notes_are_read_in_the_order_in_which_they_were_written(
    client: FlaskClient, ada: Headers
) -> None:
    first, second = write(client, ada, "Buy milk"), write(client, ada, "Call Bob")

    answer = client.get("/api/v1/notes", headers=ada)

    assert answer.json == {
        "items": [{"id": first, "text": "Buy milk"}, {"id": second, "text": "Call Bob"}]
    }


def test_nobody_reads_or_deletes_the_notes_of_others(
    client: FlaskClient, ada: Headers, bob: Headers
) -> None:
    note = write(client, ada, "Buy milk")

    assert client.get("/api/v1/notes", headers=bob).json == {"items": []}
    assert client.delete(f"/api/v1/notes/{note}", headers=bob).status_code == 404
    assert len(client.get("/api/v1/notes", headers=ada).json["items"]) == 1


def test_a_note_is_deleted_once(client: FlaskClient, ada: Headers) -> None:
    note = write(client, ada, "Buy milk")

    first = client.delete(f"/api/v1/notes/{note}", headers=ada)
    second = client.delete(f"/api/v1/notes/{note}", headers=ada)

    assert (first.status_code, second.status_code) == (204, 404)


def test_a_note_needs_a_token_and_text(client: FlaskClient, ada: Headers) -> None:
    assert client.post("/api/v1/notes", json={"text": "Buy milk"}).status_code == 401
    assert client.post("/api/v1/notes", json={}, headers=ada).status_code == 422


def test_there_is_an_end_to_the_notes_of_a_person(client: FlaskClient, ada: Headers) -> None:
    for number in range(3):
        write(client, ada, f"Note {number}")

    answer = client.post("/api/v1/notes", json={"text": "One more"}, headers=ada)

    assert (answer.status_code, answer.json["code"]) == (409, "too_many_notes")


def test_the_notes_of_others_need_the_permission(
    client: FlaskClient, ada: Headers, make_user: MakeUser, log_in: LogIn
) -> None:
    write(client, ada, "Buy milk")
    me = client.get("/api/v1/users/me", headers=ada).json["id"]
    eve = log_in(make_user("eve", "notes:read"))

    allowed = client.get(f"/api/v1/notes/of/{me}", headers=eve)
    refused = client.get(f"/api/v1/notes/of/{me}", headers=ada)

    assert [note["text"] for note in allowed.json["items"]] == ["Buy milk"]
    assert (refused.status_code, refused.json["code"]) == (403, "not_enough_permissions")


def test_a_deleted_note_is_in_the_audit_log(client: FlaskClient, ada: Headers) -> None:
    note = write(client, ada, "Buy milk")
    client.delete(f"/api/v1/notes/{note}", headers=ada)

    activity = client.get("/api/v1/users/me/activity", headers=ada).json["items"]

    assert [event["details"] for event in activity if event["event"] == "note_deleted"] == [
        {"note_id": note}
    ]


def test_the_export_has_the_notes(client: FlaskClient, ada: Headers) -> None:
    note = write(client, ada, "Buy milk")

    export = client.get("/api/v1/users/me/export", headers=ada).json

    assert export["notes"] == [{"id": note, "text": "Buy milk"}]
