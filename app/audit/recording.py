"""Writing events to the audit log, in the transaction that changes what they tell of."""

import logging
from typing import Any

from sqlalchemy import bindparam, case, insert, or_, select

from app import clock
from app.audit import operators
from app.audit.vocabulary import AnyEvent, Event, is_alarming
from app.database.prepared import Prepared
from app.database.types import BigId
from app.http import client
from app.http.client import Client
from app.models import User
from app.models.audit_event import AuditEvent
from app.observability import metrics

log = logging.getLogger(__name__)

# Every login adds an event, so the statement is prepared. The id is left out of it, so that the
# database numbers the rows.
_COLUMNS = [column.key for column in AuditEvent.__table__.columns if not column.primary_key]
APPENDED = Prepared(insert(AuditEvent).values(dict.fromkeys(_COLUMNS)).returning(AuditEvent.id))
# The account is read with SELECT … FOR KEY SHARE. With this lock an erasure waits for this
# transaction, or this transaction waits for the erasure. SQLite has one writer at a time.
_SUBJECT = bindparam("subject_id", type_=BigId)
_IS_THERE = select(User.id).where(User.id == _SUBJECT).with_for_update(read=True, key_share=True)
_IS_KEPT = or_(_SUBJECT.is_(None), _IS_THERE.exists())
ATTEMPTED = Prepared(
    insert(AuditEvent)
    .values(dict.fromkeys(_COLUMNS))
    .values(
        subject_id=_SUBJECT,
        ip=case((_IS_KEPT, bindparam("ip", type_=AuditEvent.ip.type))),
        user_agent=case((_IS_KEPT, bindparam("user_agent", type_=AuditEvent.user_agent.type))),
    )
    .returning(AuditEvent.id)
)


# A row may stay forever, so no request may make it large. Our code chooses the names of details,
# but some of their texts and lists come from clients.
LONGEST_TEXT = 500
LONGEST_LIST = 50


def record(
    event: AnyEvent,
    *,
    subject_id: int | None,
    actor_id: int | None = None,
    personal: dict[str, Any] | None = None,
    origin: Client | None = None,
    **details: Any,
) -> None:
    """Record an event about the subject. The caller commits.

    ``subject_id`` is ``None`` if no user has the name that was given.
    ``actor_id`` is ``None`` if the actor is not known, as with a mailed link
    or a command. Everything about a person except their id belongs in
    ``personal``, which is erased with the user and does not go to the log
    files. ``details`` are never erased. ``origin`` is the client of the
    current request, unless another one is given.
    """
    _append(APPENDED, event, subject_id, actor_id, personal, origin, details)


def record_attempt(
    event: AnyEvent, *, subject_id: int | None, actor_id: int | None = None, **details: Any
) -> None:
    """Record a failed attempt at an account, like a wrong password. The caller commits.

    Other events are recorded in a transaction that also changes the account,
    so the account cannot be erased meanwhile. Comparing a password takes a
    while, and the account may be erased in that time. Then the event is
    recorded without the address and the program of the client, because the
    erasure, which would have removed them, is already over.
    """
    _append(ATTEMPTED, event, subject_id, actor_id, None, None, details)


def _append(
    statement: Prepared[Any],
    event: AnyEvent,
    subject_id: int | None,
    actor_id: int | None,
    personal: dict[str, Any] | None,
    origin: Client | None,
    details: dict[str, Any],
) -> None:
    if origin is None:
        origin = client.current()
        if origin.request_id is None:
            # Outside a request, an operator's command is running.
            operator = operators.current()
            details |= {"via": "cli"} | ({"operator": operator.name} if operator.name else {})
            origin = origin._replace(ip=operator.ip)
        if key_id := client.acting_key():
            details["by_key"] = key_id
    if event is not Event.AUDIT_PRUNED:
        # Such an entry repeats an event as it was sealed, so nothing in it may change.
        details = bounded(details)
    statement.run(
        at=clock.now(),
        event=event.value,
        actor_id=actor_id,
        subject_id=subject_id,
        ip=origin.ip,
        user_agent=origin.user_agent,
        request_id=origin.request_id,
        details=details,
        personal=bounded(personal),
    )
    who = {"subject_id": subject_id, "actor_id": actor_id}
    _log(event, {"ip": origin.ip, "request_id": origin.request_id, **who, **details})


def bounded(value: Any) -> Any:
    """Shorten long texts and lists in a value, and mark where something was cut."""
    match value:
        case str() if len(value) > LONGEST_TEXT:
            return f"{value[: LONGEST_TEXT - 1]}…"
        case dict():
            return {name: bounded(inner) for name, inner in value.items()}
        case list() if len(value) > LONGEST_LIST:
            kept = value[: LONGEST_LIST - 1]
            return [*map(bounded, kept), f"… and {len(value) - len(kept)} more"]
        case list():
            return [*map(bounded, value)]
    return value


def note(event: AnyEvent, **details: Any) -> None:
    """Log and count an event without a row, if it must not cost a write, like a refusal."""
    _log(event, {"ip": client.current().ip, **details})


def _log(event: AnyEvent, members: dict[str, Any]) -> None:
    metrics.SECURITY_EVENTS.labels(event.value).inc()
    log.log(logging.WARNING if is_alarming(event) else logging.INFO, event.value, extra=members)
