"""AUDIT_RETENTION_DAYS: the beginning of the log goes, and the rest still follows from it"""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy
import time_machine
from flask import Flask
from sqlalchemy import func, select

from app import clock
from app.audit import prunings as prunings_on_record
from app.audit import retention, sealing, verification
from app.audit.vocabulary import Event
from app.extensions import db
from app.models import AuditEvent, AuditPruning
from app.models.audit_event import IS_PRUNING
from tests.audit.log import (
    EVENTS,
    SEALS,
    positions,
    seals,
    verify,
    what_is_wrong,
    write,
    write_and_seal,
)
from tests.tampering import unguarded

OLD, NEW = timedelta(days=10), timedelta(days=1)


@pytest.fixture(autouse=True)
def inside(app: Flask, set_settings: Callable[..., None]) -> Iterator[None]:
    set_settings(audit_retention=timedelta(days=5))
    with app.app_context():
        yield


def left() -> list[int]:
    return list(db.session.scalars(select(AuditEvent.id).order_by(AuditEvent.id)))


def prunings() -> list[AuditEvent]:
    rows = select(AuditEvent).where(AuditEvent.event == Event.AUDIT_PRUNED.value)
    return list(db.session.scalars(rows.order_by(AuditEvent.id)))


def old_and_new(old: int, new: int) -> tuple[list[int], list[int]]:
    ids = write(old, at=clock.now() - OLD) + write(new, at=clock.now() - NEW)
    sealing.seal_everything()
    return ids[:old], ids[old:]


def test_by_default_the_log_is_kept_for_good(set_settings: Callable[..., None]) -> None:
    set_settings(audit_retention=timedelta(0))
    old, new = old_and_new(2, 1)

    assert retention.prune(10) == 0
    assert left() == old + new


def test_what_is_old_goes_and_the_last_seal_of_it_stays() -> None:
    _, new = old_and_new(3, 2)
    head = seals()[2].hash

    assert retention.prune(10) == 3

    (pruning,) = prunings()
    assert left() == [*new, pruning.id]
    assert positions() == [3, 4, 5]
    assert seals()[0].hash == head
    assert (pruning.details["through"], pruning.details["hash"]) == (3, head)
    assert db.session.scalar(select(func.count()).select_from(AuditPruning)) == 0


def test_the_rest_is_still_whole_and_says_so() -> None:
    old_and_new(3, 2)
    retention.prune(10)

    before = what_is_wrong()
    sealing.seal_everything()

    assert before is None
    assert what_is_wrong() is None
    assert what_is_wrong(heads=[seals()[0].hash, seals()[-1].hash]) is None


def test_an_edit_behind_it_is_still_named() -> None:
    _, new = old_and_new(3, 2)
    retention.prune(10)

    with unguarded() as connection:
        connection.execute(
            sqlalchemy.update(EVENTS).where(EVENTS.c.id == new[0]).values(event="forged")
        )

    assert what_is_wrong() == ("edited", 4, new[0])


def test_it_goes_in_batches_and_again_another_day() -> None:
    old_and_new(5, 1)

    batches = [retention.prune(2) for _ in range(4)]
    sealing.seal_everything()

    assert batches == [2, 2, 1, 0]
    assert positions() == [5, 6, 7, 8, 9]
    assert [pruning.details["through"] for pruning in prunings()] == [2, 4, 5]
    assert what_is_wrong() is None


def test_what_is_not_sealed_stays() -> None:
    write(3, at=clock.now() - OLD)

    assert retention.prune(10) == 0
    assert len(left()) == 3


def test_all_of_it_may_go() -> None:
    old_and_new(3, 0)

    retention.prune(10)
    sealing.seal_everything()

    assert positions() == [3, 4]
    assert what_is_wrong() is None


def test_a_pruning_that_is_not_on_record_is_named() -> None:
    old_and_new(3, 2)
    retention.prune(10)

    with unguarded() as connection:
        connection.execute(sqlalchemy.delete(EVENTS).where(EVENTS.c.event == "audit_pruned"))

    assert what_is_wrong() == ("seal_removed", 1, None)


def test_an_event_put_in_where_the_log_was_pruned_to_is_named() -> None:
    old, _ = old_and_new(3, 2)
    retention.prune(10)

    with unguarded() as connection:
        connection.execute(
            sqlalchemy.insert(EVENTS).values(
                id=old[-1], at=clock.now() - OLD, event="forged", details={}
            )
        )

    assert what_is_wrong() == ("inserted", 3, old[-1])


