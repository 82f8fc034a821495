"""GET /users"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.models import User
from tests.cases import each
from tests.factories import (
    API,
    bearer,
    log_in,
    make_user,
    permit,
    problem,
    refused_fields,
)

USER_KEYS = {
    *("id", "email", "username", "full_name", "bio", "avatar_url", "is_active", "is_superuser"),
    *("email_verified", "locale", "created_at", "updated_at"),
}

Find = Callable[..., TestResponse]


@pytest.fixture
def find(client: FlaskClient, grace: User) -> Find:
    """Ask as Grace; a query may be given as text, to the letter."""
    headers = bearer(log_in(client, grace)["access_token"])

    def get(text: str | None = None, **query: str) -> TestResponse:
        return client.get(
            f"{API}/users", query_string=query if text is None else text, headers=headers
        )

    return get


def names(response: TestResponse) -> list[str]:
    assert response.status_code == 200, response.text
    return [user["username"] for user in response.json["items"]]


def make(app: Flask, name: str, **columns: Any) -> User:
    columns.setdefault("email", f"{name}@example.com")
    return make_user(app, username=name, password_hash=None, **columns)


# The page


def test_a_page_is_the_one_of_the_contract(find: Find, ada: User, grace: User) -> None:
    response = find()

    assert response.json.keys() == {"items", "next_cursor"}
    assert response.json["next_cursor"] is None
    assert all(user.keys() == USER_KEYS for user in response.json["items"])
    assert response.headers["Cache-Control"] == "no-store"


def test_twenty_come_unless_said_otherwise_and_the_others_on_the_next_page(
    find: Find, app: Flask
) -> None:
    for number in range(24):
        make(app, f"user{number}")

    first = find()
    second = find(cursor=first.json["next_cursor"])

    assert len(first.json["items"]) == 20
    assert len(second.json["items"]) == 5
    assert second.json["next_cursor"] is None
    assert not set(names(first)) & set(names(second))


def test_a_page_that_is_just_full_is_the_last(find: Find, ada: User) -> None:
    response = find(limit="2")

    assert len(response.json["items"]) == 2
    assert response.json["next_cursor"] is None


@each(
    ("limit", "code"),
    [
        ("0", "out_of_range"),
        ("101", "out_of_range"),
        ("-1", "out_of_range"),
        ("1" + "0" * 30, "out_of_range"),
        ("9" * 5000, "out_of_range"),
        ("", "invalid"),
        ("ten", "invalid"),
        ("1.0", "invalid"),
        (" 1", "invalid"),
        ("+1", "invalid"),
        ("1_0", "invalid"),
        ("0x10", "invalid"),
        ("٢", "invalid"),
        ("true", "invalid"),
        ("null", "invalid"),
    ],
)
def test_a_limit_out_of_bounds_is_refused_and_never_cut(find: Find, limit: str, code: str) -> None:
    assert refused_fields(find(limit=limit)) == {"limit": code}


@each("limit", ["1", "100"])
def test_the_bounds_of_the_limit_are_within(find: Find, limit: str) -> None:
    assert find(limit=limit).status_code == 200


def test_a_cursor_that_is_none_is_refused(find: Find) -> None:
    assert refused_fields(find(cursor="nonsense")) == {"cursor": "invalid_cursor"}


def test_a_cursor_of_another_list_is_refused(
    find: Find, client: FlaskClient, grace: User, ada: User
) -> None:
    cursor = find(limit="1").json["next_cursor"]
    headers = bearer(log_in(client, grace)["access_token"])

    for other in ("users/audit", f"users/{ada.id}/audit", "roles", "users/me/activity"):
        response = client.get(f"{API}/{other}", query_string={"cursor": cursor}, headers=headers)
        assert refused_fields(response) == {"cursor": "invalid_cursor"}


# Filters


def test_flags_are_filtered_by(find: Find, app: Flask, ada: User) -> None:
    make(app, "idle", active=False)
    make(app, "verified", email_verified=True)

    assert names(find(is_active="false")) == ["idle"]
    assert names(find(is_active="true")) == ["grace", "ada", "verified"]
    assert names(find(is_superuser="true")) == ["grace"]
    assert names(find(is_superuser="false")) == ["ada", "idle", "verified"]
    assert names(find(email_verified="true")) == ["ada", "verified"]
    assert names(find(email_verified="false", is_superuser="false")) == ["idle"]


@each("name", ["is_active", "is_superuser", "email_verified"])
@each("word", ["True", "1", "0", "yes", "on", "", "null", "tru", "TRUE", " true"])
def test_a_flag_is_true_or_false_and_nothing_like_it(find: Find, name: str, word: str) -> None:
    assert refused_fields(find(**{name: word})) == {name: "invalid_choice"}


def test_created_after_includes_its_instant_and_created_before_does_not(
    find: Find, app: Flask
) -> None:
    noon = datetime(2020, 1, 1, 12, tzinfo=UTC)
    make(app, "before", created_at=noon.replace(hour=11))
    make(app, "sharp", created_at=noon)
    make(app, "after", created_at=noon.replace(microsecond=1))

    until_2021 = {"created_before": "2021-01-01T00:00:00Z"}
    assert names(find(created_after="2020-01-01T12:00:00Z", **until_2021)) == ["sharp", "after"]
    assert names(find(created_before="2020-01-01T12:00:00Z")) == ["before"]
    assert names(find(created_before="2020-01-01T12:00:00.000001Z")) == ["before", "sharp"]
    assert names(find(created_after="2020-01-01T14:00:00.0+02:00", **until_2021)) == [
        "sharp",
        "after",
    ]


def test_an_instant_that_the_database_wrote_itself_is_included_too(find: Find, ada: User) -> None:
    # SQLite's own now() has no fraction.
    instant = ada.created_at.replace(microsecond=0).isoformat().replace("+00:00", "Z")

    assert "ada" in names(find(created_after=instant))
    assert "ada" not in names(find(created_before=instant))


@each(
    "instant",
    [
        "2026-11-22",
        "2026-11-22T08:00:00",
        "2026-11-22T08:00Z",
        "2026-13-22T08:00:00Z",
        "2026-11-31T08:00:00Z",
        "2026-11-22T25:00:00Z",
        "2026-11-22T08:00:00+25:00",
        "2026-11-22T08:00:00+0100",
        "20261122T080000Z",
        "yesterday",
        "1700000000",
        "",
        "٢026-11-22T08:00:00Z",
        "2026-W47-7T08:00:00Z",
        "-infinity",
    ],
)
@each("name", ["created_after", "created_before"])
def test_an_instant_without_zone_or_sense_is_refused(find: Find, name: str, instant: str) -> None:
    assert refused_fields(find(**{name: instant})) == {name: "invalid_instant"}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"created_after": "0001-01-01T00:00:00+23:59"}, True),
        ({"created_before": "0001-01-01T00:00:00+23:59"}, False),
        ({"created_after": "9999-12-31T23:59:59-23:59"}, False),
        ({"created_before": "9999-12-31T23:59:59-23:59"}, True),
    ],
    ids=str,
)
def test_the_ends_of_time_are_instants(find: Find, query: dict[str, str], found: bool) -> None:
    assert bool(names(find(**query))) is found


# Order


def test_the_order_is_by_bytes_on_every_database(find: Find, app: Flask) -> None:
    for name in ("b_b", "bb", "b.a", "b-z", "B1x", "épi", "zed"):
        make(app, name, email=f"{name.lower().replace('é', 'e')}@example.com")

    by_email = [user["email"] for user in find(sort="email").json["items"]]
    by_username = [user["username"].casefold() for user in find(sort="username").json["items"]]

    assert by_email == sorted(by_email)
    assert by_username == sorted(by_username, key=str.encode)
    assert by_username[-1] == "épi"


def test_newest_first(find: Find, app: Flask, grace: User) -> None:
    make(app, "older", created_at=datetime(2020, 1, 1, tzinfo=UTC))
    make(app, "oldest", created_at=datetime(2019, 1, 1, tzinfo=UTC))

    assert names(find(sort="-created_at")) == ["grace", "older", "oldest"]
    assert names(find(sort="created_at")) == ["oldest", "older", "grace"]
    assert names(find(sort="-id")) == ["oldest", "older", "grace"]


# Searching


def test_q_is_found_in_email_username_and_full_name(find: Find, app: Flask) -> None:
    make(app, "one", email="needle@example.com")
    make(app, "needled")
    make(app, "three", full_name="A Needle in the Hay")
    make(app, "four", bio="needle")

    assert names(find(q="needle")) == ["one", "needled", "three"]


@pytest.mark.parametrize("q", ["émile", "ÉMILE", "mile zo", "E ZOLA", "Zola%", "%", "Émile Zola%"])
def test_q_is_looked_for_whatever_the_case(find: Find, app: Flask, q: str) -> None:
    make(app, "emil", full_name="Émile Zola%")

    assert names(find(q=q)) == ["emil"]


@pytest.mark.parametrize(
    "special", ["%", "_", "/", "\\", "'", '"', "[", "*", ".*", ";--", "$1", "?"]
)
def test_special_characters_mean_themselves(find: Find, app: Flask, special: str) -> None:
    make(app, "plain", full_name="abcdef")
    make(app, "special", full_name=f"abc{special}def")

    assert names(find(q=f"bc{special}de")) == ["special"]
    assert names(find(q=special)) == ["special"]
    assert names(find(q=special * 3)) == []


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("l", ["grace", "lin", "wang", "ada"]),
        ("LO", ["ada"]),
        ("王", ["wang"]),
        ("芳", ["wang"]),
        ("da", ["ada"]),
        ("gr", ["grace"]),
        ("@e", ["grace", "lin", "wang", "ada"]),
        ("_", []),
        ("%", []),
        (" ", ["ada"]),
    ],
)
def test_one_or_two_characters_may_stand_anywhere_too(
    find: Find, app: Flask, q: str, found: list[str]
) -> None:
    make(app, "lin", email="xin@example.com")
    make(app, "wang", email="fang@example.com", full_name="王芳")
    make(app, "ada", email="adeline@example.com", full_name="Ada Lovelace")

    assert names(find(q=q)) == found


def test_a_text_is_not_found_across_two_fields(find: Find, app: Flask) -> None:
    make(app, "ada", full_name="Lovelace")

    assert names(find(q="example.comada")) == []
    assert names(find(q="example.com ada")) == []
    assert names(find(q="adalovelace")) == []


def test_an_empty_q_leaves_nobody_out(find: Find, ada: User) -> None:
    assert names(find(q="")) == ["grace", "ada"]


@each(
    ("q", "code"),
    [
        ("a\0b", "invalid_characters"),
        ("a\nb", "invalid_characters"),
        ("a\u202eb", "invalid_characters"),
        ("x" * 255, "too_long"),
    ],
)
def test_what_no_field_can_hold_is_not_looked_for(find: Find, q: str, code: str) -> None:
    assert refused_fields(find(q=q)) == {"q": code}


def test_filters_a_search_an_order_and_pages_go_together(find: Find, app: Flask) -> None:
    for number in (3, 1, 2):
        make(app, f"hopper{number}", active=False)
    make(app, "hopper4")

    query = {"q": "hopper", "is_active": "false", "sort": "username", "limit": "2"}
    first = find(**query)
    second = find(**query, cursor=first.json["next_cursor"])

    assert names(first) + names(second) == ["hopper1", "hopper2", "hopper3"]


# Probing


@each(
    "sort",
    [
        *("hashed_password", "-hashed_password", "id;--", "(select 1)", "id desc", "ID", "--id"),
        *("username_key", "-email", "1", "", "id,email", "users.id", "deletion_due_at", "id\0"),
    ],
)
def test_no_other_order_can_be_asked_for(find: Find, sort: str) -> None:
    assert refused_fields(find(sort=sort))["sort"] in ("invalid_choice", "invalid_characters")


@each(
    "name",
    [
        *("hashed_password", "hashed_password__startswith", "password", "id", "email", "username"),
        *("full_name", "offset", "page", "per_page", "fields", "Q", "q[]", "__class__", "limit "),
        *("deletion_due_at", "is_active__ne", "or", "where", "order_by", "include"),
    ],
)
def test_no_other_filter_can_be_asked_for(find: Find, name: str) -> None:
    assert refused_fields(find(**{name: "$2b"})) == {name: "unknown_field"}


@each("name", ["q", "sort", "limit", "cursor", "is_active", "created_after", "nonsense"])
def test_a_parameter_is_given_once(find: Find, name: str) -> None:
    assert refused_fields(find(f"{name}=1&{name}=1")) == {name: "repeated"}


@each(
    "q",
    [
        "' OR 1=1 --",
        "'; DROP TABLE users; --",
        "') UNION SELECT hashed_password FROM users --",
        "%' AND hashed_password LIKE '$2b%",
        "\\'; SELECT pg_sleep(9); --",
        "{{7*7}}",
        "%(q)s %s :q",
    ],
)
def test_sql_in_q_is_text(find: Find, ada: User, q: str) -> None:
    assert names(find(q=q)) == []
    assert names(find()) == ["grace", "ada"]


def test_a_query_that_is_no_utf_8_is_refused(find: Find) -> None:
    assert problem(find("q=%ff")) == (400, "bad_request")


@each("user_id", ["1" + "0" * 30, "9223372036854775808", "9" * 5000, "0"])
@each(
    ("method", "rest"),
    [
        ("PATCH", ""),
        ("DELETE", ""),
        ("GET", "/sessions"),
        ("DELETE", "/sessions"),
        ("POST", "/password-reset"),
        ("GET", "/roles"),
    ],
)
def test_an_id_beyond_all_ids_is_not_found(
    client: FlaskClient, grace: User, user_id: str, method: str, rest: str
) -> None:
    headers = bearer(log_in(client, grace)["access_token"])
    body = {} if method == "PATCH" else None

    response = client.open(
        f"{API}/users/{user_id}{rest}", method=method, headers=headers, json=body
    )

    assert problem(response) == (404, "not_found")


@each("user_id", ["1;--", "1'", "1%00", "-1", "1.0", "x", "%D9%A2", "1%20"])
def test_what_is_no_number_is_no_route(client: FlaskClient, grace: User, user_id: str) -> None:
    headers = bearer(log_in(client, grace)["access_token"])

    response = client.get(f"{API}/users/{user_id}/audit", headers=headers)

    assert problem(response) == (404, "not_found")


# Who may


def test_who_may_see_all_may_list(app: Flask, client: FlaskClient, ada: User, bob: User) -> None:
    permit(app, ada, "users:read")
    headers = bearer(log_in(client, ada)["access_token"])

    listed = client.get(f"{API}/users", headers=headers)

    assert names(listed) == ["ada", "bob"]


def test_who_may_is_asked_before_what_was_sent(client: FlaskClient, ada: User) -> None:
    headers = bearer(log_in(client, ada)["access_token"])

    response = client.get(f"{API}/users?{quote('sort=(select 1)', safe='=')}", headers=headers)

    assert problem(response) == (403, "not_enough_permissions")


def test_a_superuser_needs_no_second_statement_and_others_one(
    app: Flask,
    client: FlaskClient,
    ada: User,
    grace: User,
    statements: list[str],
) -> None:
    permit(app, ada, "users:read")
    numbers = []
    for user in (grace, ada):
        headers = bearer(log_in(client, user)["access_token"])
        statements.clear()
        assert client.get(f"{API}/users", headers=headers).status_code == 200
        numbers.append(len(statements))

    # The session with its user, and the list.
    assert numbers == [2, 3]


# Years of less than four digits


@pytest.mark.parametrize("year", [1, 33, 999, 1000, 9999])
def test_an_account_of_any_year_is_written_as_rfc_3339_wants_it(
    app: Flask, find: Find, year: int
) -> None:
    instant = datetime(year, 6, 1, 12, 30, 59, 999_999, tzinfo=UTC)
    make(app, "old", created_at=instant, updated_at=instant)

    (old,) = find(q="old").json["items"]

    assert old["created_at"] == old["updated_at"] == f"{year:04}-06-01T12:30:59Z"
    assert names(find(q="old", created_after=old["created_at"])) == ["old"]


@pytest.mark.parametrize("sort", ["created_at", "-created_at"])
def test_pages_by_date_go_past_accounts_of_any_year(app: Flask, find: Find, sort: str) -> None:
    for year in (1, 999, 9999):
        make(app, f"of{year}", created_at=datetime(year, 1, 1, tzinfo=UTC))

    seen: list[str] = []
    page = find(sort=sort, limit="1")
    while True:
        seen += names(page)
        if page.json["next_cursor"] is None:
            break
        page = find(sort=sort, limit="1", cursor=page.json["next_cursor"])

    in_order = ["of1", "of999", "grace", "of9999"]
    assert seen == (in_order if sort == "created_at" else in_order[::-1])
