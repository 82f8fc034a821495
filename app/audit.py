"""The audit log: one line where something happens, in the transaction in which it happens."""

import logging
from typing import Any

from app import clock, metrics
from app.extensions import db
from app.models.audit_event import AuditEvent, Event
from app.request_id import request_id_or_none
from app.security.client_address import current_client

log = logging.getLogger(__name__)


def record(
    event: Event, *, subject_id: int | None, actor_id: int | None = None, **details: Any
) -> None:
    """Note an event about the subject, ``None`` where it is about nobody. The caller commits.

    ``actor_id`` is whoever did it, ``None`` where nobody can tell. Where a
    request is being answered, its address, user agent and id are noted too.
    """
    client = current_client()
    db.session.add(
        AuditEvent(
            at=clock.now(),
            event=event.value,
            actor_id=actor_id,
            subject_id=subject_id,
            ip=client.ip,
            user_agent=client.user_agent,
            request_id=request_id_or_none(),
            details=details,
        )
    )
    note(event, subject_id=subject_id, actor_id=actor_id, **details)


def note(event: Event, **details: Any) -> None:
    """Log and count an event without a row: for what must not cost a write, like a refusal."""
    metrics.SECURITY_EVENTS.labels(event.value).inc()
    log.warning(event.value, extra=details)
