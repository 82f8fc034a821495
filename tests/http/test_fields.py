"""The contract's input rules: each at its bound, beyond it, and of every wrong type."""

import string
from datetime import UTC, datetime
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError
from werkzeug.test import TestResponse

from app.http.fields import Checked, Line
from app.http.parameters import InstantParameter
from app.models import User
from tests.cases import each
from tests.factories import API, bearer, log_in, refused_fields

ACCOUNT = {"email": "ada@example.com", "username": "ada", "password": "correct horse"}
NOT_STRINGS = [True, False, 0, 1, 1.5, [], ["text"], {}, {"$ne": ""}, 10**30]

LONG_EMAIL = f"{'a' * 64}@{'.'.join(['b' * 62] * 2 + ['b' * 60])}.de"
LONG_URL = "https://example.com/" + "a" * 480


def register(client: FlaskClient, **fields: Any) -> TestResponse:
    return client.post(f"{API}/auth/register", json=ACCOUNT | fields)


@pytest.fixture
def token(client: FlaskClient, bob: User) -> str:
    """Bob's."""
    token: str = log_in(client, bob)["access_token"]
    return token


def edit(client: FlaskClient, token: str, **fields: Any) -> TestResponse:
    return client.patch(f"{API}/users/me", json=fields, headers=bearer(token))


def test_the_examples_are_at_their_bounds() -> None:
    assert len(LONG_URL) == 500
    assert len(LONG_EMAIL) == 254


# email


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("ada@example.com", "ada@example.com"),
        ("ADA@Example.COM", "ada@example.com"),
        ("ada.b+tag@example.com", "ada.b+tag@example.com"),
        ("o'brien@example.com", "o'brien@example.com"),
        ("ada@BÜCHER.de", "ada@xn--bcher-kva.de"),
        ("ada@xn--bcher-kva.de", "ada@xn--bcher-kva.de"),
        ("ada@例え.jp", "ada@xn--r8jz45g.jp"),
        (LONG_EMAIL, LONG_EMAIL),
    ],
)
def test_an_email_is_kept_in_its_canonical_form(client: FlaskClient, sent: str, kept: str) -> None:
    response = register(client, email=sent)

    assert response.status_code == 201, response.text
    assert response.json["email"] == kept


@each(
    "email",
    [
        "",
        "ada",
        "@example.com",
        "ada@",
        "ada@example",
        "ada@localhost",
        "ada@@example.com",
        "ada@example..com",
        ".ada@example.com",
        "ada @example.com",
        " ada@example.com",
        "ada@example.com ",
        "ada@example.com\n",
        "ada@example.com\r\nBcc: bob@example.com",
        "Ada <ada@example.com>",
        "ada@example.com,bob@example.com",
        "adá@example.com",
        "ada@[127.0.0.1]",
        "ada@127.0.0.1",
        '"ada"@example.com',
        "ada(comment)@example.com",
        "ada@exa\u200bmple.com",
        "\u202eada@example.com",
    ],
)
def test_what_is_no_plain_address_is_refused(client: FlaskClient, email: str) -> None:
    response = register(client, email=email)

    assert refused_fields(response) == {"#/email": "invalid_email"}


@each("email", ["a" + LONG_EMAIL, f"ada@{'b' * 64}.de", "a" * 250 + "@example.com", "@" * 5000])
def test_an_email_beyond_its_bounds_is_refused(client: FlaskClient, email: str) -> None:
    response = register(client, email=email)

    assert refused_fields(response).keys() == {"#/email"}


def test_an_email_that_grows_too_long_in_ascii_is_refused(client: FlaskClient) -> None:
    email = f"ada@{'.'.join(['ü' * 20 + 'x' * 20] * 5)}.de"

    response = register(client, email=email)

    assert len(email) < 254
    assert refused_fields(response) == {"#/email": "invalid_email"}


# username


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("ada", "ada"),
        ("Ada", "Ada"),
        ("a" * 50, "a" * 50),
        ("a.b_c-d", "a.b_c-d"),
        ("123", "123"),
        ("a1b", "a1b"),
        ("josé", "josé"),
        ("jose\u0301", "josé"),
        ("王小明", "王小明"),
        ("たなかさん", "たなかさん"),
        ("김철수", "김철수"),
        ("Иван", "Иван"),
        ("Ἀλέξανδρος", "Ἀλέξανδρος"),
        ("محمد", "محمد"),
        ("राम1", "राम1"),
    ],
)
def test_a_username_of_one_script_is_kept_in_nfc(client: FlaskClient, sent: str, kept: str) -> None:
    response = register(client, username=sent)

    assert response.status_code == 201, response.text
    assert response.json["username"] == kept