def test_what_is_not_as_it_was_written_is_not_deleted() -> None:
    old, new = old_and_new(4, 1)
    with unguarded() as connection:
        connection.execute(
            sqlalchemy.update(EVENTS).where(EVENTS.c.id == old[2]).values(event="forged")
        )

    assert retention.prune(10) == 2
    assert retention.prune(10) == 0

    assert left()[:3] == [*old[2:], *new]
    assert what_is_wrong() == ("edited", 3, old[2])


def test_an_event_dated_back_behind_newer_ones_waits_for_them() -> None:
    write_and_seal(1, at=clock.now() - NEW)
    write_and_seal(1, at=clock.now() - OLD)

    assert retention.prune(10) == 0


@pytest.mark.parametrize("limit", [1, 2, 10])
def test_an_event_dated_back_is_not_dropped_with_those_before_it(
    limit: int, caplog: pytest.LogCaptureFixture
) -> None:
    old = write_and_seal(3, at=clock.now() - OLD)
    (back,) = write_and_seal(1, at=clock.now() - 2 * OLD)
    later = write_and_seal(2, at=clock.now() - OLD)

    while retention.prune(limit):
        pass

    assert [event for event in left() if event in (*old, back, *later)] == [back, *later]
    assert what_is_wrong() == ("backdated", 4, back)
    assert "pruned only up to its first wrong place" in caplog.text


def test_an_event_dated_back_is_named_where_verifying_goes_on_behind_the_one_before() -> None:
    write_and_seal(2, at=clock.now() - NEW)
    (back,) = write_and_seal(1, at=clock.now() - 2 * NEW)

    broken = verify(after=2).broken

    assert broken is not None
    assert (broken.kind, broken.event_id) == ("backdated", back)


def test_the_command_prunes_and_says_how_many(app: Flask) -> None:
    write(3, at=clock.now() - OLD)

    result = app.test_cli_runner().invoke(args=["prune"])

    assert "Removed 3 audit events." in result.output
    assert positions() == [3]


# A pruning that the retention does not explain


def forge(through: int, **details: Any) -> int:
    """Do by hand what `flask prune` does, whatever the retention says: the id of the entry."""
    deleted = [link for link in verification.walk(db.session) if link.position <= through]
    entry = {**in_json(prunings_on_record.describe(deleted)), **details}
    kept = {name: value for name, value in entry.items() if value is not None}
    gone = [link.event_id for link in deleted]
    db.session.rollback()
    with unguarded() as connection:
        connection.execute(sqlalchemy.delete(EVENTS).where(EVENTS.c.id.in_(gone)))
        connection.execute(sqlalchemy.delete(SEALS).where(SEALS.c.position < through))
    return enter(**kept)


def enter(**details: Any) -> int:
    """An entry of pruning, as the role that serves may insert one."""
    [number] = write(
        1, event=Event.AUDIT_PRUNED.value, subject_id=None, personal=None, details=details
    )
    return number


def in_json(details: dict[str, Any]) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(details))
    return copy


def explained(**given: Any) -> bool:
    """Whether every pruning is, before and after its entry is sealed."""
    before = what_is_wrong(**given)
    sealing.seal_everything()
    after = what_is_wrong(**given)
    assert (before and before[0]) == (after and after[0])
    assert after is None or after[0] == "pruning_unexplained"
    return after is None


def test_a_pruning_is_named_where_nothing_may_be_pruned(set_settings: Callable[..., None]) -> None:
    old_and_new(3, 2)
    retention.prune(10)
    set_settings(audit_retention=timedelta(0))

    assert not explained()
    assert explained(retention=timedelta(days=5))


@pytest.mark.parametrize(
    "details",
    [
        pytest.param({}, id="the last event that went"),
        pytest.param({"last": None}, id="no last event, as older versions wrote it"),
    ],
)
def test_a_pruning_of_what_was_not_old_enough_is_named(details: dict[str, Any]) -> None:
    write_and_seal(5, at=clock.now() - NEW)
    number = forge(4, **details)

    assert what_is_wrong() == ("pruning_unexplained", None, number)
    assert not explained()
    assert explained(retention=timedelta(hours=12) if not details else timedelta(minutes=-61))


