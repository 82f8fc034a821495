"""Sealing: a moment after events are recorded, a batch of them is added to the chain.

Recording an event does not depend on other events, so no login waits for
another. One sealer at a time then puts the events in an order. If an event
commits after one with a higher id, it only gets a later place in the chain.
"""

import logging
import secrets
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, exists, func, insert, select, text
from sqlalchemy.exc import IntegrityError

from app import clock
from app.audit import chain
from app.database.rows import change
from app.extensions import db
from app.models import AuditEvent, AuditSeal

log = logging.getLogger(__name__)

BATCH = 1000
# Some events commit late. The sealer looks for them this many ids behind the newest sealed event:
# the first number every time, the second once in a while. `flask audit seal` and `flask prune`
# look everywhere.
LATE = 1_000
VERY_LATE = 100_000
# This number names the lock under which the chain grows. It must differ from those of other locks.
SEALING_LOCK = 5_117_329_407


def seal(limit: int = BATCH, *, late: int | None = LATE) -> int:
    """Seal up to ``limit`` events, the oldest first, and say how many. Commits.

    Seals nothing if another sealer is at work. If ``late`` is ``None``, it
    looks everywhere for events that committed late.
    """
    newest = db.session.scalar(select(func.max(AuditSeal.event_id))) or 0
    behind = 0 if late is None else newest - late
    # The lock is taken only if there is something to do: with SQLite, all writers wait for it.
    if not unsealed(behind, 1) or not _take_turn(wait=False):
        db.session.rollback()
        return 0
    seals = _seals_for(unsealed(behind, limit))
    try:
        if seals:
            db.session.execute(insert(AuditSeal), seals)
        db.session.commit()
    except IntegrityError:
        # Another sealer took the same position. The lock makes this rare, and the primary key
        # makes sure that no position exists twice.
        db.session.rollback()
        return 0
    if seals:
        # If the log files are sent to another machine, that one has a head of the chain that
        # nobody here can change.
        head = {"position": seals[-1]["position"], "head": seals[-1]["hash"]}
        log.info("audit log sealed", extra={"events": len(seals), **head})
    return len(seals)


def seal_everything() -> int:
    """Seal all events that are not sealed yet, and say how many. Commits several times."""
    total = 0
    while sealed := seal(late=None):
        total += sealed
    return total


def lock_chain() -> None:
    """Keep sealers away until the caller commits."""
    _take_turn(wait=True)


def unsealed(behind: int, limit: int) -> Sequence[Row[Any]]:
    """Return up to ``limit`` events with an id above ``behind`` and no seal, the oldest first."""
    # The second bound does not change the result. It keeps PostgreSQL from reading every seal.
    sealed = exists().where(AuditSeal.event_id == AuditEvent.id, AuditSeal.event_id > behind)
    return db.session.execute(
        select(AuditEvent.__table__)
        .where(AuditEvent.id > behind, ~sealed)
        .order_by(AuditEvent.id)
        .limit(limit)
    ).all()


def _seals_for(events: Sequence[Row[Any]]) -> list[dict[str, Any]]:
    """Make the next links of the chain, one for each event."""
    last = db.session.execute(
        select(AuditSeal.position, AuditSeal.hash).order_by(AuditSeal.position.desc()).limit(1)
    ).one_or_none()
    behind, head = (last.position, last.hash) if last else (0, chain.BEGINNING)
    now = clock.now()
    seals = []
    for position, event in enumerate(events, behind + 1):
        salt = secrets.token_hex(16)
        covered = {
            "position": position,
            "event_id": event.id,
            "sealed_at": now,
            "event_digest": chain.event_digest(event),
            "personal_digest": chain.personal_digest(event, salt),
        }
        head = chain.seal_hash(head, **covered)
        seals.append({**covered, "salt": salt, "hash": head})
    return seals


def _take_turn(*, wait: bool) -> bool:
    if db.session.get_bind().dialect.name == "sqlite":
        # This changes nothing, but it takes the lock that all writers of SQLite share.
        nothing = change(AuditSeal).where(AuditSeal.position.is_(None)).values(salt=None)
        db.session.execute(nothing)
        return True
    function = "pg_advisory_xact_lock" if wait else "pg_try_advisory_xact_lock"
    taken = db.session.scalar(text(f"SELECT {function}({SEALING_LOCK})"))
    return wait or bool(taken)
