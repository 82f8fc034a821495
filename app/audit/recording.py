"""The audit log: one line where something happens, in the transaction in which it happens."""

import logging
from typing import Any, NamedTuple

from sqlalchemy import bindparam, case, insert, or_, select

from app import clock
from app.audit.vocabulary import ALARMING, Event
from app.database.prepared import Prepared
from app.database.types import BigId
from app.http.client import current_client
from app.http.request_id import request_id_or_none
from app.models import User
from app.models.audit_event import AuditEvent
from app.observability import metrics

log = logging.getLogger(__name__)

# Every login adds one. The columns are named with no values, so that the database numbers the rows.
_COLUMNS = [column.key for column in AuditEvent.__table__.columns if not column.primary_key]
APPENDED = Prepared(insert(AuditEvent).values(dict.fromkeys(_COLUMNS)).returning(AuditEvent.id))
# The account is asked for under a lock that an erasure waits for, or that waits for the erasure:
# SELECT … FOR KEY SHARE. SQLite has one writer at a time.
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


# A row stays for good, so no request may make it large. The code decides the names of details, and
# clients decide some texts and lists.
LONGEST_TEXT = 500
LONGEST_LIST = 50


class Circumstances(NamedTuple):
    """From where and in which request something was done; nothing is known of a command."""

    ip: str | None = None
    user_agent: str | None = None
    request_id: str | None = None


def circumstances() -> Circumstances:
    """Those of the request that is being answered, if one is."""
    return Circumstances(*current_client(), request_id_or_none())


def record(
    event: Event,
    *,
    subject_id: int | None,
    actor_id: int | None = None,
    personal: dict[str, Any] | None = None,
    under: Circumstances | None = None,
    **details: Any,
) -> None:
    """Note an event about the subject. The caller commits.

    ``subject_id`` is ``None`` where nobody has what was named, ``actor_id``
    where nobody can tell who did it: who uses a mailed link, or a command.
    What says more of a person than their number goes into ``personal``,
    which is erased with them and not logged; ``details`` are for good. The
    circumstances are those of the present request unless others are given.
    """
    _append(APPENDED, event, subject_id, actor_id, personal, under, details)


def record_attempt(
    event: Event, *, subject_id: int | None, actor_id: int | None = None, **details: Any
) -> None:
    """Note what somebody tried at an account and did not get. The caller commits.

    Other events are written where the account is written to, and nobody can
    erase it meanwhile. A password takes a while to compare, and the account may
    be erased in that time: then the event holds no address and no program,
    because nobody will come to erase them.
    """
    _append(ATTEMPTED, event, subject_id, actor_id, None, None, details)


def _append(
    statement: Prepared,
    event: Event,
    subject_id: int | None,
    actor_id: int | None,
    personal: dict[str, Any] | None,
    under: Circumstances | None,
    details: dict[str, Any],
) -> None:
    if under is None:
        under = circumstances()
        if under.request_id is None:
            # No request is being answered: an operator's command does it.
            details["via"] = "cli"
    if event is not Event.AUDIT_PRUNED:
        # That one repeats an event as it was sealed, which must stay letter for letter.
        details = bounded(details)
    statement.rows(
        at=clock.now(),
        event=event.value,
        actor_id=actor_id,
        subject_id=subject_id,
        ip=under.ip,
        user_agent=under.user_agent,
        request_id=under.request_id,
        details=details,
        personal=bounded(personal),
    )
    who = {"subject_id": subject_id, "actor_id": actor_id}
    _log(event, {"ip": under.ip, "request_id": under.request_id, **who, **details})


def bounded(value: Any) -> Any:
    """The value with long texts and lists cut, and a word that they were."""
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


def note(event: Event, **details: Any) -> None:
    """Log and count an event without a row: for what must not cost a write, like a refusal."""
    _log(event, {"ip": current_client().ip, **details})


def _log(event: Event, members: dict[str, Any]) -> None:
    metrics.SECURITY_EVENTS.labels(event.value).inc()
    log.log(logging.WARNING if event in ALARMING else logging.INFO, event.value, extra=members)
