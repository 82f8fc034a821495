"""Erasing somebody from the log, whose chain stays whole"""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import pytest
import sqlalchemy
from flask import Flask
from flask.testing import FlaskClient

from app.administration import accounts
from app.audit import erasing, sealing
from app.extensions import db
from app.models import AuditEvent, User
from app.security.passwords import hashing
from app.users import closing
from tests.audit.log import erased, seals, what_is_wrong, write, write_and_seal
from tests.auth.sessions.test_races import elsewhere, once_after
from tests.factories import API, bearer, log_in

ADA, BOB, GRACE = 1_000_001, 1_000_002, 1_000_003


@pytest.fixture(autouse=True)
def inside(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def personal_parts() -> list[tuple[Any, ...]]:
    rows = sqlalchemy.select(AuditEvent.ip, AuditEvent.user_agent, AuditEvent.personal)
    return [tuple(row) for row in db.session.execute(rows.order_by(AuditEvent.id))]


WRITTEN = ("203.0.113.7", "Browser/1.0", {"email": "ada@example.com"})
NOTHING = (None, None, None)


def test_what_was_done_to_a_user_and_what_they_did_is_erased_and_nothing_else() -> None:
    write_and_seal(1, subject_id=ADA, actor_id=ADA)
    write_and_seal(1, subject_id=ADA, actor_id=GRACE)
    write_and_seal(1, subject_id=BOB, actor_id=ADA)
    write_and_seal(1, subject_id=None, actor_id=ADA)
    write_and_seal(1, subject_id=BOB, actor_id=GRACE)
    write_and_seal(1, subject_id=ADA, actor_id=None)

    erasing.forget([ADA])
    db.session.commit()

    assert personal_parts() == [NOTHING] * 4 + [WRITTEN] + [NOTHING]
    assert [seal.salt is None for seal in seals()] == [True] * 4 + [False, True]


def test_the_chain_is_whole_after_it() -> None:
    write_and_seal(3, subject_id=ADA)
    write_and_seal(3, subject_id=BOB)
    before = [seal.hash for seal in seals()]

    erasing.forget([ADA])
    erased(ADA)
    sealing.seal_everything()

    assert [seal.hash for seal in seals()][:6] == before
    assert what_is_wrong() is None


def test_what_is_erased_before_it_is_sealed_is_sealed_without() -> None:
    write(2, subject_id=ADA)

    erasing.forget([ADA])
    erased(ADA)
    sealing.seal_everything()

    assert personal_parts()[:2] == [NOTHING] * 2
    assert what_is_wrong() is None


def test_without_the_salt_the_digest_tells_of_no_address() -> None:
    write_and_seal(2, subject_id=ADA)

    first, second = seals()

    assert first.personal_digest != second.personal_digest
    assert len(bytes.fromhex(first.salt)) == 16


@pytest.mark.postgresql
def test_a_sealer_at_the_same_moment_leaves_nothing_behind(app: Flask) -> None:
    for _ in range(10):
        write(20, subject_id=ADA)
        barrier = threading.Barrier(2)

        def seal(barrier: threading.Barrier = barrier) -> None:
            with app.app_context():
                barrier.wait()
                sealing.seal()

        def erase(barrier: threading.Barrier = barrier) -> None:
            with app.app_context():
                barrier.wait()
                erasing.forget([ADA])
                erased(ADA)

        with ThreadPoolExecutor(2) as threads:
            for done in [threads.submit(seal), threads.submit(erase)]:
                done.result()

    sealing.seal_everything()
    assert set(map(str, personal_parts())) == {str(NOTHING)}
    # A salt left beside the digest of an address would be named.
    assert what_is_wrong() is None


@pytest.mark.postgresql
def test_erasing_waits_for_a_sealer_that_has_read_what_is_to_go(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(3, subject_id=ADA)
    has_read, may_go_on = threading.Event(), threading.Event()
    seals_for = sealing._seals_for

    def read_and_wait(events: Any) -> Any:
        made = seals_for(events)
        has_read.set()
        assert may_go_on.wait(20)
        return made

    def seal() -> None:
        with app.app_context():
            sealing.seal()

    def erase() -> None:
        with app.app_context():
            erasing.forget([ADA])
            erased(ADA)

    monkeypatch.setattr(sealing, "_seals_for", read_and_wait)
    with ThreadPoolExecutor(2) as threads:
        sealer = threads.submit(seal)
        assert has_read.wait(20)
        eraser = threads.submit(erase)
        # Time enough to erase, for one who does not wait.
        wait([eraser], timeout=1)
        may_go_on.set()
        for done in (sealer, eraser):
            done.result()

    assert [seal.salt for seal in seals()] == [None] * 3
    assert what_is_wrong() is None


def test_nobody_to_erase_is_no_work(statements: list[str]) -> None:
    statements.clear()

    erasing.forget([])

    assert statements == []


def test_by_the_front_door_nothing_of_a_person_is_left(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    pair = log_in(client, ada)
    client.patch(
        f"{API}/users/me",
        json={"username": "countess", "full_name": "Ada Lovelace"},
        headers=bearer(pair["access_token"]),
    )
    client.post(
        f"{API}/auth/email/change",
        json={"new_email": "countess@example.com"},
        headers=bearer(pair["access_token"]),
    )
    client.post(f"{API}/auth/login", json={"username": "countess", "password": "wrong"})
    sealing.seal_everything()
    before = str([event.__dict__ for event in db.session.scalars(sqlalchemy.select(AuditEvent))])
    db.session.execute(
        sqlalchemy.update(User)
        .where(User.id == ada.id)
        .values(deletion_due_at=sqlalchemy.func.current_timestamp())
    )
    db.session.commit()

    assert closing.erase_due(10) == 1
    sealing.seal_everything()

    db.session.expire_all()
    after = str(
        [
            {name: getattr(event, name) for name in AuditEvent.__table__.columns.keys()}  # noqa: SIM118
            for event in db.session.scalars(sqlalchemy.select(AuditEvent))
        ]
    )
    for trace in ("countess", "127.0.0.1", "Werkzeug", "example.com"):
        assert trace in before
        assert trace not in after
    assert "Lovelace" not in before
    assert what_is_wrong() is None


# While a password is compared


WRONG = {
    "login": ("POST", "/auth/login", {"username": "ada", "password": "wrong"}),
    "reauthenticate": ("POST", "/auth/reauthenticate", {"password": "wrong"}),
    "change": (
        "POST",
        "/auth/password/change",
        {"current_password": "wrong", "new_password": "long enough"},
    ),
    "close": ("DELETE", "/users/me", {"password": "wrong"}),
}


def personal_parts_about(user: User) -> set[tuple[Any, ...]]:
    rows = sqlalchemy.select(AuditEvent.ip, AuditEvent.user_agent, AuditEvent.personal)
    mine = AuditEvent.subject_id == user.id
    return {tuple(row) for row in db.session.execute(rows.where(mine))}


@pytest.mark.parametrize("call", WRONG)
def test_a_wrong_password_that_is_compared_while_the_account_is_erased_leaves_nothing(
    app: Flask, client: FlaskClient, ada: User, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = bearer(log_in(client, ada)["access_token"])
    method, path, body = WRONG[call]
    verify = hashing.verify

    def verify_slowly(password: str, stored: str | None) -> hashing.Verdict:
        verdict = verify(password, stored)
        elsewhere(app, lambda: accounts.delete(ada.id, actor=None)).join()
        return verdict

    monkeypatch.setattr(hashing, "verify", verify_slowly)

    response = client.open(API + path, method=method, json=body, headers=headers)

    assert response.status_code in (401, 403)
    db.session.rollback()
    log = sqlalchemy.select(AuditEvent.event).order_by(AuditEvent.id)
    events = db.session.scalars(log).all()
    assert events[-1] in ("login_failed", "reauthentication_failed")
    assert personal_parts_about(ada) == {NOTHING}


@pytest.mark.postgresql
def test_a_failure_that_waits_for_the_erasure_to_commit_leaves_nothing_either(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    here, failing = threading.current_thread(), []

    def fail() -> None:
        body = {"username": "ada", "password": "wrong"}
        app.test_client().post(f"{API}/auth/login", json=body)

    def begin(*event: Any) -> None:
        if threading.current_thread() is here and not failing and "UPDATE audit_events" in event[2]:
            # The user is deleted, and the log forgets them in this statement: it is too late for
            # it to see what the other writes next.
            failing.append(elsewhere(app, fail))
            failing[0].join(timeout=0.5)

    engine = db.engine
    sqlalchemy.event.listen(engine, "after_cursor_execute", begin)
    try:
        accounts.delete(ada.id, actor=None)
    finally:
        sqlalchemy.event.remove(engine, "after_cursor_execute", begin)
    failing[0].join()

    failed = AuditEvent.event == "login_failed"
    assert db.session.scalar(sqlalchemy.select(AuditEvent.subject_id).where(failed)) == ada.id
    assert personal_parts_about(ada) == {NOTHING}


@pytest.mark.postgresql
def test_an_erasure_waits_for_a_failure_that_is_being_written(
    app: Flask, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    deletions = once_after(
        "INSERT INTO audit_events",
        lambda: elsewhere(app, lambda: accounts.delete(ada.id, actor=None)),
        monkeypatch,
    )

    app.test_client().post(f"{API}/auth/login", json={"username": "ada", "password": "wrong"})
    deletions[0].join()

    assert db.session.get(User, ada.id) is None
    assert personal_parts_about(ada) == {NOTHING}


def test_a_failure_at_an_account_that_stays_keeps_its_address_and_program(
    client: FlaskClient, ada: User
) -> None:
    for name in ("ada", "nobody"):
        client.post(f"{API}/auth/login", json={"username": name, "password": "wrong"})

    failures = db.session.scalars(sqlalchemy.select(AuditEvent)).all()

    assert {event.ip for event in failures} == {"127.0.0.1"}
    assert all(event.user_agent for event in failures)


def test_the_erasure_by_an_administrator_tells_of_nobodys_address(
    client: FlaskClient, ada: User, grace: User
) -> None:
    """The event is about somebody who cannot be forgotten once more."""
    headers = bearer(log_in(client, grace)["access_token"])

    response = client.delete(f"{API}/users/{ada.id}", headers=headers)

    assert response.status_code == 204
    rows = sqlalchemy.select(AuditEvent).where(AuditEvent.subject_id == ada.id)
    events = {event.event: event for event in db.session.scalars(rows)}
    erased, deleted = events["user_erased"], events["user_deleted"]
    assert (erased.ip, erased.user_agent) == (None, None)
    # From where the administrator did it belongs to the administrator.
    assert deleted.ip == "127.0.0.1"
    assert erased.request_id == deleted.request_id == response.headers["X-Request-ID"]
