"""What counts as a value in the file of another system, and what does not."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask

from app import clock
from app.moving import values
from app.moving.rows import UnfitRow
from tests.moving.conftest import Write, everybody, outcomes

Report = Callable[..., list[dict[str, Any]]]

NOTHING = ["", "NULL", "null", "\\N", "None", "(null)", "<NULL>", "NaN", "N/A", "undefined"]
NO_TIME = [
    *NOTHING,
    *("0", "0.0", "false", "False", "FALSE", "f", "no", "never", "nil", "-", "-infinity"),
    *("0000-00-00 00:00:00", "0000-00-00", "0000-00-00T00:00:00Z", "00/00/0000", "00:00.0"),
    *("0001-01-01 00:00:00", "0001-01-01T00:00:00Z", "1753-01-01", "1899-12-30 00:00:00"),
    *("1900-01-01 00:00:00", "1970-01-01 00:00:00", "1970-01-01T00:00:00+00:00"),
    *("1969-12-31 16:00:00-08", "--", "0000-01-01", "-0001-11-30 00:00:00"),
    *("Mon, 01 Jan 0001 00:00:00 GMT", "1 Jan 0000 00:00:00", "Thu Jan  1 00:00:00 1970"),
]
UNREADABLE = ["true", "1", "yes", "soon", "2021-13-40", "12:30", "9999-12-31 23:59:59", "infinity"]
UNREADABLE += ["44317", "-1", "1e9", "{}", "2021-05-01T10:00:00+99:00", "5/1/2021 10:00"]
UNREADABLE += ["t", "T", "z", ":", "rejected, 01 May 2021 10:00:00 GMT", "1 May 21 10:00:00"]

# System → the column that tells when or whether the address was confirmed, and one of each kind.
CONFIRMED = {
    "flask-security": "confirmed_at",
    "supabase": "email_confirmed_at",
    "fastapi-users": "is_verified",
    "auth0": "email_verified",
    "firebase": "emailVerified",
}
OF_TIMES = ("flask-security", "supabase")
PASSWORDS = {
    "flask-security": "password",
    "supabase": "encrypted_password",
    "fastapi-users": "hashed_password",
    "auth0": "passwordHash",
    "firebase": "passwordHash",
    "django": "password",
}
NAMES = {
    "django": ("first_name", "last_name", "username"),
    "auth0": ("name", "username", "picture"),
    "firebase": ("displayName", "photoUrl"),
    "fastapi-users": ("username",),
    "flask-security": ("username",),
}
CREATED = {
    "flask-security": "create_datetime",
    "supabase": "created_at",
    "fastapi-users": "created_at",
    "auth0": "created_at",
    "firebase": "createdAt",
    "django": "date_joined",
}


def in_csv(write: Write, row: dict[str, Any]) -> Any:
    quoted = (f'"{value}"' for value in row.values())
    return write(",".join(row), ",".join(quoted), name="users.csv")


@pytest.mark.parametrize("word", NO_TIME)
def test_no_way_to_write_nothing_is_a_time(word: str) -> None:
    assert values.instant(word) is None
    assert values.is_past(word) is False


@pytest.mark.parametrize("word", UNREADABLE)
def test_what_cannot_be_read_as_a_time_in_the_past_confirms_nothing(word: str) -> None:
    with pytest.raises(UnfitRow):
        values.is_past(word)


@pytest.mark.parametrize(
    "value",
    [
        *("2021-05-01 10:00:00", "2021-05-01 10:00:00.000000", "2021-05-01T12:00:00+02:00"),
        *("2021-05-01 10:00:00+00", "2021-05-01 10:00:00 UTC", "Sat, 01 May 2021 10:00:00 GMT"),
        *("1 May 2021 12:00:00 +0200", "Sat May  1 10:00:00 2021"),
        "Sat May 01 2021 10:00:00 GMT+0000 (Coordinated Universal Time)",
        *(1619863200, "1619863200", 1619863200000, "1619863200000000"),
        *({"$date": "2021-05-01T10:00:00Z"}, {"$date": {"$numberLong": "1619863200000"}}),
    ],
    ids=str,
)
def test_a_time_is_read_in_every_usual_form(value: Any) -> None:
    assert values.instant(value) == datetime(2021, 5, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize("word", ["TRUE", "True", "t", "1", "1.0", "yes", "on", "\x01", 1, True])
def test_a_flag_is_true_in_every_usual_form(word: Any) -> None:
    assert values.flag(word) is True


@pytest.mark.parametrize(
    "word",
    [*NOTHING, "FALSE", "False", "f", "0", "0.0", "no", "off", "\x00", 0, False, None, "nil"],
)
def test_no_way_to_write_nothing_or_no_is_a_flag(word: Any) -> None:
    assert values.flag(word) is False


def test_people_may_be_called_null() -> None:
    assert [values.text(name) for name in ("Null", "NULL", "Nan", "None")] == [
        *("Null", None, "Nan", None)
    ]


@pytest.mark.parametrize("system", CONFIRMED)
@pytest.mark.parametrize("word", [*NOTHING, "false", "0", "0000-00-00 00:00:00"])
def test_no_address_is_confirmed_by_a_way_to_write_nothing(
    app: Flask, write: Write, report: Report, system: str, word: str
) -> None:
    if system not in OF_TIMES and word.startswith("0000"):
        pytest.skip("not what a boolean is exported as")
    row = {"id": 7, "email": "ada@example.com", CONFIRMED[system]: word}
    as_json = json.dumps(row | {"id": 8, "email": "bob@example.com"})

    report(in_csv(write, row), "--from", system)
    report(write(as_json), "--from", system)

    assert [user["email_verified"] for user in everybody(app)] == [False, False]


@pytest.mark.parametrize("system", OF_TIMES)
def test_a_confirmation_that_cannot_be_read_refuses_the_row(
    app: Flask, write: Write, report: Report, system: str
) -> None:
    row = {"id": 7, "email": "ada@example.com", CONFIRMED[system]: "probably"}

    assert outcomes(report(in_csv(write, row), "--from", system)) == [("refused", "malformed")]


@pytest.mark.parametrize("system", PASSWORDS)
@pytest.mark.parametrize("word", ["NULL", "\\N", "None", "null"])
def test_no_way_to_write_nothing_is_a_password_a_name_or_a_time(
    app: Flask, write: Write, report: Report, system: str, word: str
) -> None:
    columns = {PASSWORDS[system], CREATED[system], *NAMES.get(system, ())}
    row = {"id": 7, "email": "ada@example.com"} | dict.fromkeys(sorted(columns), word)

    (told,) = report(in_csv(write, row), "--from", system)

    (user,) = everybody(app)
    assert "left_out" not in told
    assert (user["hashed_password"], user["full_name"], user["avatar_url"]) == (None, None, None)
    assert (user["username"], user["created_at"].year >= 2021) == ("ada", True)


def test_half_a_name_of_nothing_is_not_part_of_the_name(
    app: Flask, write: Write, report: Report
) -> None:
    row = {"id": 1, "email": "ada@example.com", "password": "!", "first_name": "Ada"}

    report(in_csv(write, row | {"last_name": "NULL"}), "--from", "django")

    assert everybody(app)[0]["full_name"] == "Ada"


@pytest.mark.parametrize("word", ["NULL", "0000-00-00 00:00:00", "None", "0", "\\N"])
def test_a_date_of_nothing_does_not_say_that_somebody_was_deleted_or_banned(
    app: Flask, write: Write, report: Report, word: str
) -> None:
    row = {"id": 1, "email": "ada@example.com", "deleted_at": word, "banned_until": word}

    report(in_csv(write, row), "--from", "supabase")

    assert everybody(app)[0]["is_active"]


def test_a_ban_for_ever_is_a_ban(app: Flask, write: Write, report: Report) -> None:
    row = {"id": 1, "email": "ada@example.com", "banned_until": "infinity"}

    report(in_csv(write, row), "--from", "supabase")

    assert not everybody(app)[0]["is_active"]


def test_our_own_csv_may_have_been_through_a_spreadsheet(
    app: Flask, write: Write, report: Report
) -> None:
    file = write(
        "email;username;full_name;is_active;email_verified;hashed_password",
        "ada@example.com;ada;NULL;TRUE;FALSE;NULL",
        "bob@example.com;bob;'NULL;FALSE;TRUE;",
        name="accounts.csv",
    )

    assert outcomes(report(file)) == [("created", None)] * 2

    ada, bob = everybody(app)
    assert (ada["is_active"], ada["email_verified"], ada["full_name"]) == (True, False, None)
    assert (bob["is_active"], bob["email_verified"], bob["full_name"]) == (False, True, "NULL")


@pytest.mark.parametrize("value", [True, [], {}, {"a": 1}])
def test_what_is_no_text_does_not_become_a_name(
    app: Flask, write: Write, report: Report, value: Any
) -> None:
    (told,) = report(
        write({"user_id": "x", "email": "ada@example.com", "name": value}), "--from", "auth0"
    )

    assert everybody(app)[0]["full_name"] is None
    assert told["left_out"] == ["full_name"]


@pytest.mark.parametrize("system", CREATED)
def test_nobody_registered_in_the_future_or_at_a_time_that_is_none(
    app: Flask, write: Write, report: Report, system: str
) -> None:
    words = ["infinity", "9999-12-31 23:59:59", "2222-02-22", "true", "T"]
    # Django's rows are told by a password.
    password = {"password": "!"} if system == "django" else {}
    rows = (
        {"id": number, "email": f"ada{number}@example.com", CREATED[system]: word} | password
        for number, word in enumerate(words)
    )

    told = report(write(*map(json.dumps, rows)), "--from", system)

    assert [row.get("left_out") for row in told] == [["created_at"]] * len(words)
    assert all(user["created_at"] <= clock.now() for user in everybody(app))


@pytest.mark.parametrize("column", ["created_at", "updated_at", "deletion_due_at"])
def test_our_own_file_holds_no_time_that_means_never(
    write: Write, report: Report, column: str
) -> None:
    row = {"email": "ada@example.com", "username": "ada"}
    words = ["0001-01-01T00:00:00Z", "1970-01-01", "0001-01-01T00:00:00+14:00", "t", 0, False]
    words += ["9999-12-31T23:59:59Z"] * (column != "deletion_due_at")

    told = report(write(*(row | {column: word} for word in words)))

    assert [row.get("fields") for row in told] == [{column: "invalid"}] * len(words)


def test_whether_somebody_was_deleted_or_banned_is_never_guessed(
    write: Write, report: Report
) -> None:
    words = ["T", "true", "1", "gone", "rejected, 01 May 2021 10:00:00 GMT"]
    rows = (
        {"id": 7, "email": "ada@example.com", column: word}
        for column in ("deleted_at", "banned_until")
        for word in words
    )

    told = report(write(*map(json.dumps, rows)), "--from", "supabase")

    assert outcomes(told) == [("refused", "malformed")] * len(told)
