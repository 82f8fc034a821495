"""Reading the whole chain in its order."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select
from sqlalchemy.orm import scoped_session

from app.audit import chain
from app.database.engines import Reader
from app.models import AuditEvent, AuditSeal

Database = Connection | scoped_session[Any]
Readable = Database | Reader

PAGE = 1000

# A seal with its event. If the event was deleted, its columns are NULL.
LINKS = (
    select(
        AuditSeal.position,
        AuditSeal.event_id,
        AuditSeal.sealed_at,
        AuditSeal.event_digest,
        AuditSeal.personal_digest,
        AuditSeal.salt,
        AuditSeal.hash,
        *AuditEvent.__table__.columns,
    )
    .select_from(AuditSeal)
    .outerjoin(AuditEvent, AuditEvent.id == AuditSeal.event_id)
    .order_by(AuditSeal.position)
)


def links(database: Readable, after: int = 0) -> Iterator[Row[Any]]:
    """Read the seals after a position with their events, in the order of the chain, in pages."""
    while page := database.execute(LINKS.where(AuditSeal.position > after).limit(PAGE)).all():
        yield from page
        after = page[-1].position


def position_before(database: Readable, moment: datetime) -> int:
    """Return the position of the last seal that was made before this moment, or 0."""
    earlier = select(AuditSeal.position).where(AuditSeal.sealed_at < moment)
    return database.scalar(earlier.order_by(AuditSeal.position.desc()).limit(1)) or 0


def export(database: Readable, after: int = 0) -> Iterator[dict[str, Any]]:
    """Return every link after a position in a form that JSON can hold, and the head at the end.

    With this anybody can verify the chain without this program. It starts from
    ``follows``, which is the hash before the first link.
    """
    before = select(AuditSeal.hash).where(AuditSeal.position == after)
    follows = head = database.scalar(before) or chain.BEGINNING
    position = after
    for link in links(database, after):
        yield {
            "position": link.position,
            "hash": link.hash,
            "sealed_at": chain.instant(link.sealed_at),
            "event_digest": link.event_digest,
            "personal_digest": link.personal_digest,
            "salt": link.salt,
            "id": link.event_id,
            "at": chain.instant(link.at) if link.at else None,
            "event": link.event,
            "actor_id": link.actor_id,
            "subject_id": link.subject_id,
            "request_id": link.request_id,
            "details": link.details,
            "ip": link.ip,
            "user_agent": link.user_agent,
            "personal": link.personal,
        }
        position, head = link.position, link.hash
    yield {"head": head, "position": position, "follows": follows}
