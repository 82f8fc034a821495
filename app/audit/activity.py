"""Reading the audit log, the newest event first."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import aliased

from app.audit.links import TOLERANCE
from app.database import pages
from app.database.pages import Key, Order, Page
from app.database.types import MAX_ID
from app.extensions import db
from app.models import AuditEvent, AuditSeal
from app.models.audit_event import ACTS_ON_OTHERS

NEWEST_FIRST = Order((Key("id", AuditEvent.id),), descending=True)
EARLIEST = datetime.min.replace(tzinfo=UTC) + TOLERANCE
LATEST = datetime.max.replace(tzinfo=UTC) - TOLERANCE


def of_everybody(*, limit: int, cursor: str | None = None) -> Page[AuditEvent]:
    """Return a page of all events. Raises ``ValidationFailed``."""
    return matching(limit=limit, cursor=cursor)


def about(user_id: int, *, limit: int, cursor: str | None = None) -> Page[AuditEvent]:
    """Return a page of what happened to one user. Raises ``ValidationFailed``.

    The user may have been erased since.
    """
    return matching(subject=user_id, limit=limit, cursor=cursor)


def matching(
    *,
    subject: int | None = None,
    actor: int | None = None,
    event: str | None = None,
    ip: str | None = None,
    request_id: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int,
    cursor: str | None = None,
) -> Page[AuditEvent]:
    """Return a page of the events that fit every condition. Raises ``ValidationFailed``.

    PostgreSQL finds what is rare with the index of the condition, and what is
    frequent by reading the log from its end. So a search is slow if each
    condition fits very many events and nearly no event fits all of them; a
    shorter time makes it quick.
    """
    same = {
        AuditEvent.subject_id: subject,
        AuditEvent.event: event,
        AuditEvent.ip: ip,
        AuditEvent.request_id: request_id,
    }
    rows = select(AuditEvent).where(
        *(column == value for column, value in same.items() if value is not None),
        *_within(since, until),
    )
    query = {
        "list": "audit",
        "subject": subject,
        "actor": actor,
        "event": event,
        "ip": ip,
        "request_id": request_id,
        "since": since,
        "until": until,
    }
    parts = [rows] if actor is None else _caused_by(actor, rows)
    return pages.merged(parts, NEWEST_FIRST, query, limit=limit, cursor=cursor)


def one(event_id: int) -> tuple[AuditEvent, AuditSeal | None] | None:
    """Return an event and its seal, if it has one by now."""
    with_seal = (
        select(AuditEvent, AuditSeal)
        .outerjoin(AuditSeal, AuditSeal.event_id == AuditEvent.id)
        .where(AuditEvent.id == event_id)
    )
    found = db.session.execute(with_seal).one_or_none()
    return None if found is None else (found[0], found[1])


def _caused_by(actor: int, rows: Select[AuditEvent]) -> Sequence[Select[AuditEvent]]:
    """What the actor did to others, and to themselves. Each part has an index of its own."""
    own = (AuditEvent.subject_id == actor) & (AuditEvent.actor_id == actor)
    return [rows.where(ACTS_ON_OTHERS, AuditEvent.actor_id == actor), rows.where(own)]


def _within(since: datetime | None, until: datetime | None) -> Iterator[ColumnElement[bool]]:
    """The conditions for the events of a time, also as bounds of their ids.

    Ids have the order of times, except for a tolerance. So a search that goes
    through the log from its end begins at the right place, and does not read
    all newer events first.
    """
    other = aliased(AuditEvent)
    if since is not None:
        earlier = select(other.id).where(other.at < max(since, EARLIEST) - TOLERANCE)
        last = earlier.order_by(other.at.desc()).limit(1).scalar_subquery()
        yield AuditEvent.at >= since
        yield AuditEvent.id > func.coalesce(last, 0)
    if until is not None:
        later = select(other.id).where(other.at >= min(until, LATEST) + TOLERANCE)
        first = later.order_by(other.at).limit(1).scalar_subquery()
        yield AuditEvent.at < until
        yield AuditEvent.id <= func.coalesce(first, MAX_ID)
