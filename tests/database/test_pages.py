"""Pages: nothing twice, nothing lost, and cursors that nobody can make."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from itsdangerous import URLSafeSerializer
from sqlalchemy import delete

from app.administration import directory
from app.errors import ValidationFailed
from app.extensions import db
from app.models import User
from tests.cases import each
from tests.conftest import SECRET_KEY

# Few instants, so that many rows share one: with and without a fraction of a second.
INSTANTS = [
    datetime(2026, 1, 1, tzinfo=UTC) + timedelta(milliseconds=step) for step in (0, 1, 500, 1000)
]
# Text that locales sort otherwise than bytes.
LETTERS = "aAbB_-.9zéß密"

people = st.tuples(st.text(LETTERS, min_size=1, max_size=3), st.sampled_from([None, *INSTANTS]))
# What happens between two pages: some come, and of those who are there some go.
changes = st.lists(
    st.tuples(
        st.lists(people, max_size=3), st.lists(st.integers(min_value=0, max_value=50), max_size=3)
    ),
    max_size=8,
)


class Crowd:
    """Who is there, who ever came, and who stood all the time."""

    def __init__(self) -> None:
        self.there: list[int] = []
        self.came = 0

    def come(self, newcomers: list[tuple[str, datetime | None]]) -> None:
        for text, created_at in newcomers:
            self.came += 1
            user = User(
                email=f"{text.lower()}{self.came}@example.com",
                username=f"{text}{self.came}",
                username_key=f"{text.casefold()}{self.came}",
                # None: the database's own now(), which SQLite writes without a fraction.
                **({"created_at": created_at} if created_at else {}),
            )
            db.session.add(user)
            db.session.flush()
            self.there.append(user.id)
        db.session.commit()

    def go(self, places: list[int]) -> None:
        going = {self.there[place % len(self.there)] for place in places if self.there}
        self.there = [user_id for user_id in self.there if user_id not in going]
        db.session.execute(delete(User).where(User.id.in_(going)))
        db.session.commit()


def pages(limit: int, **query: Any) -> Iterator[list[int]]:
    cursor = None
    while True:
        page = directory.find(limit=limit, cursor=cursor, **query)
        yield [user.id for user in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return


@pytest.mark.parametrize("sort", directory.SORTS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    first=st.lists(people, max_size=12),
    between=changes,
    limit=st.integers(min_value=1, max_value=4),
)
def test_whoever_stands_throughout_comes_exactly_once(
    app: Flask,
    sort: str,
    first: list[tuple[str, datetime | None]],
    between: list[tuple[list[tuple[str, datetime | None]], list[int]]],
    limit: int,
) -> None:
    with app.test_request_context():
        db.session.execute(delete(User))
        crowd = Crowd()
        crowd.come(first)
        stood, seen = set(crowd.there), []
        happenings = iter(between)

        for page in pages(limit, sort=sort):
            seen += page
            newcomers, leavers = next(happenings, ([], []))
            crowd.come(newcomers)
            crowd.go(leavers)
            stood &= set(crowd.there)

        assert len(seen) == len(set(seen))
        assert stood <= set(seen)


@pytest.mark.parametrize("sort", directory.SORTS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=st.lists(people, max_size=12), limit=st.integers(min_value=1, max_value=4))
def test_the_pages_together_are_the_whole_list_in_order(
    app: Flask, sort: str, first: list[tuple[str, datetime | None]], limit: int
) -> None:
    with app.test_request_context():
        db.session.execute(delete(User))
        Crowd().come(first)
        everybody = list(db.session.scalars(db.select(User)))
        keys = {
            "id": lambda user: user.id,
            "created_at": lambda user: (user.created_at, user.id),
            "email": lambda user: user.email.encode(),
            "username": lambda user: user.username_key.encode(),
        }
        name = sort.removeprefix("-")
        expected = sorted(everybody, key=keys[name], reverse=sort != name)

        found = [user_id for page in pages(limit, sort=sort) for user_id in page]

        assert found == [user.id for user in expected]


# Cursors


def some_cursor(app: Flask, **query: Any) -> str:
    with app.test_request_context():
        cursor = directory.find(limit=1, **query).next_cursor
    assert cursor is not None
    return cursor


def is_refused(app: Flask, cursor: str, **query: Any) -> bool:
    with app.test_request_context():
        try:
            directory.find(limit=1, cursor=cursor, **query)
        except ValidationFailed as refusal:
            (error,) = refusal.members["errors"]
            assert (error["parameter"], error["code"]) == ("cursor", "invalid_cursor")
            return True
        return False


@each(
    "other",
    [
        {"sort": "-id"},
        {"sort": "email"},
        {"q": "ada"},
        {"is_active": True},
        {"is_active": False},
        {"created_after": INSTANTS[0]},
        {"created_before": INSTANTS[0]},
    ],
    ids=str,
)
def test_a_cursor_is_good_for_its_own_query_alone(
    app: Flask, ada: User, bob: User, other: dict[str, Any]
) -> None:
    cursor = some_cursor(app)

    assert not is_refused(app, cursor)
    assert is_refused(app, cursor, **other)


def test_a_filter_is_not_taken_for_another_of_the_same_value(
    app: Flask, ada: User, bob: User
) -> None:
    cursor = some_cursor(app, is_active=True)

    assert is_refused(app, cursor, is_superuser=True)
    assert is_refused(app, cursor, q="True")


def test_the_limit_may_change_from_page_to_page(app: Flask, ada: User, bob: User) -> None:
    cursor = some_cursor(app)

    with app.test_request_context():
        page = directory.find(limit=100, cursor=cursor)

    assert [user.id for user in page.items] == [bob.id]
    assert page.next_cursor is None


def test_a_cursor_of_another_secret_is_refused(app: Flask, ada: User, bob: User) -> None:
    genuine = some_cursor(app)
    payload = genuine.partition(".")[0]

    forged = [
        URLSafeSerializer(key, salt=salt).dumps([ada.id])
        for key in ("", "secret", SECRET_KEY)
        for salt in ("cursor", "itsdangerous")
    ]

    assert [cursor for cursor in forged if not is_refused(app, str(cursor))] == []
    assert is_refused(app, payload)
    assert is_refused(app, f"{payload}.")


def test_no_changed_character_of_a_cursor_goes_unseen(app: Flask, ada: User, bob: User) -> None:
    genuine = some_cursor(app)
    # The last one carries bits that base64 does not use.
    changed = [
        genuine[:place] + ("A" if genuine[place] != "A" else "B") + genuine[place + 1 :]
        for place in range(len(genuine) - 1)
    ]

    assert [cursor for cursor in changed if not is_refused(app, cursor)] == []


@each("nonsense", ["", ".", "x", "é", "null", "W10.x", "A" * 5000, "\ud7ff", "%00"])
def test_nonsense_is_no_cursor(app: Flask, ada: User, nonsense: str) -> None:
    assert is_refused(app, nonsense)


def test_an_empty_list_has_no_next_page(app: Flask) -> None:
    with app.test_request_context():
        page = directory.find(limit=1)

    assert (list(page.items), page.next_cursor) == ([], None)


def test_a_page_is_one_statement(app: Flask, ada: User, bob: User, statements: list[str]) -> None:
    cursor = some_cursor(app, sort="-created_at")
    statements.clear()

    with app.test_request_context():
        directory.find(limit=1, cursor=cursor, sort="-created_at")

    assert len(statements) == 1


def test_everybody_is_read_in_batches(app: Flask, ada: User, bob: User, grace: User) -> None:
    with app.app_context():
        batches = directory.pages.everything(db.select(User), directory._order("id"), batch=2)

        assert [[user.id for user in batch] for batch in batches] == [[ada.id, bob.id], [grace.id]]
