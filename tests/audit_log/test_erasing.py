"""Erasing somebody from the log, whose chain stays whole"""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import pytest
import sqlalchemy
from flask import Flask
from flask.testing import FlaskClient

from app.audit_log import erasing, sealing
from app.extensions import db
from app.models import AuditEvent, User
from app.users import closing
from tests.audit_log.log import erased, seals, what_is_wrong, write, write_and_seal
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
