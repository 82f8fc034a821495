"""Sealing: what was recorded is bound into the chain, a moment later and in batches.

Events are recorded without a look at each other, so that no login waits for
another; one sealer at a time then puts them in a row. An event that commits
late, behind one with a higher id, is sealed later and that is all.
"""

import logging
import secrets
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, exists, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from app import clock
from app.audit import chain
from app.extensions import db
from app.models import AuditEvent, AuditSeal

log = logging.getLogger(__name__)

BATCH = 1000
# How many ids behind the newest sealed event it is looked for events that committed late: every
# time, and once in a while. `flask audit seal` and `flask prune` look everywhere.
LATE = 1_000
VERY_LATE = 100_000
# Any number, as long as nobody else takes it: it names the lock under which the chain grows.
SEALING_LOCK = 5_117_329_407


def seal(limit: int = BATCH, *, late: int | None = LATE) -> int:
    """Seal up to ``limit`` events, the oldest first, and say how many. Commits.

    None where another sealer is at it. Looks everywhere where ``late`` is ``None``.
    """
    newest = db.session.scalar(select(func.max(AuditSeal.event_id))) or 0
    behind = 0 if late is None else newest - late
    # The lock is not asked for while there is nothing to do: SQLite's keeps all writers waiting.
    if not unsealed(behind, 1) or not _take_turn(wait=False):
        db.session.rollback()
        return 0
    seals = _seals_for(unsealed(behind, limit))
    try:
        if seals:
            db.session.execute(insert(AuditSeal), seals)
        db.session.commit()
    except IntegrityError:
        # The lock is the courtesy, and the primary key the rule: no position is given twice.
        db.session.rollback()
        return 0
    if seals:
        # Whoever ships the log elsewhere has there a head that nobody here can change.
        head = {"position": seals[-1]["position"], "head": seals[-1]["hash"]}
        log.info("audit log sealed", extra={"events": len(seals), **head})
    return len(seals)


def seal_everything() -> int:
    """Seal whatever is not yet, and say how many events that were. Commits, several times."""
    total = 0
    while sealed := seal(late=None):
        total += sealed
    return total


def hold_chain() -> None:
    """Keep sealers away until the caller commits."""
    _take_turn(wait=True)


def unsealed(behind: int, limit: int) -> Sequence[Row[Any]]:
    """Up to ``limit`` events with an id beyond ``behind`` that have no seal, the oldest first."""
    # The second bound says nothing new; it keeps PostgreSQL from reading every seal there is.
    sealed = exists().where(AuditSeal.event_id == AuditEvent.id, AuditSeal.event_id > behind)
    return db.session.execute(
        select(AuditEvent.__table__)
        .where(AuditEvent.id > behind, ~sealed)
        .order_by(AuditEvent.id)
        .limit(limit)
    ).all()


def _seals_for(events: Sequence[Row[Any]]) -> list[dict[str, Any]]:
    """The next links of the chain, one for each event."""
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
        # Takes the one lock of all writers, and changes nothing.
        nothing = update(AuditSeal).where(AuditSeal.position.is_(None)).values(salt=None)
        db.session.execute(nothing.execution_options(synchronize_session=False))
        return True
    function = "pg_advisory_xact_lock" if wait else "pg_try_advisory_xact_lock"
    taken = db.session.scalar(text(f"SELECT {function}({SEALING_LOCK})"))
    return wait or bool(taken)
