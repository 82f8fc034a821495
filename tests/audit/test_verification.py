"""What is done to the log by hand, and what `flask audit verify` calls it"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy
import time_machine
from flask import Flask
from sqlalchemy import delete, insert, select, update

from app import clock
from app.audit import erasing, sealing, verification
from app.audit.links import TOLERANCE
from app.audit.verification import UNSEALED_AT_MOST
from app.database.engines import snapshot
from app.extensions import db
from tests.audit.log import (
    EVENTS,
    SEALS,
    erased,
    seals,
    verify,
    what_is_wrong,
    write,
    write_and_seal,
)
from tests.tampering import unguarded

ADA, BOB = 1, 2


@pytest.fixture(autouse=True)
def inside(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def at(position: int) -> Any:
    return SEALS.c.position == position


def event_at(position: int) -> Any:
    return EVENTS.c.id == select(SEALS.c.event_id).where(at(position)).scalar_subquery()


def tamper(*statements: Any) -> None:
    with unguarded() as connection:
        for statement in statements:
            connection.execute(statement)


# Whole


def test_an_empty_log_is_whole() -> None:
    verdict = verify()

    assert (verdict.broken, verdict.sealed, verdict.position) == (None, 0, 0)


def test_a_log_that_nobody_touched_is_whole() -> None:
    write_and_seal(5)
    write(2)

    verdict = verify()

    assert verdict.broken is None
    assert (verdict.sealed, verdict.position, verdict.unsealed) == (5, 5, 2)
    assert verdict.head == seals()[-1].hash


def test_an_event_that_says_nothing_of_a_person_is_whole_too() -> None:
    write_and_seal(1, subject_id=None, ip=None, user_agent=None, personal=None, request_id=None)

    assert what_is_wrong() is None


def test_text_of_any_script_and_nested_details_are_read_as_they_were_written() -> None:
    details = {"z": [1, {"b": "艾达 😀", "a": None}], "a": True, "empty": {}, "big": 2**53 + 1}
    write_and_seal(1, details=details, user_agent='"\\ é \u2028')

    assert what_is_wrong() is None


def test_more_than_a_page_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.audit.reading.PAGE", 3)
    write_and_seal(10)
    whole = verify().sealed

    tamper(update(EVENTS).where(event_at(8)).values(event="logged_out"))

    assert whole == 10
    assert what_is_wrong() == ("edited", 8, seals()[7].event_id)


def test_what_is_sealed_while_it_is_verified_does_not_disturb() -> None:
    write_and_seal(4)

    with snapshot(db.engine) as database:
        verification.verify(database)
        write_and_seal(2)
        verdict = verification.verify(database)

    assert (verdict.sealed, verdict.broken) == (4, None)


# Edited


@pytest.mark.parametrize(
    "edit",
    [
        {"event": "logged_out"},
        {"at": datetime(2026, 1, 1, tzinfo=UTC)},
        {"actor_id": BOB},
        {"actor_id": None},
        {"subject_id": BOB},
        {"subject_id": None},
        {"request_id": "another"},
        {"request_id": None},
        {"details": {"n": 99}},
        {"details": {}},
        {"details": {"n": "2"}},
        {"details": {"n": 2.5}},
    ],
    ids=str,
)
def test_an_edited_event_is_named(edit: dict[str, Any]) -> None:
    ids = write_and_seal(5)

    tamper(update(EVENTS).where(event_at(3)).values(**edit))

    assert what_is_wrong() == ("edited", 3, ids[2])


def test_every_column_of_an_event_is_covered() -> None:
    covered = {"event", "at", "actor_id", "subject_id", "request_id", "details"}
    personal = {"ip", "user_agent", "personal"}

    assert set(EVENTS.c.keys()) == covered | personal | {"id"}


def test_the_first_of_several_edits_is_named() -> None:
    ids = write_and_seal(6)

    tamper(update(EVENTS).where(EVENTS.c.id.in_([ids[1], ids[4]])).values(event="logged_out"))

    assert what_is_wrong() == ("edited", 2, ids[1])


@pytest.mark.parametrize("column", ["at", "details"])
def test_what_a_column_cannot_hold_is_named_and_not_stumbled_over(column: str) -> None:
    if db.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL takes none")
    ids = write_and_seal(4)

    tamper(sqlalchemy.text(f"UPDATE audit_events SET {column} = 'nonsense' WHERE id = {ids[2]}"))

    verdict = verify()
    assert verdict.broken is not None
    assert (verdict.broken.kind, verdict.broken.position) == ("edited", 3)
    assert verdict.position == 2


# Removed


def test_a_removed_event_is_named() -> None:
    ids = write_and_seal(5)

    tamper(delete(EVENTS).where(event_at(3)))

    assert what_is_wrong() == ("removed", 3, ids[2])


def test_a_removed_event_at_either_end_is_named() -> None:
    ids = write_and_seal(3)

    tamper(delete(EVENTS).where(event_at(3)))
    last = what_is_wrong()
    tamper(delete(EVENTS).where(event_at(1)))

    assert last == ("removed", 3, ids[2])
    assert what_is_wrong() == ("removed", 1, ids[0])


def test_a_removed_seal_is_named() -> None:
    write_and_seal(5)

    tamper(delete(SEALS).where(at(3)))

    assert what_is_wrong() == ("seal_removed", 3, None)


def test_an_event_removed_together_with_its_seal_is_named() -> None:
    write_and_seal(5)

    tamper(delete(EVENTS).where(event_at(3)), delete(SEALS).where(at(3)))

    assert what_is_wrong() == ("seal_removed", 3, None)


def test_closing_the_gap_does_not_help() -> None:
    ids = write_and_seal(5)

    tamper(
        delete(EVENTS).where(event_at(3)),
        delete(SEALS).where(at(3)),
        update(SEALS).where(at(4)).values(position=3),
        update(SEALS).where(at(5)).values(position=4),
    )

    assert what_is_wrong() == ("seal_edited", 3, ids[3])


def test_a_removed_beginning_is_named() -> None:
    write_and_seal(5)

    tamper(
        delete(EVENTS).where(EVENTS.c.id.in_(select(SEALS.c.event_id).where(SEALS.c.position < 4))),
        delete(SEALS).where(SEALS.c.position < 3),
    )

    assert what_is_wrong() == ("seal_removed", 1, None)


def test_a_beginning_that_claims_to_have_been_pruned_elsewhere_is_named() -> None:
    write_and_seal(5)
    write_and_seal(1, event="audit_pruned", details={"through": 2, "hash": seals()[1].hash})

    tamper(
        delete(EVENTS).where(EVENTS.c.id.in_(select(SEALS.c.event_id).where(SEALS.c.position < 4))),
        delete(SEALS).where(SEALS.c.position < 3),
    )

    assert what_is_wrong() == ("seal_removed", 1, None)


def test_a_cut_off_end_is_found_by_a_head_that_was_kept_elsewhere() -> None:
    write_and_seal(5)
    kept = seals()[-1].hash
    write_and_seal(1)

    tamper(
        delete(EVENTS).where(EVENTS.c.id.in_(select(SEALS.c.event_id).where(SEALS.c.position > 3))),
        delete(SEALS).where(SEALS.c.position > 3),
    )

    assert what_is_wrong() is None
    assert what_is_wrong(heads=[kept]) == ("head_missing", None, None)


def test_a_chain_written_anew_is_found_by_a_head_that_was_kept_elsewhere() -> None:
    write_and_seal(3)
    kept = seals()[-1].hash

    tamper(update(EVENTS).where(event_at(2)).values(event="logged_out"), delete(SEALS))
    sealing.seal_everything()

    assert what_is_wrong() is None
    assert what_is_wrong(heads=[kept]) == ("head_missing", None, None)


def test_every_head_there_ever_was_is_known() -> None:
    write_and_seal(4)

    heads = [seal.hash for seal in seals()]

    assert what_is_wrong(heads=heads) is None
    assert what_is_wrong(heads=[*heads, "0123"]) == ("head_missing", None, None)


# Reordered


def test_seals_that_changed_places_are_named() -> None:
    ids = write_and_seal(5)

    tamper(
        update(SEALS).where(at(2)).values(position=99),
        update(SEALS).where(at(4)).values(position=2),
        update(SEALS).where(at(99)).values(position=4),
    )

    assert what_is_wrong() == ("reordered", 2, ids[1])


def test_events_that_changed_places_are_named() -> None:
    ids = write_and_seal(5)

    tamper(
        update(EVENTS).where(EVENTS.c.id == ids[1]).values(id=9_999_999),
        update(EVENTS).where(EVENTS.c.id == ids[3]).values(id=ids[1]),
        update(EVENTS).where(EVENTS.c.id == 9_999_999).values(id=ids[3]),
    )

    assert what_is_wrong() == ("reordered", 2, ids[1])


# Seals


@pytest.mark.parametrize(
    "edit",
    [
        {"hash": "f" * 64},
        {"event_digest": "f" * 64},
        {"personal_digest": "f" * 64},
        {"sealed_at": datetime(2026, 1, 1, tzinfo=UTC)},
        {"event_id": 9_999_999},
    ],
    ids=str,
)
def test_an_edited_seal_is_named(edit: dict[str, Any]) -> None:
    write_and_seal(5)

    tamper(update(SEALS).where(at(3)).values(**edit))

    named = what_is_wrong()
    assert named is not None
    assert named[:2] == ("seal_edited", 3)


def test_an_event_and_its_digest_edited_together_are_named() -> None:
    ids = write_and_seal(5)
    other = seals()[3].event_digest

    tamper(update(SEALS).where(at(3)).values(event_digest=other))

    assert what_is_wrong() == ("seal_edited", 3, ids[2])


# Times, and what was put in by hand


def test_an_event_that_is_dated_back_is_named() -> None:
    write_and_seal(3)

    back = clock.now() - TOLERANCE - timedelta(minutes=1)
    (event_id,) = write_and_seal(1, at=back)

    assert what_is_wrong() == ("backdated", 4, event_id)


def test_an_event_that_commits_late_is_not_dated_back() -> None:
    write_and_seal(3)

    write_and_seal(1, at=clock.now() - TOLERANCE / 2)

    assert what_is_wrong() is None


def test_an_event_that_is_dated_ahead_is_named() -> None:
    write_and_seal(3)

    (event_id,) = write_and_seal(1, at=clock.now() + timedelta(hours=1))

    assert what_is_wrong() == ("dated_ahead", 4, event_id)


def test_an_event_slipped_in_between_is_named() -> None:
    with time_machine.travel(clock.now() - timedelta(hours=2)):
        first = write(1)[0]
        gap = write(1)[0]
        tamper(delete(EVENTS).where(EVENTS.c.id == gap))
        write(1)
        sealing.seal_everything()
        tamper(insert(EVENTS).values(id=gap, at=clock.now(), event="forged", details={}))

    assert gap > first
    assert what_is_wrong() == ("inserted", None, gap)


def test_an_event_slipped_in_and_sealed_by_the_sealer_is_dated_back() -> None:
    with time_machine.travel(clock.now() - timedelta(hours=2)):
        write(1)
        gap = write(1)[0]
        tamper(delete(EVENTS).where(EVENTS.c.id == gap))
        write_and_seal(1)
    write_and_seal(1)

    back = clock.now() - timedelta(hours=2)
    tamper(insert(EVENTS).values(id=gap, at=back, event="forged", details={}))
    sealing.seal_everything()

    assert what_is_wrong() == ("backdated", 4, gap)


def test_events_that_wait_too_long_for_their_seal_are_named() -> None:
    write_and_seal(1)
    with time_machine.travel(clock.now() + timedelta(seconds=1)):
        waiting = write(2)

    with time_machine.travel(clock.now() + UNSEALED_AT_MOST - timedelta(minutes=1)):
        early = what_is_wrong()
    with time_machine.travel(clock.now() + UNSEALED_AT_MOST + timedelta(minutes=1)):
        late = what_is_wrong()

    assert early is None
    assert late == ("unsealed", None, waiting[0])


# The personal part


@pytest.mark.parametrize(
    "edit",
    [
        {"ip": "198.51.100.1"},
        {"user_agent": "Another/1.0"},
        {"user_agent": None},
        {"personal": {"email": "eve@example.com"}},
        {"personal": None},
    ],
    ids=str,
)
def test_an_edited_personal_part_is_named(edit: dict[str, Any]) -> None:
    ids = write_and_seal(5)

    tamper(update(EVENTS).where(event_at(3)).values(**edit))

    assert what_is_wrong() == ("personal_altered", 3, ids[2])


def test_an_edited_salt_is_named() -> None:
    ids = write_and_seal(5)

    tamper(update(SEALS).where(at(3)).values(salt="0" * 32))

    assert what_is_wrong() == ("personal_altered", 3, ids[2])


NOTHING = {"ip": None, "user_agent": None, "personal": None}


def test_a_personal_part_that_is_gone_by_hand_is_named() -> None:
    ids = write_and_seal(5)

    tamper(update(EVENTS).where(event_at(3)).values(**NOTHING))

    assert what_is_wrong() == ("personal_removed", 3, ids[2])


def test_to_take_the_salt_along_does_not_help() -> None:
    ids = write_and_seal(5)

    tamper(
        update(EVENTS).where(event_at(3)).values(**NOTHING),
        update(SEALS).where(at(3)).values(salt=None),
    )

    assert what_is_wrong() == ("personal_removed", 3, ids[2])


def test_the_erasure_of_somebody_else_is_no_reason() -> None:
    ids = write_and_seal(3, subject_id=ADA)
    erasing.forget([BOB])
    erased(BOB)
    sealing.seal_everything()

    tamper(
        update(EVENTS).where(event_at(2)).values(**NOTHING),
        update(SEALS).where(at(2)).values(salt=None),
    )

    assert what_is_wrong() == ("personal_removed", 2, ids[1])


def test_the_erasure_of_the_user_is_one() -> None:
    write_and_seal(3, subject_id=ADA)

    erasing.forget([ADA])
    erased(ADA)
    sealing.seal_everything()

    assert what_is_wrong() is None


def test_what_is_written_where_something_was_erased_is_named() -> None:
    ids = write_and_seal(3, subject_id=ADA)
    erasing.forget([ADA])
    erased(ADA)

    tamper(update(EVENTS).where(event_at(2)).values(ip="198.51.100.1"))

    assert what_is_wrong() == ("personal_altered", 2, ids[1])


# From where on


def test_what_was_verified_before_can_be_left_out() -> None:
    ids = write_and_seal(5)
    tamper(update(EVENTS).where(event_at(2)).values(event="logged_out"))

    assert what_is_wrong() == ("edited", 2, ids[1])
    assert what_is_wrong(after=2) is None
    assert verify(after=2).sealed == 3
    assert what_is_wrong(after=9) == ("seal_removed", 9, None)


def test_what_comes_after_must_follow_from_it() -> None:
    write_and_seal(5)
    tamper(update(SEALS).where(at(2)).values(hash="f" * 64))

    named = what_is_wrong(after=2)

    assert named is not None
    assert named[:2] == ("seal_edited", 3)


def test_the_report_tells_how_far_it_got(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.audit.verification.REPORT_EVERY", 2)
    write_and_seal(5)
    told: list[int] = []

    verify(report=told.append)

    assert told == [2, 4]
