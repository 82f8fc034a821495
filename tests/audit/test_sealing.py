"""Sealing: every event once, whoever seals and whenever it commits"""

import json
import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
import requests
import sqlalchemy
from flask import Flask

from app import audit, clock
from app.audit import sealer, sealing
from app.audit.vocabulary import Event
from app.extensions import db
from app.models import AuditEvent, AuditSeal
from tests.audit.log import positions, seals, verify, what_is_wrong, write, write_and_seal
from tests.conftest import ENVIRONMENT
from tests.servers import serving


@pytest.fixture(autouse=True)
def inside(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def sealed_ids() -> list[int]:
    return [seal.event_id for seal in seals()]


# One sealer


def test_it_seals_what_is_there_in_the_order_of_the_ids() -> None:
    ids = write(3)

    assert sealing.seal() == 3
    assert sealed_ids() == ids
    assert positions() == [1, 2, 3]


def test_it_goes_on_where_it_left_off() -> None:
    first = write_and_seal(2)
    second = write(2)

    assert sealing.seal() == 2
    assert sealed_ids() == first + second
    assert positions() == [1, 2, 3, 4]
    assert what_is_wrong() is None


def test_it_seals_nothing_twice() -> None:
    write_and_seal(2)

    assert sealing.seal() == 0
    assert sealing.seal_everything() == 0
    assert positions() == [1, 2]


def test_it_takes_no_more_than_it_is_told() -> None:
    write(5)

    assert [sealing.seal(2) for _ in range(4)] == [2, 2, 1, 0]
    assert what_is_wrong() is None


def test_it_writes_nothing_while_there_is_nothing(statements: list[str]) -> None:
    write_and_seal(1)
    statements.clear()

    sealing.seal()

    assert {statement.split()[0] for statement in statements} == {"SELECT"}
    assert len(statements) == 2


def test_what_commits_late_is_sealed_later() -> None:
    early, late, later = write(3)
    seal_only(early, later)

    sealing.seal()

    assert sealed_ids() == [early, later, late]
    assert what_is_wrong() is None


def test_how_late_it_looks_is_bounded_unless_it_looks_everywhere() -> None:
    ids = write(5)
    db.session.add(AuditEvent(id=ids[-1] + 100, event="e", at=clock.now(), details={}))
    db.session.commit()
    seal_only(ids[-1] + 100)

    assert sealing.seal(late=50) == 0
    assert sealing.seal(late=102) == 2
    assert sealing.seal(late=None) == 3


def test_a_batch_leaves_a_head_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    write(3)

    with caplog.at_level(logging.INFO, "app.audit.sealing"):
        sealing.seal()

    (line,) = [record for record in caplog.records if record.msg == "audit log sealed"]
    assert (line.events, line.position, line.head) == (3, 3, seals()[-1].hash)


def test_events_of_code_that_knows_no_chain_are_sealed_like_any_other() -> None:
    db.session.execute(
        sqlalchemy.text(
            "INSERT INTO audit_events (event, subject_id, ip, details)"
            " VALUES ('refresh_token_reused', 1, '203.0.113.7', '{}')"
        )
    )
    db.session.commit()

    assert sealing.seal() == 1
    assert what_is_wrong() is None


def seal_only(*ids: int) -> None:
    """As if the sealer had passed by while the others were not committed yet."""
    events = sqlalchemy.select(AuditEvent.__table__).where(AuditEvent.id.in_(ids))
    links = sealing._seals_for(db.session.execute(events.order_by(AuditEvent.id)).all())
    db.session.execute(sqlalchemy.insert(AuditSeal), links)
    db.session.commit()


# Several at once


@pytest.mark.postgresql
def test_sixteen_write_while_two_seal_and_every_event_is_sealed_once(app: Flask) -> None:
    writers, each = 16, 25
    done = threading.Event()

    def keep_writing(number: int) -> None:
        with app.app_context():
            for _ in range(each):
                audit.record(Event.LOGIN_SUCCEEDED, subject_id=number, actor_id=number)
                # The id is taken here, and others overtake before the commit.
                db.session.flush()
                time.sleep(0.001 * (number % 4))
                db.session.commit()

    def keep_sealing(_: int) -> int:
        total = 0
        with app.app_context():
            while not done.is_set():
                total += sealing.seal(limit=7)
        return total

    with ThreadPoolExecutor(writers + 2) as threads:
        sealers = [threads.submit(keep_sealing, number) for number in range(2)]
        list(threads.map(keep_writing, range(writers)))
        done.set()
        totals = [future.result() for future in sealers]

    with app.app_context():
        rest = sealing.seal_everything()
        verdict = verify()
        assert sum(totals) + rest == writers * each
        assert sorted(sealed_ids()) == sorted(set(sealed_ids()))
        assert positions() == list(range(1, writers * each + 1))
        assert (verdict.broken, verdict.sealed, verdict.unsealed) == (None, writers * each, 0)


@pytest.mark.postgresql
def test_without_the_lock_the_database_still_gives_no_position_twice(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "_take_turn", lambda wait: True)
    with app.app_context():
        write(50)

    def keep_sealing(_: int) -> None:
        with app.app_context():
            for _ in range(40):
                sealing.seal(limit=3)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(keep_sealing, range(4)))

    with app.app_context():
        sealing.seal_everything()
        assert positions() == list(range(1, 51))
        assert what_is_wrong() is None


