"""An answer of errors is small, however many flaws the request has."""

import json
import tracemalloc
from typing import Any
from urllib.parse import unquote, urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.errors import ValidationFailed
from app.field_errors import MAX_ERRORS, Message, json_pointer
from app.http.parsing import StrictParser
from app.models import User
from tests.factories import API, bearer, log_in, problem

NUL = "\\u0000"
MOST_BYTES = 16 * 1024


def post_json(client: FlaskClient, call: str, body: str, **headers: str) -> TestResponse:
    return client.post(
        f"{API}/{call}",
        data=body.encode(),
        content_type="application/json",
        headers=headers,
    )


def unstorable(key: str, count: int) -> str:
    return f'{{"{key}":[{",".join([json.dumps(chr(0))] * count)}]}}'


BODIES = {
    "unstorable strings": (unstorable("k", 7000), 7000),
    "unstorable strings under a long key": (unstorable("k" * 2000, 5000), 5000),
    "unstorable strings under a long key that is percent-encoded": (
        unstorable("\U0001f600" * 4000, 4000),
        4000,
    ),
    "unstorable keys": (
        "{" + ",".join(f'"{NUL}{number}":0' for number in range(4000)) + "}",
        4000,
    ),
    "unstorable strings in the deep": (
        '{"' + '":{"'.join(["\U0001f600" * 100] * 19) + '":' + json.dumps(["\0"] * 3000) + "}" * 19,
        3000,
    ),
    "unknown fields": (json.dumps({f"f{number}": 0 for number in range(4000)}), 4000),
    "unknown fields with long names": (
        json.dumps({f"{number}{'é' * 300}": 0 for number in range(30)}),
        30,
    ),
}


@pytest.mark.parametrize("body", BODIES)
def test_however_many_flaws_there_are_the_answer_has_20_and_counts_the_rest(
    client: FlaskClient, body: str
) -> None:
    text, count = BODIES[body]

    response = post_json(client, "auth/login", text)

    assert problem(response) == (422, "validation_failed")
    assert len(response.data) <= MOST_BYTES
    told = response.json["errors"]
    assert 1 <= len(told) <= MAX_ERRORS
    # A login without its fields has flaws of its own.
    assert 0 <= len(told) + response.json["errors_left_out"] - count <= 2
    for error in told:
        assert all(len(unquote(key)) <= 100 for key in error["pointer"].split("/")[1:])


@pytest.mark.parametrize("call", ["auth/logout", "auth/refresh", "auth/register", "auth/not-me"])
def test_it_is_so_without_a_token_too(client: FlaskClient, call: str) -> None:
    text, count = BODIES["unstorable strings under a long key"]

    response = post_json(client, call, text)

    assert len(response.data) <= MOST_BYTES
    if response.status_code == 422:
        assert len(response.json["errors"]) + response.json["errors_left_out"] == count


@pytest.mark.parametrize(("count", "left_out"), [(1, None), (20, None), (21, 1), (22, 2)])
def test_what_is_left_out_is_counted_only_where_something_is(
    client: FlaskClient, ada: User, count: int, left_out: int | None
) -> None:
    token = log_in(client, ada)["access_token"]
    body = json.dumps({f"f{number}": 0 for number in range(count)})

    response = client.patch(
        f"{API}/users/me", data=body, content_type="application/json", headers=bearer(token)
    )

    assert problem(response) == (422, "validation_failed")
    assert len(response.json["errors"]) == min(count, MAX_ERRORS)
    assert response.json.get("errors_left_out") == left_out


def test_beside_many_unknown_fields_the_known_ones_are_judged_too(
    client: FlaskClient, ada: User
) -> None:
    token = log_in(client, ada)["access_token"]
    body = {"full_name": 1} | {f"f{number}": 0 for number in range(30)}

    response = client.patch(f"{API}/users/me", json=body, headers=bearer(token))

    assert response.json["errors"][0]["pointer"] == "#/full_name"
    assert len(response.json["errors"]) + response.json["errors_left_out"] == 31


