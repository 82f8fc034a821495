"""Erasing what the log says about people, except their ids."""

from collections.abc import Collection

from sqlalchemy import or_, select

from app.audit import sealing
from app.database.rows import change
from app.extensions import db
from app.models import AuditEvent, AuditSeal
from app.models.audit_event import ACTS_ON_OTHERS


def forget(user_ids: Collection[int]) -> None:
    """Erase the personal part of the events that these users caused or that concern them.

    The chain stays whole: it holds only a salted digest of that part, and the
    salt is erased too. `flask audit verify` accepts that personal data is gone
    only if a ``USER_ERASED`` is on record, so the caller must record it. The
    caller commits.
    """
    if not user_ids:
        return
    # Until the caller commits, no sealer may seal what is erased here.
    sealing.lock_chain()
    theirs = or_(
        AuditEvent.subject_id.in_(user_ids),
        ACTS_ON_OTHERS & AuditEvent.actor_id.in_(user_ids),
    )
    for erasure in (
        change(AuditEvent).where(theirs).values(ip=None, user_agent=None, personal=None),
        change(AuditSeal)
        .where(AuditSeal.event_id.in_(select(AuditEvent.id).where(theirs)))
        .values(salt=None),
    ):
        db.session.execute(erasure)
