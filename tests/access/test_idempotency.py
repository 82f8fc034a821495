"""Idempotency-Key: a repeated call does nothing again, and has the same answer."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask, Response, jsonify, request
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from app import audit
from app.access import kept_answers
from app.access.idempotency import idempotent
from app.access.kept_answers import Hold, IdempotencyInFlight
from app.extensions import db
from app.models import IdempotencyKey, User
from tests.auth.sessions.test_races import outcomes, times
from tests.cases import each
from tests.factories import API, PASSWORD, bearer, log_in, make_user, problem, refused_fields

KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"
ADA = {"email": "ada@example.com", "username": "ada", "password": PASSWORD}
NOW = "2026-11-22T08:00:00Z"


def register(
    client: FlaskClient, key: str = KEY, peer: str = "192.0.2.7", **fields: Any
) -> TestResponse:
    return client.post(
        f"{API}/auth/register",
        json=ADA | fields,
        headers={"Idempotency-Key": key},
        environ_base={"REMOTE_ADDR": peer},
    )


def count(app: Flask, model: Any) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(model)) or 0


def test_a_repeated_call_has_the_same_answer_and_makes_nothing(
    app: Flask, client: FlaskClient
) -> None:
    answers = [register(client) for _ in range(3)]

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.data for answer in answers}) == 1
    assert len({answer.headers["Location"] for answer in answers}) == 1
    assert {answer.mimetype for answer in answers} == {"application/json"}
    assert count(app, User) == 1


def test_another_body_is_another_call(app: Flask, client: FlaskClient) -> None:
    register(client)

    assert problem(register(client, email="bob@example.com")) == (422, "idempotency_key_reused")
    assert count(app, User) == 1


def test_without_a_key_nothing_is_stored(app: Flask, client: FlaskClient) -> None:
    first, second = (client.post(f"{API}/auth/register", json=ADA) for _ in range(2))

    assert (first.status_code, problem(second)) == (201, (400, "email_taken"))
    assert count(app, IdempotencyKey) == 0


@each("key", ["", "x" * 201, "a b", "schlüssel", "\x7f", "\t"])
def test_a_key_is_visible_ascii_and_not_long(app: Flask, client: FlaskClient, key: str) -> None:
    assert refused_fields(register(client, key)) == {"Idempotency-Key": "invalid_idempotency_key"}
    assert count(app, User) == 0


def test_a_refused_call_holds_its_key_for_the_same_body_and_stores_no_answer(
    app: Flask, client: FlaskClient
) -> None:
    """If answers were stored, anybody could fill the table with calls that cost them nothing."""
    long = dict.fromkeys(("y" * 600 + str(n) for n in range(90)), "")
    refused = [register(client, **long) for _ in range(2)]

    other_body = register(client)

    assert [problem(answer) for answer in refused] == [(422, "validation_failed")] * 2
    assert refused[0].json["errors"] == refused[1].json["errors"]
    assert problem(other_body) == (422, "idempotency_key_reused")
    with app.app_context():
        assert db.session.scalars(db.select(IdempotencyKey.answer)).all() == [None]


@pytest.fixture
def other_app(new_app: Callable[..., Flask]) -> Flask:
    """An application with a call that shows a secret, and one that is refused as the test says."""
    app = new_app()

    @app.post("/secrets")
    @idempotent(has_secret=True)
    def make_secret() -> Response:
        return jsonify(secret="hunter2")

    @app.post("/long")
    @idempotent()
    def write_much() -> str:
        return "x" * int(request.args["length"])

    refusals: list[Any] = [({}, 403), ({}, 429), ({}, 409), ({}, 503)]

    @app.post("/refusals")
    @idempotent()
    def refuse() -> Any:
        if refusals:
            return refusals.pop()
        return {"done": True}

    @app.post("/noted-refusals")
    @idempotent()
    def note_and_refuse() -> Any:
        db.session.commit()
        return {}, 422

    return app


def test_a_refusal_that_was_noted_is_judged_again(other_app: Flask) -> None:
    """As when a verb commits that it refused."""
    client = other_app.test_client()

    answers = [
        client.post("/noted-refusals", json={}, headers={"Idempotency-Key": KEY}) for _ in range(2)
    ]

    assert [answer.status_code for answer in answers] == [422, 422]


def test_a_secret_is_shown_once_and_not_stored(app: Flask, other_app: Flask) -> None:
    client = other_app.test_client()

    first, again = (
        client.post("/secrets", json={}, headers={"Idempotency-Key": KEY}) for _ in range(2)
    )

    assert first.json == {"secret": "hunter2"}
    assert problem(again) == (409, "idempotency_key_used")
    with app.app_context():
        assert db.session.scalars(select(IdempotencyKey)).one().answer is None


def test_a_long_answer_is_not_stored(other_app: Flask) -> None:
    """Otherwise calls that repeat a long text in their answer would fill the database."""
    client = other_app.test_client()

    def again(length: int) -> TestResponse:
        headers = {"Idempotency-Key": str(length)}
        return [client.post(f"/long?length={length}", json={}, headers=headers) for _ in range(2)][
            1
        ]

    assert len(again(64 * 1024).data) == 64 * 1024
    assert problem(again(64 * 1024 + 1)) == (409, "idempotency_key_used")


def test_what_may_pass_leaves_the_key_free_for_any_body(other_app: Flask) -> None:
    client = other_app.test_client()

    answers = [
        client.post("/refusals", json={"number": number}, headers={"Idempotency-Key": KEY})
        for number in (1, 2, 3, 4, 5, 4, 4)
    ]

    # Somebody who lacked a right, and has it by now, sends the same body again.
    assert [answer.status_code for answer in answers] == [503, 409, 429, 403, 422, 200, 200]


# Whose it is


def test_keys_of_different_callers_never_meet(app: Flask, client: FlaskClient, grace: User) -> None:
    other = make_user(app, username="heidi", email="heidi@example.com", superuser=True)
    invited = []
    for number, admin in enumerate((grace, other)):
        headers = bearer(log_in(client, admin)["access_token"]) | {"Idempotency-Key": KEY}
        account = {"email": f"new{number}@example.com", "username": f"new{number}"}
        invited += [client.post(f"{API}/users", json=account, headers=headers) for _ in range(2)]

    registered = [
        register(client, peer="192.0.2.7"),
        register(client, peer="192.0.2.8", email="bob@example.com", username="bob"),
        # One household.
        register(client, peer="2001:db8:1:2::1", email="eve@example.com", username="eve"),
        register(client, peer="2001:db8:1:2::2", email="eve@example.com", username="eve"),
    ]

    assert [answer.status_code for answer in [*invited, *registered]] == [201] * 8
    assert [answer.json["username"] for answer in invited] == ["new0", "new0", "new1", "new1"]
    assert count(app, User) == 7


def test_who_may_is_asked_before_the_key(client: FlaskClient, grace: User, ada: User) -> None:
    account = {"email": "new@example.com", "username": "new"}
    by_grace, by_ada = (bearer(log_in(client, who)["access_token"]) for who in (grace, ada))
    key = {"Idempotency-Key": KEY}
    assert client.post(f"{API}/users", json=account, headers=by_grace | key).status_code == 201

    assert problem(client.post(f"{API}/users", json=account, headers=by_ada | key))[0] == 403
    assert problem(client.post(f"{API}/users", json=account, headers=key))[0] == 401


def test_with_hidden_accounts_a_taken_address_is_answered_as_a_new_one(
    app: Flask, client: FlaskClient, set_settings: Callable[..., None]
) -> None:
    register(client, "another", peer="192.0.2.9", username="first")
    set_settings(hide_account_existence=True)

    taken = [register(client), register(client), register(client, username="other")]
    new = [
        register(client, "k2", email="new@example.com", username="new"),
        register(client, "k2", email="new@example.com", username="new"),
        register(client, "k2", email="new@example.com", username="other"),
    ]

    for answers in (taken, new):
        assert [answer.status_code for answer in answers] == [202, 202, 422]
        assert answers[0].data == answers[1].data
    with app.app_context():
        rows = db.session.scalars(select(IdempotencyKey).where(IdempotencyKey.is_carried_out)).all()
    assert len(rows) == 3


def test_the_table_shows_nothing(app: Flask, client: FlaskClient) -> None:
    register(client)

    with app.app_context():
        row = db.session.scalars(select(IdempotencyKey)).one()
    shown = " ".join(str(getattr(row, column.key)) for column in row.__table__.columns)
    for hidden in (KEY, "ada@example.com", PASSWORD, "192.0.2.7", "email_verified"):
        assert hidden not in shown


# Time, and servers that die


def test_a_key_is_free_again_after_a_day_and_prune_removes_it(
    app: Flask, client: FlaskClient
) -> None:
    with time_machine.travel(NOW, tick=False) as traveller:
        register(client)
        traveller.shift(timedelta(hours=24) - timedelta(seconds=1))
        still = register(client)
        traveller.shift(timedelta(seconds=1))
        free = register(client)
        register(client, email="bob@example.com", username="bob")
        traveller.shift(timedelta(hours=24))
        pruned = app.test_cli_runner().invoke(args=["prune"])

    assert (still.status_code, problem(free)) == (201, (400, "email_taken"))
    assert "Removed 1 idempotency keys." in pruned.output
    assert count(app, IdempotencyKey) == 0


class Died(BaseException):
    """The server is gone."""


def die(*_: Any, **__: Any) -> None:
    raise Died


def test_a_server_that_dies_before_the_change_does_not_hold_the_key_for_ever(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with time_machine.travel(NOW, tick=False) as traveller:
        with monkeypatch.context() as patch:
            patch.setattr(audit, "record", die)
            with pytest.raises(Died):
                register(client)
        at_once = register(client)
        traveller.shift(kept_answers.LEASE)
        later = register(client)

    assert problem(at_once) == (409, "idempotency_in_flight")
    assert at_once.headers["Retry-After"] == "1"
    assert later.status_code == 201
    assert count(app, User) == 1


def test_a_server_that_dies_after_the_change_leaves_it_done(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the row is not unique by itself, the change must not be made again."""
    with time_machine.travel(NOW, tick=False) as traveller:
        with monkeypatch.context() as patch:
            patch.setattr(kept_answers, "keep", die)
            with pytest.raises(Died):
                register(client)
        at_once = register(client)
        traveller.shift(kept_answers.LEASE)
        later = register(client)

    assert problem(at_once) == (409, "idempotency_in_flight")
    assert problem(later) == (409, "idempotency_key_used")
    assert count(app, User) == 1


