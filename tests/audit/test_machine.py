"""The log as a state machine: whatever is done by the rules verifies, and one edit never does.

Hypothesis records, seals, erases, prunes and lets time pass, in any order.
``make fuzz`` runs it for long.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete, select, update

from app.audit import erasing, recording, retention, sealing
from app.audit.vocabulary import Event
from app.extensions import db
from app.models import AuditEvent
from tests.audit.log import EVENTS, SEALS, seals, what_is_wrong
from tests.tampering import empty_the_log, unguarded

USERS = st.integers(1, 4)
TEXTS = st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20))
DETAILS = st.dictionaries(
    st.sampled_from(["reason", "n", "from", "nested"]),
    st.recursive(
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(-(2**53), 2**53),
            st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=10),
        ),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=5,
    ),
    max_size=3,
)
RETENTION = timedelta(days=5)


EDITS: dict[str, Callable[[Any, Any], Any]] = {
    "an event renamed": lambda event, seal: update(EVENTS).where(event).values(event="forged"),
    "its subject": lambda event, seal: update(EVENTS).where(event).values(subject_id=99),
    "its details": lambda event, seal: update(EVENTS).where(event).values(details={"x": 1}),
    "its address": lambda event, seal: update(EVENTS).where(event).values(ip="forged"),
    "an event removed": lambda event, seal: delete(EVENTS).where(event),
    "a hash": lambda event, seal: update(SEALS).where(seal).values(hash="f" * 64),
    "a salt": lambda event, seal: update(SEALS).where(seal).values(salt="f" * 32),
    "a seal removed": lambda event, seal: delete(SEALS).where(seal),
}


def at(position: int) -> Any:
    return SEALS.c.position == position


class Log(RuleBasedStateMachine):
    app: Flask

    def __init__(self) -> None:
        super().__init__()
        self.now = datetime.fromisoformat("2026-11-22T08:00:00Z")
        self.context = self.app.app_context()
        self.context.push()
        empty_the_log()

    def teardown(self) -> None:
        db.session.rollback()
        self.context.pop()

    def at_this_time(self) -> Any:
        return time_machine.travel(self.now, tick=False)

    @rule(
        subject=st.one_of(st.none(), USERS),
        actor=st.one_of(st.none(), USERS),
        address=TEXTS,
        personal=st.one_of(st.none(), DETAILS),
        details=DETAILS,
    )
    def record(
        self,
        subject: int | None,
        actor: int | None,
        address: str | None,
        personal: dict[str, Any] | None,
        details: dict[str, Any],
    ) -> None:
        with self.at_this_time():
            db.session.add(
                AuditEvent(
                    at=self.now,
                    event=Event.LOGIN_FAILED.value,
                    subject_id=subject,
                    actor_id=actor,
                    ip=address,
                    user_agent=address,
                    personal=personal,
                    details=details,
                )
            )
            db.session.commit()

    @rule(limit=st.integers(1, 4))
    def seal(self, limit: int) -> None:
        with self.at_this_time():
            sealing.seal(limit)

    @rule(user=USERS)
    def erase(self, user: int) -> None:
        with self.at_this_time():
            erasing.forget([user])
            recording.record(Event.USER_ERASED, subject_id=user)
            db.session.commit()

    @rule(limit=st.integers(1, 5))
    def prune(self, limit: int) -> None:
        with self.at_this_time():
            retention.prune(limit)

    @rule(length=st.sampled_from([timedelta(seconds=1), timedelta(days=1), timedelta(days=6)]))
    def pass_time(self, length: timedelta) -> None:
        # The sealer was there in the meantime.
        with self.at_this_time():
            sealing.seal_everything()
        self.now += length

    @invariant()
    def it_is_whole(self) -> None:
        with self.at_this_time():
            assert what_is_wrong() is None

    @rule(which=st.integers(0, 1000), how=st.sampled_from(sorted(EDITS)))
    def one_edit_shows(self, which: int, how: str) -> None:
        """It is undone afterwards, so that the story can go on."""
        # The first seal may be where the log was pruned to, and the last may be cut off.
        within = seals()[1:-1] if how == "a seal removed" else seals()[1:]
        if not within:
            return
        seal = within[which % len(within)]

        with self.at_this_time():
            named = named_after(EDITS[how](EVENTS.c.id == seal.event_id, at(seal.position)))

        assert named is not None


def named_after(statement: Any) -> Any:
    """What is named once this was done by hand; then it is undone."""
    before = {table: db.session.execute(select(table)).all() for table in (EVENTS, SEALS)}
    db.session.rollback()
    with unguarded() as connection:
        connection.execute(statement)
    named = what_is_wrong()
    with unguarded() as connection:
        for table, rows in before.items():
            connection.execute(delete(table))
            if rows:
                # NULL of a JSON column is NULL again, and not the text null.
                connection.execute(table.insert(), [dict(row._mapping) for row in rows])
    return named


@pytest.mark.usefixtures("app")
def test_whatever_is_done_by_the_rules_verifies_and_one_edit_never_does(
    app: Flask, set_settings: Any
) -> None:
    set_settings(audit_retention=RETENTION)
    Log.app = app
    # Each step reads the whole log several times, so there are fewer.
    steps = settings().stateful_step_count * 2 // 5

    run_state_machine_as_test(Log, settings=settings(stateful_step_count=steps))
