"""Deleting old events, if ``AUDIT_RETENTION_DAYS`` is set."""

import logging
from itertools import islice

from sqlalchemy import insert

from app import clock
from app.audit import links, prunings, recording, sealing, verification
from app.audit.vocabulary import Event
from app.database.rows import discard
from app.extensions import db
from app.models import AuditEvent, AuditPruning, AuditSeal
from config import settings

log = logging.getLogger(__name__)


def prune(limit: int) -> int:
    """Delete up to ``limit`` events from the beginning of the chain, and say how many. Commits.

    The last of their seals stays, because the next seal follows from it. An
    event of its own records the pruning and the hash up to which it went, so
    the pruning is part of the chain too.
    """
    if not settings.audit_retention:
        return 0
    # Only one pruning runs at a time. A second one would record the same events again.
    sealing.lock_chain()
    oldest_kept = clock.now() - settings.audit_retention
    old = []
    try:
        for link in islice(verification.walk(db.session), limit):
            if link.at >= oldest_kept:
                break
            old.append(link)
    except links.Broken as broken:
        # The broken place stays, and so does everything after it, so that `flask audit verify`
        # can report it.
        log.warning(
            "audit log is pruned only up to its first wrong place",
            extra={"position": broken.position, "reason": broken.sentence},
        )
    if not old:
        db.session.rollback()
        return 0
    last = old[-1]
    for statement in (
        # The database refuses to delete events, except those up to a position in this table.
        insert(AuditPruning).values(through=last.position),
        discard(AuditEvent).where(AuditEvent.id.in_([link.event_id for link in old])),
        discard(AuditSeal).where(AuditSeal.position < last.position),
        discard(AuditPruning).where(AuditPruning.through == last.position),
    ):
        db.session.execute(statement)
    recording.record(Event.AUDIT_PRUNED, subject_id=None, **prunings.describe(old))
    db.session.commit()
    return len(old)