@pytest.mark.postgresql
def test_a_sealer_does_not_wait_for_another(app: Flask) -> None:
    with app.app_context():
        write(1)
        sealing.lock_chain()
        with ThreadPoolExecutor(1) as threads:

            def seal() -> int:
                with app.app_context():
                    return sealing.seal()

            assert threads.submit(seal).result(timeout=30) == 0
        db.session.rollback()
        assert sealing.seal() == 1


def test_nobody_who_records_waits_for_the_sealer(app: Flask) -> None:
    if "sqlite" in str(app.config["SQLALCHEMY_DATABASE_URI"]):
        pytest.skip("SQLite has one writer at a time")
    with app.app_context():
        write(3)
        sealing.lock_chain()

        def record() -> list[int]:
            with app.app_context():
                return write(1)

        with ThreadPoolExecutor(1) as threads:
            assert threads.submit(record).result(timeout=30)
        db.session.rollback()


# The sealer of the server


def test_the_sealer_seals_until_it_is_told_to_stop(app: Flask) -> None:
    stop = threading.Event()
    with app.app_context():
        write(3)
    thread = threading.Thread(target=sealer.run, args=(app, stop))
    thread.start()
    try:
        with app.app_context():
            for _ in range(200):
                if len(seals()) == 3:
                    break
                db.session.rollback()
                time.sleep(0.05)
            assert positions() == [1, 2, 3]
    finally:
        stop.set()
        thread.join(timeout=30)
    assert not thread.is_alive()


def test_the_sealer_outlives_a_database_that_fails(
    app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[int] = []
    stop = threading.Event()

    def fail(**_: object) -> int:
        tries.append(1)
        if len(tries) == 2:
            stop.set()
        raise RuntimeError("the database is away")

    monkeypatch.setattr(sealing, "seal", fail)
    monkeypatch.setattr(sealer, "IDLE_SECONDS", 0)

    sealer.run(app, stop)

    assert len(tries) == 2
    assert "background work failed; the process goes on" in caplog.text


def test_the_server_seals_by_itself(app: Flask, database_url: str, tmp_path: Path) -> None:
    with app.app_context():
        write(5, at=clock.now() - timedelta(seconds=5))
    variables = ENVIRONMENT | {"DATABASE_URL": database_url, "WEB_CONCURRENCY": "2"}
    log = tmp_path / "log"

    with serving(log, LOG_FORMAT="json", TMPDIR=str(tmp_path), **variables) as server:
        assert requests.get(f"{server.url}/healthz", timeout=30).ok
        for _ in range(200):
            if "audit log sealed" in log.read_text():
                break
            time.sleep(0.05)

    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    (line,) = [line for line in lines if line["event"] == "audit log sealed"]
    with app.app_context():
        assert (line["events"], line["position"]) == (5, 5)
        assert line["head"] == seals()[-1].hash
        assert what_is_wrong() is None