@each("username", ["", "a", "ab", "a" * 51, "e\u0301a", "a" * 10_000])
def test_a_username_has_3_to_50_characters_in_nfc(client: FlaskClient, username: str) -> None:
    response = register(client, username=username)

    assert refused_fields(response).keys() == {"#/username"}


@each(
    "username",
    [
        ".ada",
        "ada.",
        "_ada",
        "ada-",
        "...",
        "a da",
        " ada",
        "ada ",
        "ada@example",
        "ada/bob",
        "ada\n",
        "ada\tb",
        "a\u200bda",
        "a\u202eda",
        "a\u200dda",
        "ada😀",
        "a+b",
        "a'b",
        "аda",  # a Cyrillic а before Latin letters
        "adaш",
        "abc\u0660",  # an Arabic digit behind Latin letters
        "ada²",
        "<script>",
        "ada;drop",
        "%00ada",
    ],
)
def test_a_username_of_anything_else_is_refused(client: FlaskClient, username: str) -> None:
    response = register(client, username=username)

    assert refused_fields(response) == {"#/username": "invalid_characters"}


@each("username", ["admin", "root", "me", "system", "ADMIN", "Ｒｏｏｔ"])
def test_a_reserved_username_is_refused(client: FlaskClient, username: str) -> None:
    response = register(client, username=username)

    assert "#/username" in refused_fields(response)


# password


@pytest.mark.parametrize(
    "password",
    [
        "x" * 8,
        "x" * 100,
        "密" * 100,
        "😀" * 100,
        " " * 8,
        " leading and trailing ",
        "tab\tand\nline",
        "\u202epassword",
        "e\u0301" * 100,  # 100 characters in NFC
    ],
)
def test_every_character_counts_as_one_in_a_password(client: FlaskClient, password: str) -> None:
    response = register(client, password=password)

    assert response.status_code == 201, response.text


@each(
    ("password", "code"),
    [
        ("", "password_too_short"),
        ("x" * 7, "password_too_short"),
        ("😀" * 7, "password_too_short"),
        ("e\u0301" * 7, "password_too_short"),  # 14 code points, 7 characters in NFC
        ("x" * 101, "password_too_long"),
        ("x" * 60_000, "password_too_long"),
    ],
)
def test_a_password_beyond_its_bounds_is_refused(
    client: FlaskClient, password: str, code: str
) -> None:
    response = register(client, password=password)

    assert refused_fields(response) == {"#/password": code}


# full_name, bio, avatar_url, locale


@each(
    ("field", "text"),
    [
        ("full_name", ""),
        ("full_name", "x" * 100),
        ("full_name", "😀" * 100),
        ("full_name", "María José O'Brien-Smith Jr."),
        ("full_name", "علی‌رضا"),  # with the joiner that Persian writes
        ("bio", ""),
        ("bio", "x" * 5000),
        ("bio", "密" * 5000),
        ("bio", "two\nlines\tand a tab"),
        ("avatar_url", "https://example.com"),
        ("avatar_url", "HTTP://EXAMPLE.COM/a.png?x=1#y"),
        ("avatar_url", "http://127.0.0.1:8000/a"),
        ("avatar_url", "https://[::1]/a"),
        ("avatar_url", "https://example.com/%C3%BC"),
        ("avatar_url", LONG_URL),
        ("locale", "en"),
        ("locale", "zh"),
    ],
)
def test_a_profile_field_at_its_bound_is_kept_as_it_is(
    client: FlaskClient, token: str, field: str, text: str
) -> None:
    response = edit(client, token, **{field: text})

    assert response.status_code == 200, response.text
    assert response.json[field] == text


