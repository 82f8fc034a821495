"""Bodies: one JSON object, every key once, nothing that a database cannot hold."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from app.http import strict_json
from app.models import User
from tests.cases import each
from tests.factories import API, PASSWORD, problem, refused_fields

CREDENTIALS = '"username": "ada", "password": "wrong"'


def send(client: FlaskClient, body: str | bytes, call: str = "login") -> TestResponse:
    return client.post(f"{API}/auth/{call}", data=body, content_type="application/json")


def nested(levels: int, opening: str = "[", closing: str = "]") -> str:
    return opening * levels + "0" + closing * levels


@each(
    "body",
    [
        "[]",
        "[{}]",
        f"[{{{CREDENTIALS}}}]",
        "null",
        "true",
        "1",
        "1.5",
        '"text"',
        "NaN",
        '"{}"',
    ],
)
def test_anything_but_an_object_is_refused(client: FlaskClient, body: str) -> None:
    response = send(client, body)

    assert problem(response) == (400, "malformed_json")


@each(
    "body",
    [
        "",
        " ",
        "{",
        "}",
        '{"username": "ada"',
        '{"username": "ada",}',
        '{"username" "ada"}',
        "{'username': 'ada'}",
        "{username: 1}",
        '{"username": ada}',
        '{"username": undefined}',
        '{"a": 01}',
        '{"a": +1}',
        '{"a": .5}',
        '{"a": 0x10}',
        '{"a": "line\nbreak"}',
        r'{"a": "\x00"}',
        r'{"a": "\u12"}',
        f"{{{CREDENTIALS}}} trailing",
        f"{{{CREDENTIALS}}}{{}}",
        f"{{{CREDENTIALS}}},",
        f"{{{CREDENTIALS}}}\0",
        f"/* comment */{{{CREDENTIALS}}}",
        f"{{{CREDENTIALS}}} // comment",
    ],
)
def test_what_is_no_json_is_refused(client: FlaskClient, body: str) -> None:
    response = send(client, body)

    assert problem(response) == (400, "malformed_json")


@each(
    "body",
    [
        f"\ufeff{{{CREDENTIALS}}}".encode(),
        b"\xef\xbb\xbf",
        f"{{{CREDENTIALS}}}".encode("utf-16"),
        f"{{{CREDENTIALS}}}".encode("utf-16-le"),
        f"{{{CREDENTIALS}}}".encode("utf-32"),
        '{"username": "é"}'.encode("latin-1"),
        b'{"username": "\xff"}',
        b'{"username": "\xc0\x80"}',  # NUL, written overlong
        b'{"username": "\xed\xa0\x80"}',  # a surrogate, encoded
        b"\x80",
    ],
    ids=repr,
)
def test_anything_but_utf_8_without_a_mark_is_refused(client: FlaskClient, body: bytes) -> None:
    response = send(client, body)

    assert problem(response) == (400, "malformed_json")


@pytest.mark.parametrize(
    "body",
    [
        '{"username": "ada", "username": "bob", "password": "wrong"}',
        '{"username": "ada", "username": "ada", "password": "wrong"}',
        r'{"username": "ada", "user\u006eame": "ada", "password": "wrong"}',
        '{"x": {"a": 1, "a": 2}}',
        '{"x": [{"a": 1, "a": 1}]}',
        '{"": 1, "": 2}',
    ],
)
def test_a_key_given_twice_is_refused(client: FlaskClient, body: str) -> None:
    response = send(client, body)

    assert problem(response) == (400, "malformed_json")


@each("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1" + "0" * 400 + ".0", "nan"])
@each("template", ['{"x": %s}', '{"x": [%s]}', '{"x": {"y": %s}}'])
def test_a_number_that_is_none_is_refused(client: FlaskClient, template: str, number: str) -> None:
    response = send(client, template % number)

    assert problem(response) == (400, "malformed_json")


@pytest.mark.parametrize("digits", ["9" * 19, "9" * 30, "-" + "9" * 4300, "1e308", "1e-999"])
def test_a_huge_number_is_a_number_where_none_is_wanted(client: FlaskClient, digits: str) -> None:
    response = send(client, f'{{"username": {digits}, "password": "wrong"}}')

    assert refused_fields(response) == {"#/username": "invalid"}


def test_a_number_of_more_digits_than_python_reads_is_refused(client: FlaskClient) -> None:
    response = send(client, f'{{"username": {"9" * 5000}, "password": "wrong"}}')

    assert problem(response) == (400, "malformed_json")


@pytest.mark.parametrize("value", [nested(19), nested(19, '{"a":', "}"), nested(9, '[{"a":', "}]")])
def test_twenty_levels_are_read(client: FlaskClient, value: str) -> None:
    response = send(client, f'{{"x": {value}, {CREDENTIALS}}}')

    assert refused_fields(response) == {"#/x": "unknown_field"}


@each("levels", [20, 21, 100, 1000, 10_000])
@each(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_more_levels_than_twenty_are_refused(
    client: FlaskClient, levels: int, opening: str, closing: str
) -> None:
    response = send(client, f'{{"x": {nested(levels, opening, closing)}}}')

    assert problem(response) == (400, "malformed_json")


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":'])
def test_twenty_kilobytes_of_brackets_are_refused(client: FlaskClient, opening: str) -> None:
    response = send(client, opening * (20_000 // len(opening)))

    assert problem(response) == (400, "malformed_json")


@each("character", [r"\u0000", r"\ud800", r"\udfff", r"\ude00\ud83d", "\\u0000x"])
@each(
    ("template", "pointer"),
    [
        ('{"username": "a%s", "password": "wrong"}', "#/username"),
        ('{"username": "ada", "password": "%s"}', "#/password"),
        ('{"x": {"y": ["ok", "%s"]}}', "#/x/y/1"),
        ('{"x": {"%s": 1}}', "#/x"),
        ('{"%s": 1}', "#"),
    ],
)
def test_nul_and_lone_surrogates_are_refused_wherever_they_are(
    client: FlaskClient, template: str, pointer: str, character: str
) -> None:
    response = send(client, template % character)

    assert refused_fields(response) == {pointer: "invalid_characters"}


@each("field", ["email", "username", "password", "full_name", "bio"])
@each("character", ["\0", "\ud800"])
def test_nul_and_lone_surrogates_are_refused_in_every_field(
    client: FlaskClient, field: str, character: str
) -> None:
    account = {"email": "ada@example.com", "username": "ada", "password": "correct horse"}
    body = json.dumps(account | {field: f"ada{character}@example.com"})

    response = send(client, body, "register")

    assert refused_fields(response) == {f"#/{field}": "invalid_characters"}


def test_a_pair_of_surrogates_is_one_character(client: FlaskClient, ada: User) -> None:
    response = send(client, r'{"username": "\ud83d\ude00", "password": "\ud83d\ude00"}')

    assert problem(response) == (401, "invalid_credentials")


def test_escapes_and_white_space_are_read_as_json_says(client: FlaskClient, ada: User) -> None:
    body = f' \r\n\t{{ "\\u0075sername" : "ad\\u0061",\n"password":"{PASSWORD}" }} \n'

    response = send(client, body)

    assert response.status_code == 200


@each("call", ["refresh", "logout"])
@each("body", ["[]", "null", "{", '{"a": 1, "a": 2}', "[" * 20_000])
def test_a_body_that_may_be_left_out_is_read_as_strictly(
    client: FlaskClient, call: str, body: str
) -> None:
    response = send(client, body, call)

    assert problem(response) == (400, "malformed_json")


quick = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters()), inner, max_size=4)
    ),
)


@given(body=st.binary(max_size=200) | st.text('{}[]":,0123456789eE+-.\\u\0 ', max_size=60))
@quick
def test_whatever_bytes_come_the_answer_is_a_refusal(
    client: FlaskClient, body: bytes | str
) -> None:
    response = send(client, body)

    assert problem(response)[0] in (400, 422)


@given(value=values)
@quick
def test_whatever_json_comes_the_answer_is_a_refusal(client: FlaskClient, value: Any) -> None:
    response = send(client, json.dumps({"x": value}))

    assert problem(response) in ((400, "malformed_json"), (422, "validation_failed"))


@given(value=values)
@quick
def test_whatever_is_answered_is_json_itself(client: FlaskClient, value: Any) -> None:
    response = send(client, json.dumps({"username": value, "password": value}))

    assert response.status_code in (400, 401, 422)
    assert json.loads(response.data.decode("utf-8"), parse_constant=pytest.fail)


def test_a_body_of_many_small_elements_is_not_walked_element_by_element(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    walked: list[Any] = []
    monkeypatch.setattr(strict_json, "_unstorable", lambda value: walked.append(value) or [])

    response = client.post(f"{API}/auth/refresh", json={"refresh_token": ["é"] * 10_000})

    assert problem(response)[0] == 422
    assert walked == []
