"""The end of what is old, where ``AUDIT_RETENTION_DAYS`` wants one."""

import logging
from itertools import islice

from sqlalchemy import delete, insert

from app import clock
from app.audit import prunings, recording, sealing, verification
from app.audit.vocabulary import Event
from app.extensions import db
from app.models import AuditEvent, AuditPruning, AuditSeal
from config import settings

log = logging.getLogger(__name__)


def prune(limit: int) -> int:
    """Delete up to ``limit`` events from the beginning of the chain, and say how many. Commits.

    The last seal of them stays: the next one follows from it. That they went
    by pruning, and up to which hash, is an event itself, and so in the chain.
    """
    if not settings.audit_retention:
        return 0
    # One pruning at a time: a second one would put the same events on record again.
    sealing.hold_chain()
    oldest_kept = clock.now() - settings.audit_retention
    old = []
    try:
        for link in islice(verification.walk(db.session), limit):
            if link.at >= oldest_kept:
                break
            old.append(link)
    except verification.Broken as broken:
        # It stays, and what follows it, for `flask audit verify` to name.
        log.warning(
            "audit log is not pruned beyond what is not as it was written",
            extra={"position": broken.position, "reason": broken.sentence},
        )
    if not old:
        db.session.rollback()
        return 0
    last = old[-1]
    for statement in (
        # What the database's own refusal to delete makes an exception for.
        insert(AuditPruning).values(through=last.position),
        delete(AuditEvent).where(AuditEvent.id.in_([link.event_id for link in old])),
        delete(AuditSeal).where(AuditSeal.position < last.position),
        delete(AuditPruning).where(AuditPruning.through == last.position),
    ):
        db.session.execute(statement.execution_options(synchronize_session=False))
    recording.record(Event.AUDIT_PRUNED, subject_id=None, **prunings.describe(old))
    db.session.commit()
    return len(old)
