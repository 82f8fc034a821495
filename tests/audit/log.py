"""What the tests of the audit log do again and again. Inside an application context all of it."""

from datetime import timedelta
from typing import Any

import sqlalchemy

from app import audit, clock
from app.audit import sealing, verification
from app.audit.verification import Verdict
from app.audit.vocabulary import Event
from app.database.engines import snapshot
from app.extensions import db
from app.models import AuditEvent, AuditSeal

EVENTS = db.metadata.tables["audit_events"]
SEALS = db.metadata.tables["audit_seals"]


def write(number: int = 1, *, subject_id: int | None = 1, **columns: Any) -> list[int]:
    """So many events, committed: their ids."""
    events = [
        AuditEvent(
            **{
                "at": clock.now() + timedelta(milliseconds=n),
                "event": Event.LOGIN_SUCCEEDED.value,
                "subject_id": subject_id,
                "actor_id": subject_id,
                "ip": "203.0.113.7",
                "user_agent": "Browser/1.0",
                "request_id": f"request-{n}",
                "details": {"n": n},
                "personal": {"email": "ada@example.com"},
                **columns,
            }
        )
        for n in range(number)
    ]
    db.session.add_all(events)
    db.session.commit()
    return [event.id for event in events]


def write_and_seal(number: int = 1, **columns: Any) -> list[int]:
    ids = write(number, **columns)
    sealing.seal_everything()
    return ids


def erased(user_id: int) -> None:
    """Put on record that the user was erased."""
    audit.record(Event.USER_ERASED, subject_id=user_id)
    db.session.commit()


def verify(**given: Any) -> Verdict:
    with snapshot(db.engine) as database:
        return verification.verify(database, **given)


def what_is_wrong(**given: Any) -> tuple[str, int | None, int | None] | None:
    """The kind, the position and the event that are named."""
    broken = verify(**given).broken
    return broken and (broken.kind, broken.position, broken.event_id)


def seals() -> list[Any]:
    return list(db.session.execute(sqlalchemy.select(SEALS).order_by(AuditSeal.position)).all())


def positions() -> list[int]:
    return [seal.position for seal in seals()]
