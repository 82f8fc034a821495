"""What happens at once: real threads, each with a client of its own."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from threading import Barrier, Thread
from typing import Any, TypeVar

import bcrypt
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, func, select
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from app import clock
from app.administration import accounts
from app.auth.sessions import sessions
from app.database import prepared
from app.extensions import db
from app.models import Session, User
from app.security.passwords import hashing
from tests.factories import API, PASSWORD, bearer, log_in, make_user, me, problem, refresh

T = TypeVar("T")


def at_once(*actions: Callable[[], T]) -> list[T]:
    """Do all of it in one instant, each in a thread, and give the results in order."""
    barrier = Barrier(len(actions))

    def wait_and(action: Callable[[], T]) -> T:
        barrier.wait(timeout=20)
        return action()

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(wait_and, actions))


def times(count: int, action: Callable[[FlaskClient], T], app: Flask) -> list[T]:
    """The same at once, ``count`` times, each with a client of its own."""
    clients = [app.test_client() for _ in range(count)]
    return at_once(*(partial(action, client) for client in clients))


def elsewhere(app: Flask, action: Callable[[], object]) -> Thread:
    """Begin it in another thread, with a database connection of its own."""

    def in_context() -> None:
        with app.app_context():
            action()

    thread = Thread(target=in_context)
    thread.start()
    return thread


# A login looks once more at its user, after its session is stored.
LOOK_AT_USER = "SELECT users.deletion_due_at, users.second_step_at FROM users"


def once_after(
    step: str, begin: Callable[[], Thread], monkeypatch: pytest.MonkeyPatch
) -> list[Thread]:
    """Begin something as soon as a prepared statement has run that starts like this."""
    begun: list[Thread] = []
    # The thread that begins may run the same statement before this one knows of it.
    left = [begin]
    run = prepared.Compiled.run

    def run_and_begin(statement: prepared.Compiled, *arguments: Any) -> Any:
        rows = run(statement, *arguments)
        if " ".join(statement.text.split()).startswith(step) and left:
            begun.append(left.pop()())
            # It waits for this transaction to end, unless nothing makes it.
            begun[0].join(timeout=0.3)
        return rows

    monkeypatch.setattr(prepared.Compiled, "run", run_and_begin)
    return begun


def count(app: Flask, model: type, *where: Any) -> int:
    with app.app_context():
        number = db.session.scalar(select(func.count()).select_from(model).where(*where))
    return number or 0


def live_sessions(app: Flask) -> int:
    return count(app, Session, Session.ended_at.is_(None), Session.expires_at > clock.now())


def outcomes(answers: list[TestResponse]) -> Counter[object]:
    """How often there was each success and each refusal."""
    return Counter(
        answer.status_code if answer.status_code < 400 else problem(answer) for answer in answers
    )


def spelling(word: str, number: int) -> str:
    """The word with the bits of the number as capitals."""
    return "".join(
        letter.upper() if number >> place & 1 else letter for place, letter in enumerate(word)
    )


# Registration


def test_one_address_in_twenty_spellings_makes_one_account(app: Flask) -> None:
    def registering(number: int) -> Callable[[], TestResponse]:
        account = {
            "email": spelling("race@example.com", number * 3277),
            "username": f"racer{number}",
            "password": PASSWORD,
        }
        return lambda: app.test_client().post(f"{API}/auth/register", json=account)

    answers = at_once(*map(registering, range(20)))

    assert outcomes(answers) == {201: 1, (400, "email_taken"): 19}
    assert count(app, User) == 1


def test_one_username_in_twenty_spellings_makes_one_account(app: Flask) -> None:
    def registering(number: int) -> Callable[[], TestResponse]:
        account = {
            "email": f"racer{number}@example.com",
            "username": spelling("lovelace", number * 13),
            "password": PASSWORD,
        }
        return lambda: app.test_client().post(f"{API}/auth/register", json=account)

    answers = at_once(*map(registering, range(20)))

    assert outcomes(answers) == {201: 1, (400, "username_taken"): 19}
    assert count(app, User) == 1


def test_twenty_different_people_all_get_their_account(app: Flask) -> None:
    def registering(number: int) -> Callable[[], TestResponse]:
        account = {
            "email": f"racer{number}@example.com",
            "username": f"racer{number}",
            "password": PASSWORD,
        }
        return lambda: app.test_client().post(f"{API}/auth/register", json=account)

    answers = at_once(*map(registering, range(20)))

    assert outcomes(answers) == {201: 20}
    assert count(app, User) == 20


def test_of_two_who_take_the_same_new_username_one_gets_it(
    app: Flask, client: FlaskClient, ada: User, bob: User
) -> None:
    tokens = [log_in(client, user)["access_token"] for user in (ada, bob)]

    def renaming(token: str) -> Callable[[], TestResponse]:
        return lambda: app.test_client().patch(
            f"{API}/users/me", json={"username": "countess"}, headers=bearer(token)
        )

    answers = at_once(*map(renaming, tokens))

    assert outcomes(answers) == {200: 1, (400, "username_taken"): 1}


# Refreshing


def test_twenty_refreshes_with_one_token_get_one_successor(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    token = log_in(client, ada)["refresh_token"]

    answers = times(20, lambda client: refresh(client, token), app)

    assert outcomes(answers) == {200: 20}
    assert len({answer.json["refresh_token"] for answer in answers}) == 1
    assert all(me(client, answer.json["access_token"]).status_code == 200 for answer in answers)


def test_the_successor_of_a_race_is_good_for_the_next_refresh(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    token = log_in(client, ada)["refresh_token"]
    successor = times(20, lambda client: refresh(client, token), app)[0].json["refresh_token"]

    answers = times(20, lambda client: refresh(client, successor), app)

    assert outcomes(answers) == {200: 20}
    assert len({answer.json["refresh_token"] for answer in answers}) == 1


def test_without_a_window_one_of_twenty_refreshes_wins_and_the_session_ends(
    app: Flask, client: FlaskClient, ada: User, set_settings: Callable[..., None]
) -> None:
    set_settings(refresh_retry_window=timedelta(0), refresh_late_retry=timedelta(0))
    token = log_in(client, ada)["refresh_token"]

    answers = times(20, lambda client: refresh(client, token), app)

    found = outcomes(answers)
    assert found[200] == 1
    assert found[(401, "refresh_token_reused")] >= 1
    assert set(found) <= {200, (401, "refresh_token_reused"), (401, "invalid_refresh_token")}
    assert live_sessions(app) == 0


@pytest.mark.parametrize("round_", range(5))
def test_after_a_refresh_that_races_with_a_logout_no_token_is_good(
    app: Flask, client: FlaskClient, ada: User, round_: int
) -> None:
    pair = log_in(client, ada)

    refreshed, logged_out = at_once(
        lambda: refresh(app.test_client(), pair["refresh_token"]),
        lambda: app.test_client().post(f"{API}/auth/logout", headers=bearer(pair["access_token"])),
    )

    assert logged_out.status_code == 204
    assert outcomes([refreshed]).keys() <= {200, (401, "invalid_refresh_token")}
    assert live_sessions(app) == 0
    for token in (pair, refreshed.json):
        if "access_token" in token:
            assert problem(me(client, token["access_token"])) == (401, "session_ended")
            assert refresh(client, token["refresh_token"]).status_code == 401


def test_twenty_logouts_at_once_are_as_good_as_one(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    pair = log_in(client, ada)

    answers = times(
        20,
        lambda client: client.post(
            f"{API}/auth/logout", json={"refresh_token": pair["refresh_token"]}
        ),
        app,
    )

    assert outcomes(answers) == {204: 20}
    assert live_sessions(app) == 0


# Logging in while the account changes


@pytest.mark.parametrize("round_", range(3))
def test_no_session_survives_a_deactivation_that_races_with_logins(
    app: Flask, ada: User, round_: int
) -> None:
    credentials = {"username": "ada", "password": PASSWORD}

    def logging_in() -> TestResponse:
        return app.test_client().post(f"{API}/auth/login", json=credentials)

    def deactivating() -> None:
        with app.app_context():
            accounts.set_active("ada@example.com", False)

    answers = at_once(*[logging_in] * 6, deactivating, *[logging_in] * 6)

    found = outcomes([answer for answer in answers if answer is not None])
    assert found.keys() <= {200, (400, "inactive_user"), (401, "invalid_credentials")}
    assert live_sessions(app) == 0


def test_a_deactivation_while_the_password_is_compared_lets_nobody_in(
    app: Flask, client: FlaskClient, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = hashing.verify

    def verify_slowly(password: str, stored: str | None) -> hashing.Verdict:
        verdict = verify(password, stored)
        elsewhere(app, lambda: accounts.set_active("ada@example.com", False)).join()
        return verdict

    monkeypatch.setattr(hashing, "verify", verify_slowly)

    response = client.post(f"{API}/auth/login", json={"username": "ada", "password": PASSWORD})

    assert response.status_code in (400, 401)
    assert "access_token" not in response.json
    assert live_sessions(app) == 0


@pytest.mark.parametrize("step", ["INSERT INTO sessions", LOOK_AT_USER])
def test_a_deactivation_while_the_session_is_stored_ends_it(
    app: Flask, client: FlaskClient, ada: User, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    deactivations = once_after(
        step,
        lambda: elsewhere(app, lambda: accounts.set_active("ada@example.com", False)),
        monkeypatch,
    )

    response = client.post(f"{API}/auth/login", json={"username": "ada", "password": PASSWORD})
    deactivations[0].join()

    assert response.status_code in (200, 401)
    assert live_sessions(app) == 0


@pytest.mark.postgresql
def test_a_login_that_has_looked_at_its_user_holds_them_until_it_commits(
    app: Flask, client: FlaskClient, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever stops an account writes to the user first. Without the lock it would not wait."""
    found: list[object] = []
    writing = select(User.id).where(User.id == ada.id).with_for_update(key_share=True, nowait=True)

    def write() -> None:
        try:
            found.append(db.session.scalar(writing))
        except OperationalError as error:
            found.append(getattr(error.orig, "sqlstate", None))

    looked = once_after(LOOK_AT_USER, lambda: elsewhere(app, write), monkeypatch)

    response = client.post(f"{API}/auth/login", json={"username": "ada", "password": PASSWORD})
    looked[0].join()

    assert response.status_code == 200
    assert found == ["55P03"]


