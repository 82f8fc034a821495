"""What a route of one's own does to the current user is written, and reading costs one statement"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import flask_jwt_extended
import pytest
import sqlalchemy
from flask import Flask
from flask_jwt_extended import jwt_required, verify_jwt_in_request
from sqlalchemy import event, select, update
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm.attributes import flag_modified, set_committed_value
from werkzeug.test import TestResponse

from app import clock
from app.access import guards
from app.access.guards import freshly_signed_in, signed_in
from app.extensions import db
from app.models import Session, User
from tests.api_keys.calls import create
from tests.cookies import browser, sign_in
from tests.factories import API, bearer, log_in

Guard = Callable[[Callable[..., Any]], Callable[..., Any]]
View = Callable[[], Any]

# How a route of one's own is guarded, and how it gets at the user.
GUARDS: dict[str, Guard] = {"jwt_required": jwt_required(), "signed_in": signed_in}
USERS: dict[str, Callable[[], User]] = {
    "flask_jwt_extended.current_user": lambda: flask_jwt_extended.current_user,
    "get_current_user": flask_jwt_extended.get_current_user,
    "access.current_user": guards.current_user,
}
WAYS = [(guard, user) for guard in GUARDS for user in USERS]
# Alone here the user is read outside `db.session`, as in the routes of the house.
TWO_OBJECTS = ("signed_in", "access.current_user")
by_every_way = pytest.mark.parametrize(("guard", "user"), WAYS)


@pytest.fixture
def ask(new_app: Callable[..., Flask], ada: User) -> Callable[[str, View], TestResponse]:
    """The answer to ada by a route that is guarded so and does that."""

    def ask(guard: str, view: View) -> TestResponse:
        app = new_app()

        def answered() -> dict[str, Any]:
            return {"answer": view()}

        app.add_url_rule("/own", view_func=GUARDS[guard](answered))
        client = app.test_client()
        return client.get("/own", headers=bearer(log_in(client, ada)["access_token"]))

    return ask


Ask = Callable[[str, View], TestResponse]


def stored(app: Flask, user: User) -> User:
    with app.app_context():
        row = db.session.get(User, user.id)
        assert row is not None
        db.session.expunge(row)
        return row


@contextmanager
def statements_of(kind: str = "") -> Iterator[list[str]]:
    executed: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith(kind):
            executed.append(statement)

    event.listen(sqlalchemy.Engine, "before_cursor_execute", note)
    yield executed
    event.remove(sqlalchemy.Engine, "before_cursor_execute", note)


@by_every_way
def test_a_change_is_written_with_the_commit(
    app: Flask, ask: Ask, ada: User, guard: str, user: str
) -> None:
    def change() -> str | None:
        USERS[user]().full_name = "Ada Lovelace"
        USERS[user]().bio = "First programmer."
        db.session.commit()
        return USERS[user]().full_name

    answer = ask(guard, change)

    assert answer.json == {"answer": "Ada Lovelace"}
    written = stored(app, ada)
    assert (written.full_name, written.bio) == ("Ada Lovelace", "First programmer.")
    assert (written.username, written.email) == ("ada", "ada@example.com")


@pytest.fixture
def ask_by(new_app: Callable[..., Flask], ada: User) -> Callable[[str, View], TestResponse]:
    """The same by a guard of ``EVERY_GUARD``, and by what it lets in: a token, cookie or key."""

    def ask_by(guard: str, view: View) -> TestResponse:
        app = new_app()
        app.add_url_rule("/own", view_func=EVERY_GUARD[guard](lambda: {"answer": view()}))
        client = browser(app)
        if guard == "signed_in, by cookie":
            sign_in(client, ada)
            return client.get("/own")
        token = log_in(client, ada)["access_token"]
        if guard == "signed_in, by key":
            token = create(client, token).json["key"]
        return client.get("/own", headers=bearer(token))

    return ask_by


def verified_twice(view: Callable[..., Any]) -> Callable[..., Any]:
    """A blueprint whose ``before_request`` verifies and logs who asks, and a route of its own."""

    def twice() -> Any:
        verify_jwt_in_request()
        assert flask_jwt_extended.current_user.username
        return jwt_required()(view)()

    return twice


EVERY_GUARD: dict[str, Guard] = {
    "jwt_required(fresh)": jwt_required(fresh=True),
    "jwt_required(optional)": jwt_required(optional=True),
    "verified twice": verified_twice,
    "freshly_signed_in": freshly_signed_in,
    "signed_in, by cookie": signed_in,
    "signed_in, by key": signed_in(keys=True),
}


@pytest.mark.parametrize("guard", EVERY_GUARD)
def test_a_change_is_written_behind_every_guard(
    app: Flask, ask_by: Ask, ada: User, guard: str
) -> None:
    def change() -> None:
        guards.current_user().full_name = "Ada Lovelace"
        db.session.commit()
        flask_jwt_extended.current_user.bio = "First programmer."
        db.session.commit()

    assert ask_by(guard, change).status_code == 200
    written = stored(app, ada)
    assert (written.full_name, written.bio) == ("Ada Lovelace", "First programmer.")


def test_a_value_that_is_flagged_as_modified_is_written(app: Flask, ask: Ask, ada: User) -> None:
    def change() -> None:
        user = guards.current_user()
        set_committed_value(user, "bio", "First programmer.")
        flag_modified(user, "bio")
        db.session.commit()

    assert ask("signed_in", change).status_code == 200
    assert stored(app, ada).bio == "First programmer."


def test_a_value_that_is_deleted_does_not_stay_in_silence(app: Flask, ask: Ask, ada: User) -> None:
    with app.app_context():
        db.session.execute(update(User).values(bio="First programmer."))
        db.session.commit()

    def change() -> None:
        del guards.current_user().bio
        db.session.commit()

    answer = ask("signed_in", change)

    # SQLAlchemy 2.1 cannot write it, and says so with a KeyError.
    assert answer.status_code == 500 or stored(app, ada).bio is None


@by_every_way
def test_only_what_was_changed_is_written(ask: Ask, guard: str, user: str) -> None:
    def change() -> list[str]:
        with statements_of("UPDATE users") as updates:
            USERS[user]().full_name = "Ada Lovelace"
            db.session.commit()
        return updates

    [update] = ask(guard, change).json["answer"]

    assert update.partition("WHERE")[0].count("=") == 1


@by_every_way
def test_without_a_commit_nothing_is_written(
    app: Flask, ask: Ask, ada: User, guard: str, user: str
) -> None:
    def change() -> None:
        USERS[user]().full_name = "Ada Lovelace"

    ask(guard, change)

    assert stored(app, ada).full_name is None


@by_every_way
def test_what_is_rolled_back_is_gone(
    app: Flask, ask: Ask, ada: User, guard: str, user: str
) -> None:
    def change() -> str | None:
        USERS[user]().full_name = "Ada Lovelace"
        db.session.rollback()
        USERS[user]().bio = "First programmer."
        db.session.commit()
        return USERS[user]().full_name

    answer = ask(guard, change)

    assert answer.json == {"answer": None}
    assert (stored(app, ada).full_name, stored(app, ada).bio) == (None, "First programmer.")


@by_every_way
def test_a_route_that_reads_costs_no_statement_of_its_own(ask: Ask, guard: str, user: str) -> None:
    def read() -> list[str]:
        with statements_of() as executed:
            assert USERS[user]().username == "ada"
        return executed

    assert ask(guard, read).json == {"answer": []}


@by_every_way
def test_the_user_can_be_deleted(app: Flask, ask: Ask, ada: User, guard: str, user: str) -> None:
    def leave() -> str:
        db.session.delete(USERS[user]())
        db.session.commit()
        return USERS[user]().username

    assert ask(guard, leave).json == {"answer": "ada"}
    with app.app_context():
        assert db.session.scalars(select(User).where(User.id == ada.id)).all() == []


@pytest.mark.parametrize(("guard", "user"), [way for way in WAYS if way != TWO_OBJECTS])
def test_the_same_user_loaded_once_more_is_the_same_object(
    app: Flask, ask: Ask, ada: User, guard: str, user: str
) -> None:
    def change() -> bool:
        again = db.session.get(User, ada.id)
        USERS[user]().full_name = "Ada Lovelace"
        db.session.commit()
        return again == USERS[user]()

    assert ask(guard, change).json == {"answer": True}
    assert stored(app, ada).full_name == "Ada Lovelace"


def test_where_there_are_two_objects_of_the_user_a_change_is_refused_aloud(
    app: Flask, ask: Ask, ada: User
) -> None:
    guard, user = TWO_OBJECTS

    def change() -> str:
        _kept = db.session.get(User, ada.id)
        with pytest.raises(InvalidRequestError) as refused:
            USERS[user]().full_name = "Ada Lovelace"
        return str(refused.value)

    assert "is already present in this session" in ask(guard, change).json["answer"]
    assert stored(app, ada).full_name is None


@by_every_way
def test_a_row_can_refer_to_the_user(app: Flask, ask: Ask, guard: str, user: str) -> None:
    def another_session() -> None:
        now = clock.now()
        times = dict.fromkeys(("refreshed_at", "expires_at", "max_expires_at"), now)
        db.session.add(Session(user=USERS[user](), user_agent="of one's own", **times))
        db.session.commit()

    assert ask(guard, another_session).status_code == 200
    with app.app_context():
        assert "of one's own" in db.session.scalars(select(Session.user_agent)).all()


@pytest.mark.parametrize("guard", GUARDS)
def test_what_was_not_loaded_is_loaded_when_it_is_asked_for(ask: Ask, guard: str) -> None:
    def read() -> list[str]:
        user = flask_jwt_extended.get_current_user()
        db.session.refresh(user)
        db.session.expire(user, ["username"])
        return [user.username, flask_jwt_extended.current_user.email]

    assert ask(guard, read).json == {"answer": ["ada", "ada@example.com"]}


def test_the_session_of_the_request_is_written_too(app: Flask, ask: Ask, ada: User) -> None:
    def change() -> None:
        guards.current_session().user_agent = "Browser/2.0"
        db.session.commit()

    assert ask("signed_in", change).status_code == 200
    with app.app_context():
        assert db.session.scalars(select(Session.user_agent)).all() == ["Browser/2.0"]


def test_somebody_elses_object_stays_where_it_is(app: Flask, ask: Ask, ada: User) -> None:
    """Only the current user joins `db.session` by being changed."""

    def change() -> bool:
        with sqlalchemy.orm.Session(db.engine) as another:
            detached = another.get(User, ada.id)
            assert detached is not None
        detached.full_name = "Ada Lovelace"
        db.session.commit()
        return detached in db.session

    assert ask("signed_in", change).json == {"answer": False}
    assert stored(app, ada).full_name is None


def test_the_hot_path_is_one_statement_and_attaches_nobody(
    app: Flask, client: Any, ada: User, statements: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    token = log_in(client, ada)["access_token"]
    statements.clear()
    monkeypatch.setattr(db.session, "add", lambda _: pytest.fail("attached"))

    answer = client.get(f"{API}/users/me", headers=bearer(token))

    assert answer.status_code == 200
    assert len(statements) == 1
