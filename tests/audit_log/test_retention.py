"""AUDIT_RETENTION_DAYS: the beginning of the log goes, and the rest still follows from it"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy
from flask import Flask
from sqlalchemy import func, select

from app import clock
from app.audit_log import retention, sealing
from app.extensions import db
from app.models import AuditEvent, AuditPruning
from app.models.audit_event import IS_PRUNING, Event
from tests.audit_log.log import (
    EVENTS,
    positions,
    seals,
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


def test_the_command_prunes_and_says_how_many(app: Flask) -> None:
    write(3, at=clock.now() - OLD)

    result = app.test_cli_runner().invoke(args=["prune"])

    assert "Removed 3 audit events." in result.output
    assert positions() == [3]


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