def test_a_password_changed_while_the_old_one_is_compared_lets_nobody_in(
    app: Flask, client: FlaskClient, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = hashing.verify

    def change_password() -> None:
        user = db.session.get_one(User, ada.id)
        user.hashed_password = hashing.hash("another one altogether")
        sessions.end_all(user.id)
        db.session.commit()

    def verify_slowly(password: str, stored: str | None) -> hashing.Verdict:
        verdict = verify(password, stored)
        elsewhere(app, change_password).join()
        return verdict

    monkeypatch.setattr(hashing, "verify", verify_slowly)

    response = client.post(f"{API}/auth/login", json={"username": "ada", "password": PASSWORD})

    assert problem(response) == (401, "invalid_credentials")
    assert live_sessions(app) == 0


def test_a_deletion_while_the_password_is_compared_is_a_failed_login(
    app: Flask, client: FlaskClient, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = hashing.verify

    def remove_ada() -> None:
        db.session.execute(delete(User).where(User.id == ada.id))
        db.session.commit()

    def verify_slowly(password: str, stored: str | None) -> hashing.Verdict:
        verdict = verify(password, stored)
        elsewhere(app, remove_ada).join()
        return verdict

    monkeypatch.setattr(hashing, "verify", verify_slowly)

    response = client.post(f"{API}/auth/login", json={"username": "ada", "password": PASSWORD})

    assert problem(response) == (401, "invalid_credentials")


def test_logins_at_once_all_succeed_while_the_old_hash_is_upgraded(app: Flask) -> None:
    plain = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    make_user(app, username="ada", email="ada@example.com", password_hash=plain)
    credentials = {"username": "ada", "password": PASSWORD}

    answers = times(8, lambda client: client.post(f"{API}/auth/login", json=credentials), app)

    assert outcomes(answers) == {200: 8}
    assert live_sessions(app) == 8


# Writers


def test_sixteen_writers_never_find_the_database_locked(
    app: Flask, client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    people = [
        make_user(app, username=f"writer{number}", email=f"writer{number}@example.com")
        for number in range(16)
    ]
    pairs = [log_in(client, person) for person in people]

    def writing(pair: dict[str, Any]) -> Callable[[], list[TestResponse]]:
        def write() -> list[TestResponse]:
            client = app.test_client()
            headers = bearer(pair["access_token"])
            edits = [
                client.patch(f"{API}/users/me", json={"bio": f"{number}"}, headers=headers)
                for number in range(5)
            ]
            refreshed = refresh(client, pair["refresh_token"])
            return [*edits, refreshed, client.post(f"{API}/auth/logout", headers=headers)]

        return write

    answers = at_once(*map(writing, pairs))

    assert outcomes([answer for some in answers for answer in some]) == {200: 16 * 6, 204: 16}
    assert "locked" not in caplog.text


def test_edits_of_different_fields_at_once_are_all_kept(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    headers = bearer(log_in(client, ada)["access_token"])
    changes = {
        "full_name": "Ada Lovelace",
        "bio": "Numbers.",
        "avatar_url": "https://example.com/ada.png",
        "locale": "zh",
        "username": "countess",
    }

    def editing(field: str) -> Callable[[], TestResponse]:
        edit = {field: changes[field]}
        return lambda: app.test_client().patch(f"{API}/users/me", json=edit, headers=headers)

    answers = at_once(*map(editing, changes))

    kept = client.get(f"{API}/users/me", headers=headers).json
    assert outcomes(answers) == {200: len(changes)}
    assert {field: kept[field] for field in changes} == changes