@each(
    ("field", "text", "code"),
    [
        ("full_name", "x" * 101, "too_long"),
        ("full_name", "two\nlines", "invalid_characters"),
        ("full_name", "a\ttab", "invalid_characters"),
        ("full_name", "a\rb", "invalid_characters"),
        ("full_name", "a\x1b[31m", "invalid_characters"),
        ("full_name", "a\x7fb", "invalid_characters"),
        ("full_name", "a\x85b", "invalid_characters"),
        ("full_name", "a\u202eb", "invalid_characters"),
        ("full_name", "a\u2066b", "invalid_characters"),
        ("full_name", "a\u202ab", "invalid_characters"),
        ("full_name", "a\u2069b", "invalid_characters"),
        ("full_name", "a\u2060b", "invalid_characters"),
        ("full_name", "a\U000e0001b", "invalid_characters"),
        ("full_name", "a\u2028b", "invalid_characters"),
        ("full_name", "a\ufeffb", "invalid_characters"),
        ("bio", "x" * 5001, "too_long"),
        ("avatar_url", LONG_URL + "a", "too_long"),
        ("avatar_url", "", "invalid_url"),
        ("avatar_url", "example.com/a.png", "invalid_url"),
        ("avatar_url", "/a.png", "invalid_url"),
        ("avatar_url", "//example.com/a.png", "invalid_url"),
        ("avatar_url", "ftp://example.com/a.png", "invalid_url"),
        ("avatar_url", "javascript:alert(1)", "invalid_url"),
        ("avatar_url", "data:image/png;base64,AAAA", "invalid_url"),
        ("avatar_url", "https://", "invalid_url"),
        ("avatar_url", "https:///a.png", "invalid_url"),
        ("avatar_url", "https://exa mple.com", "invalid_url"),
        ("avatar_url", " https://example.com", "invalid_url"),
        ("avatar_url", "https://example.com\n", "invalid_url"),
        ("avatar_url", "https://example.com:99999/", "invalid_url"),
        ("avatar_url", "https://[::1/", "invalid_url"),
        ("locale", "de", "invalid_choice"),
        ("locale", "EN", "invalid_choice"),
        ("locale", "", "invalid_choice"),
    ],
)
def test_a_profile_field_beyond_its_bound_is_refused(
    client: FlaskClient, token: str, field: str, text: str, code: str
) -> None:
    response = edit(client, token, **{field: text})

    assert refused_fields(response) == {f"#/{field}": code}


@each(("field", "text"), [("full_name", "x" * 101), ("full_name", "a\nb"), ("bio", "x" * 5001)])
def test_registration_knows_the_same_rules(client: FlaskClient, field: str, text: str) -> None:
    response = register(client, **{field: text})

    assert refused_fields(response).keys() == {f"#/{field}"}


# Types and unknown fields


@each("value", NOT_STRINGS, ids=repr)
@each("field", ["email", "username", "password", "full_name", "bio"])
def test_registration_takes_nothing_for_a_string(
    client: FlaskClient, field: str, value: Any
) -> None:
    response = register(client, **{field: value})

    assert refused_fields(response) == {f"#/{field}": "invalid"}


@each("value", NOT_STRINGS, ids=repr)
@each("field", ["full_name", "bio", "avatar_url", "username", "locale"])
def test_a_profile_takes_nothing_for_a_string(
    client: FlaskClient, token: str, field: str, value: Any
) -> None:
    response = edit(client, token, **{field: value})

    assert refused_fields(response) == {f"#/{field}": "invalid"}


@each("value", [*NOT_STRINGS, None], ids=repr)
@each("field", ["email", "username", "password"])
def test_login_takes_nothing_for_a_string(client: FlaskClient, field: str, value: Any) -> None:
    identifier = {} if field in ("email", "username") else {"username": "ada"}
    body = {"password": "correct horse"} | identifier | {field: value}

    response = client.post(f"{API}/auth/login", json=body)

    code = "null" if value is None else "invalid"
    assert refused_fields(response)[f"#/{field}"] == code


@each("value", [*NOT_STRINGS, None], ids=repr)
@each("call", ["refresh", "logout"])
def test_a_refresh_token_is_a_string(client: FlaskClient, call: str, value: Any) -> None:
    response = client.post(f"{API}/auth/{call}", json={"refresh_token": value})

    assert refused_fields(response).keys() == {"#/refresh_token"}


@each("field", ["email", "username", "password"])
def test_what_registration_needs_is_required(client: FlaskClient, field: str) -> None:
    account = {name: value for name, value in ACCOUNT.items() if name != field}

    missing = client.post(f"{API}/auth/register", json=account)
    null = client.post(f"{API}/auth/register", json=account | {field: None})

    assert refused_fields(missing) == {f"#/{field}": "required"}
    assert refused_fields(null) == {f"#/{field}": "null"}


@pytest.mark.parametrize("field", ["full_name", "bio"])
def test_what_registration_does_not_need_may_be_null(client: FlaskClient, field: str) -> None:
    response = register(client, **{field: None})

    assert response.status_code == 201
    assert response.json[field] is None


