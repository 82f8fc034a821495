"""Remembering when the log was last verified, and with which result."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from app import clock
from app.audit.verification import UNSEALED_AT_MOST, Verdict
from app.database.rows import insert
from app.extensions import db
from app.models import AuditCheck, AuditEvent, AuditSeal

WHOLE, BROKEN = "whole", "broken"
LONGEST_SENTENCE = 500
# Counting goes on only up to this number.
MANY = 1000


def remember(verdict: Verdict, *, after: int) -> None:
    """Keep the result of a check that began at this position. Commits."""
    broken = verdict.broken
    row = {
        "checked_at": clock.now(),
        "after": after,
        "position": verdict.position,
        "head": verdict.head,
        "kind": broken and broken.kind,
        "event_id": broken and broken.event_id,
        "sentence": broken and broken.sentence[:LONGEST_SENTENCE],
    }
    note = insert(AuditCheck).values(outcome=BROKEN if broken else WHOLE, **row)
    db.session.execute(note.on_conflict_do_update(index_elements=["outcome"], set_=row))
    db.session.commit()


def remembered() -> Mapping[str, AuditCheck]:
    """The last check of each outcome, the newest first."""
    newest_first = select(AuditCheck).order_by(AuditCheck.checked_at.desc())
    return {check.outcome: check for check in db.session.scalars(newest_first)}


@dataclass(frozen=True)
class Sealing:
    """How far the log is sealed. ``waiting`` counts no further than ``MANY``."""

    position: int
    sealed_at: datetime | None
    waiting: int
    is_late: bool


def sealing() -> Sealing:
    newest = db.session.execute(
        select(AuditSeal.position, AuditSeal.sealed_at, AuditSeal.event_id)
        .order_by(AuditSeal.position.desc())
        .limit(1)
    ).one_or_none()
    # An event with a lower id may still wait, for a moment. Only a full check finds all of these.
    behind = newest.event_id if newest else 0
    unsealed = select(AuditEvent.at).where(AuditEvent.id > behind).order_by(AuditEvent.id)
    waiting = unsealed.limit(MANY).subquery()
    count, oldest = db.session.execute(select(func.count(), func.min(waiting.c.at))).one()
    return Sealing(
        position=newest.position if newest else 0,
        sealed_at=newest.sealed_at if newest else None,
        waiting=count,
        is_late=oldest is not None and oldest < clock.now() - UNSEALED_AT_MOST,
    )