@pytest.mark.parametrize(
    "lie",
    [
        {"at": "2020-01-01T00:00:00.000000Z"},
        {"at": "2020-01-01T00:00:00.000000Z", "id": 1},
        {"at": "2020-01-01"},
        {"at": None},
        {"subject_id": 99},
    ],
    ids=str,
)
def test_nobody_can_say_that_what_went_was_older(lie: dict[str, Any]) -> None:
    write_and_seal(5, at=clock.now() - NEW)
    link = list(verification.walk(db.session))[3]
    true = in_json(prunings_on_record.describe([link]))["last"]
    db.session.rollback()

    forge(4, last={**true, **lie})

    assert not explained()


def test_what_older_versions_put_on_record_is_explained_by_the_time_of_the_seal() -> None:
    with time_machine.travel(clock.now() - OLD):
        write_and_seal(3)
    write_and_seal(1)
    forge(3, last=None)

    assert explained()


@pytest.mark.parametrize(
    "lie",
    [
        {"through": 4},
        {"events": 2},
        {"events": 4},
        {"events": 0},
        {"events": "3"},
        {"through": None},
        {"last": "2020-01-01"},
        {"hash": None},
    ],
    ids=str,
)
def test_a_pruning_that_tells_of_other_rows_is_named(lie: dict[str, Any]) -> None:
    old_and_new(5, 1)
    assert retention.prune(2) == 2
    old = list(verification.walk(db.session))[:3]
    true = in_json(prunings_on_record.describe(old))
    db.session.rollback()
    assert retention.prune(3) == 3
    assert explained()

    enter(**{name: value for name, value in {**true, **lie}.items() if value is not None})

    assert not explained()


def test_an_entry_of_something_that_is_still_there_is_named() -> None:
    old_and_new(3, 2)
    links = list(verification.walk(db.session))[:3]
    entry = in_json(prunings_on_record.describe(links))
    db.session.rollback()

    number = enter(**entry)

    assert what_is_wrong() == ("pruning_unexplained", None, number)
    assert not explained()


def test_an_entry_from_the_future_explains_nothing() -> None:
    write_and_seal(5)
    number = forge(4)
    with unguarded() as connection:
        connection.execute(
            sqlalchemy.update(EVENTS)
            .where(EVENTS.c.id == number)
            .values(at=clock.now() + timedelta(days=400))
        )

    assert what_is_wrong() == ("pruning_unexplained", None, number)


def test_the_command_names_a_pruning_and_can_be_told_what_was_in_force(
    app: Flask, set_settings: Callable[..., None]
) -> None:
    old_and_new(3, 2)
    retention.prune(10)
    set_settings(audit_retention=timedelta(days=30))
    run = app.test_cli_runner().invoke

    refused = run(args=["audit", "verify"])
    accepted = run(args=["audit", "verify", "--retention-days", "5"])

    assert (refused.exit_code, accepted.exit_code) == (1, 0)
    assert "10.0 days old, and AUDIT_RETENTION_DAYS keeps events for 30" in refused.output
    assert run(args=["audit", "verify", "--retention-days", "0"]).exit_code == 2


def test_two_prunings_at_once_put_each_event_on_record_once(app: Flask) -> None:
    old_and_new(40, 1)
    barrier = threading.Barrier(2)

    def prune() -> int:
        with app.app_context():
            barrier.wait()
            return retention.prune(30)

    with ThreadPoolExecutor(2) as threads:
        pruned = [done.result() for done in [threads.submit(prune), threads.submit(prune)]]

    assert sorted(pruned) == [10, 30]
    assert [pruning.details["events"] for pruning in prunings()] == [30, 10]
    assert explained()


@pytest.mark.postgresql
def test_looking_for_prunings_does_not_read_the_log() -> None:
    write(50)
    db.session.execute(sqlalchemy.text("SET LOCAL enable_seqscan = off"))
    looking = select(AuditEvent.details).where(IS_PRUNING)

    plan = db.session.scalars(sqlalchemy.text(f"EXPLAIN {as_sent(looking)}")).all()

    assert "ix_audit_events_prunings" in "\n".join(plan)


def as_sent(statement: sqlalchemy.Select[Any]) -> str:
    """The text as PostgreSQL gets it, in which the index must find its condition."""
    sent = statement.compile(db.engine, compile_kwargs={"render_postcompile": True})
    assert not sent.params
    return str(sent)