@each(
    "field",
    ["id", "is_superuser", "is_active", "email_verified", "role", "locale", "avatar_url", "Email"],
)
def test_registration_refuses_unknown_fields(client: FlaskClient, field: str) -> None:
    response = register(client, **{field: True})

    assert refused_fields(response) == {f"#/{field}": "unknown_field"}


@each("call", ["login", "refresh", "logout"])
def test_the_other_calls_refuse_unknown_fields_too(client: FlaskClient, call: str) -> None:
    needed = {"username": "ada", "password": "wrong"} if call == "login" else {}

    response = client.post(f"{API}/auth/{call}", json=needed | {"remember": True})

    assert refused_fields(response) == {"#/remember": "unknown_field"}


@pytest.mark.parametrize("identifiers", [{}, {"email": "ada@example.com", "username": "ada"}])
def test_login_wants_exactly_one_identifier(
    client: FlaskClient, identifiers: dict[str, str]
) -> None:
    response = client.post(f"{API}/auth/login", json={"password": "wrong"} | identifiers)

    assert response.status_code == 422


@each("password", ["", " ", "x" * 5000, "\n", "😀", "\u202e"])
@each(
    "identifier", [{"email": "no address"}, {"email": ""}, {"username": ""}, {"username": "@" * 99}]
)
def test_login_has_no_policy(
    client: FlaskClient, identifier: dict[str, str], password: str
) -> None:
    response = client.post(f"{API}/auth/login", json=identifier | {"password": password})

    assert response.status_code == 401
    assert response.json["code"] == "invalid_credentials"


everything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=60),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
fields = st.sampled_from(["email", "username", "password", "full_name", "bio", "x"])


@given(body=st.dictionaries(fields | st.text(max_size=8), everything, max_size=6))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_is_sent_registration_answers_as_the_contract_says(
    client: FlaskClient, body: dict[str, Any]
) -> None:
    response = client.post(f"{API}/auth/register", json=body)

    assert response.status_code in (201, 400, 422), response.text


@given(
    username=st.text(st.characters(codec="utf-8"), min_size=1, max_size=60)
    | st.text(string.ascii_letters + string.digits + "._-", min_size=1, max_size=60)
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_username_that_is_accepted_is_answered_as_it_will_be_accepted_again(
    client: FlaskClient, token: str, username: str
) -> None:
    first = edit(client, token, username=username)
    if first.status_code != 200:
        assert first.status_code == 422
        return

    again = edit(client, token, username=first.json["username"])

    assert again.json["username"] == first.json["username"]


# Characters that real names and pastes have


@each(
    "name",
    [
        "Ada\u200e Lovelace",
        "\u200fعدنان",
        "عدنان\u061c (Adnan)",
        "Lovelace-Byron\u00adbury",
        "Rhys \U0001f3f4\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f",
        "نیلو\u200cفر",
        "👩\u200d💻 Grace",
    ],
)
def test_a_name_may_have_the_invisible_characters_that_real_names_have(
    client: FlaskClient, token: str, name: str
) -> None:
    response = edit(client, token, full_name=name)

    assert response.status_code == 200
    assert response.json["full_name"] == name


@each("control", [*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x2028, 0x2029, 0xFEFF, 0xE0001])
def test_what_reorders_or_breaks_a_name_stays_refused(
    client: FlaskClient, token: str, control: int
) -> None:
    response = edit(client, token, full_name=f"Ada {chr(control)} Lovelace")

    assert refused_fields(response) == {"#/full_name": "invalid_characters"}


# line


@pytest.mark.parametrize("sent", ["", " ", "\u3000", "\u200d", "\u00ad \u200e"])
def test_a_line_says_something(sent: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Line(max_length=10).deserialize(sent)

    assert [message.code for message in refused.value.messages] == ["required"]


def test_a_line_is_cut_off_at_its_space() -> None:
    assert Line(max_length=10).deserialize("  a\u200db ") == "a\u200db"


# what is right or wrong


def test_what_is_longer_than_any_right_value_is_cut_and_stays_wrong() -> None:
    assert Checked(longest=10).deserialize("a" * 60_000) == "a" * 11


# instants


@pytest.mark.parametrize(("digits", "is_read"), [(9, True), (43, True), (44, False), (4000, False)])
def test_an_instant_has_64_characters_at_most(digits: int, is_read: bool) -> None:
    written = f"2026-11-22T08:00:00.{'0' * digits}Z"

    if is_read:
        assert InstantParameter().deserialize(written) == datetime(2026, 11, 22, 8, tzinfo=UTC)
    else:
        with pytest.raises(ValidationError):
            InstantParameter().deserialize(written)