def test_no_error_is_made_of_an_unknown_field_that_the_answer_has_no_room_for(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    handle = StrictParser.handle_error

    def noted(parser: StrictParser, error: Any, *rest: Any, **named: Any) -> Any:
        made.append(len(error.normalized_messages()["json"]))
        return handle(parser, error, *rest, **named)

    monkeypatch.setattr(StrictParser, "handle_error", noted)
    post_json(client, "auth/register", BODIES["unknown fields"][0])

    # Those that are told, and the fields that are missing.
    assert made == [MAX_ERRORS + 3]


def test_parameters_of_a_query_are_cut_and_counted_as_well(
    client: FlaskClient, grace: User
) -> None:
    token = log_in(client, grace)["access_token"]
    query = urlencode({f"{number}{'é' * 150}": 1 for number in range(60)})

    response = client.get(f"{API}/users?{query}", headers=bearer(token))

    assert problem(response) == (422, "validation_failed")
    assert len(response.data) <= MOST_BYTES
    assert len(response.json["errors"]) + response.json["errors_left_out"] == 60
    assert all(len(error["parameter"]) <= 100 for error in response.json["errors"])


def test_repeated_parameters_are_cut_and_counted_as_well(client: FlaskClient, grace: User) -> None:
    token = log_in(client, grace)["access_token"]
    query = "&".join(f"{'q' * 400}{number}=1" for number in [*range(40), *range(40)])

    response = client.get(f"{API}/users?{query}", headers=bearer(token))

    assert len(response.data) <= MOST_BYTES
    assert len(response.json["errors"]) + response.json["errors_left_out"] == 40


def test_repeated_fields_of_a_form_are_cut_and_counted_as_well(client: FlaskClient) -> None:
    form = "&".join(f"{'q' * 400}{number}=1" for number in [*range(40), *range(40)])

    response = client.post(
        f"{API}/auth/login", data=form, content_type="application/x-www-form-urlencoded"
    )

    assert len(response.data) <= MOST_BYTES
    assert len(response.json["errors"]) + response.json["errors_left_out"] == 40


@pytest.mark.parametrize("body", BODIES)
def test_no_flaw_beyond_those_that_are_told_takes_memory(
    app: Flask, client: FlaskClient, body: str
) -> None:
    text, _ = BODIES[body]
    post_json(client, "auth/login", text)

    tracemalloc.start()
    try:
        post_json(client, "auth/login", text)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    # The body itself is kept a few times over: as bytes, as text and as objects.
    assert most < 4 * 2**20


@pytest.mark.parametrize("path", ["/nowhere/" + "x" * 4000, f"{API}/users/me/" + "é" * 1000])
@pytest.mark.parametrize("method", ["GET", "POST", "TRACE"])
def test_a_path_that_leads_nowhere_is_not_repeated(
    client: FlaskClient, path: str, method: str
) -> None:
    response = client.open(path, method=method)

    assert response.status_code in (404, 405)
    assert len(response.data) < 1024


def test_a_long_sentence_of_another_blueprint_is_cut(app: Flask) -> None:
    from werkzeug.exceptions import NotFound

    with app.test_request_context("/"):
        answer: Any = app.handle_user_exception(NotFound("x" * 100_000))

    assert len(answer.get_data()) < 1024


def test_a_pointer_that_is_too_long_names_the_last_place_that_fits() -> None:
    deep = json_pointer(["\U0001f600" * 100] * 3)

    assert deep == json_pointer(["\U0001f600" * 100])


def test_an_error_that_does_not_fit_is_counted() -> None:
    wide = Message("invalid", "x" * 3000)

    refusal = ValidationFailed(wide.at([str(number)]) for number in range(30))

    assert len(refusal.members["errors"]) == 4
    assert refusal.members["errors_left_out"] == 26


def test_a_long_key_is_named_by_its_first_100_characters(client: FlaskClient) -> None:
    response = post_json(client, "auth/login", unstorable("k" * 2000, 1))

    (error,) = response.json["errors"]
    assert error["pointer"] == f"#/{'k' * 100}/0"
