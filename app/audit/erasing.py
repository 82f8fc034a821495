"""Forgetting people: what the log says of them beyond their number."""

from collections.abc import Collection

from sqlalchemy import or_, select, update

from app.audit import sealing
from app.extensions import db
from app.models import AuditEvent, AuditSeal
from app.models.audit_event import ACTS_ON_OTHERS


def forget(user_ids: Collection[int]) -> None:
    """Erase the personal part of what these users did and of what was done to them.

    The chain stays whole: it knows that part by a salted digest, and the
    salt goes too. To `flask audit verify` personal data may only be gone where
    ``USER_ERASED`` is on record, so the caller records it. The caller commits.
    """
    if not user_ids:
        return
    # Nobody seals in between what this is about to take away.
    sealing.hold_chain()
    theirs = or_(
        AuditEvent.subject_id.in_(user_ids),
        ACTS_ON_OTHERS & AuditEvent.actor_id.in_(user_ids),
    )
    for erasure in (
        update(AuditEvent).where(theirs).values(ip=None, user_agent=None, personal=None),
        update(AuditSeal)
        .where(AuditSeal.event_id.in_(select(AuditEvent.id).where(theirs)))
        .values(salt=None),
    ):
        db.session.execute(erasure.execution_options(synchronize_session=False))