def test_a_request_that_is_too_slow_cannot_commit_any_more(app: Flask) -> None:
    with app.app_context(), time_machine.travel(NOW, tick=False) as traveller:
        slow = kept_answers.hold("k" * 64, "b" * 64)
        assert isinstance(slow, Hold)
        traveller.shift(kept_answers.LEASE)
        assert isinstance(kept_answers.hold("k" * 64, "b" * 64), Hold)

        db.session.add(User(email="a@example.com", username="a", username_key="a"))
        with kept_answers.carrying_out(slow), pytest.raises(IdempotencyInFlight):
            db.session.commit()
        db.session.rollback()
        kept_answers.keep(slow, "late")

        assert db.session.scalars(select(User)).all() == []
        assert db.session.scalars(select(IdempotencyKey)).one().answer is None


def test_a_bug_leaves_the_key_free(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(audit, "record", lambda *_, **__: 1 / 0)
        failed = register(client)

    assert problem(failed) == (500, "internal_error")
    assert register(client).status_code == 201


# At once


@pytest.mark.postgresql
def test_of_twenty_with_one_key_one_makes_something(
    app: Flask, client: FlaskClient, grace: User
) -> None:
    headers = bearer(log_in(client, grace)["access_token"]) | {"Idempotency-Key": KEY}
    account = {"email": "new@example.com", "username": "new"}

    answers = times(20, lambda mine: mine.post(f"{API}/users", json=account, headers=headers), app)

    results = outcomes(answers)
    assert results.keys() <= {201, (409, "idempotency_in_flight")}
    assert len({answer.data for answer in answers if answer.status_code == 201}) == 1
    assert count(app, User) == 2
    assert client.post(f"{API}/users", json=account, headers=headers).status_code == 201
