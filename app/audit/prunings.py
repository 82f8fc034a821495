"""The entries about prunings, and whether the retention explains each of them.

A person who can delete events can also insert an entry that says that they
were pruned. So an entry is accepted only if `flask prune` would have written
it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Row, select

from app import clock
from app.audit import chain
from app.audit.reading import Database
from app.models import AuditEvent, AuditSeal
from app.models.audit_event import IS_PRUNING

# An entry of an older version does not say when the last deleted event happened. The seal of that
# event tells it roughly, because an event is sealed within this time.
LONGEST_SEALING = timedelta(hours=1)
# The clocks of two servers may differ by this much.
CLOCK_SKEW = timedelta(minutes=10)

# The columns that the digest of an event covers.
COVERED = ("id", "event", "actor_id", "subject_id", "request_id", "details")


@dataclass(frozen=True)
class Unexplained:
    """An entry that the retention does not explain, and the reason."""

    event_id: int
    reason: str


def describe(deleted: list[Row[Any]]) -> dict[str, Any]:
    """Return the details of the entry about the links that were deleted."""
    last = deleted[-1]
    return {
        "through": last.position,
        "hash": last.hash,
        "events": len(deleted),
        # The last seal keeps the digest of this event, so nobody can invent an older event.
        "last": {"at": chain.instant(last.at), **{name: getattr(last, name) for name in COVERED}},
    }


def ended_at(database: Database, seal: Row[Any]) -> bool:
    """Whether a pruning through this seal is on record."""
    return bool(_through(database, seal))


def last_deleted_at(database: Database, seal: Row[Any]) -> datetime | None:
    """Return when the last event happened that was pruned through this seal.

    Returns ``None`` if no entry says it, as those of older versions do not.
    """
    named = (details.get("last") for details in _through(database, seal))
    times = [_time_of(last) for last in named if isinstance(last, dict)]
    return max((at for at in times if at), default=None)


def _through(database: Database, seal: Row[Any]) -> list[dict[str, Any]]:
    entries = database.scalars(select(AuditEvent.details).where(IS_PRUNING))
    here = (seal.position, seal.hash)
    return [
        details
        for details in entries
        if isinstance(details, dict) and (details.get("through"), details.get("hash")) == here
    ]


def first_unexplained(database: Database, retention: timedelta) -> Unexplained | None:
    """Return the oldest entry that `flask prune` would not have written with this retention."""
    beginning = database.execute(
        select(AuditSeal.__table__).order_by(AuditSeal.position).limit(1)
    ).one_or_none()
    entries = (
        select(AuditEvent.id, AuditEvent.at, AuditEvent.details)
        .where(IS_PRUNING)
        .order_by(AuditEvent.id)
    )
    before: dict[str, Any] | None = None
    for event_id, at, details in database.execute(entries):
        # In older versions, two prunings at the same time wrote the same entry twice.
        if details == before:
            continue
        reason = (
            _not_ours(details)
            or _wrong_rows(details, before, beginning)
            or _too_early(details, at, beginning, retention)
        )
        if reason:
            return Unexplained(event_id, reason)
        before = details
    return None


def _not_ours(details: Any) -> str | None:
    is_ours = (
        isinstance(details, dict)
        and isinstance(details.get("through"), int)
        and isinstance(details.get("events"), int)
        and isinstance(details.get("hash"), str)
        and isinstance(details.get("last", {}), dict)
    )
    return None if is_ours else "`flask prune` does not write entries of this form"


def _wrong_rows(
    details: dict[str, Any], before: dict[str, Any] | None, beginning: Row[Any] | None
) -> str | None:
    through, events = details["through"], details["events"]
    first = beginning.position if beginning else 0
    if through > first:
        return (
            f"it says that everything up to position {through} was deleted, "
            f"but position {first} is still there"
        )
    gone = through - before["through"] if before else None
    if events < 1 or events > through or (gone is not None and events != gone):
        return (
            f"it names {events} events up to position {through}, which does not fit the "
            "pruning before it"
        )
    return None


def _too_early(
    details: dict[str, Any], at: datetime, beginning: Row[Any] | None, retention: timedelta
) -> str | None:
    if not retention:
        return (
            "AUDIT_RETENTION_DAYS is not set. If it was set at that time, "
            "give its value with --retention-days"
        )
    is_newest = beginning is not None and beginning.position == details["through"]
    last = details.get("last")
    if last is not None:
        happened = _time_of(last)
        if happened is None or (is_newest and not _is_sealed_by(beginning, last, happened)):
            return "the last event that it names is not the one that was sealed"
    elif is_newest and beginning is not None:
        happened = beginning.sealed_at - LONGEST_SEALING
    else:
        return None
    # An entry that is not sealed yet may have any time written in it, even one in the future.
    kept_for = min(at, clock.now() + CLOCK_SKEW) - happened
    if kept_for > retention:
        return None
    return (
        f"the last deleted event was {kept_for / timedelta(days=1):.1f} days old, and "
        f"AUDIT_RETENTION_DAYS keeps events for {retention / timedelta(days=1):g}"
    )


def _time_of(last: dict[str, Any]) -> datetime | None:
    try:
        happened = datetime.fromisoformat(last["at"])
    except (KeyError, TypeError, ValueError):
        return None
    return happened if happened.tzinfo else None


def _is_sealed_by(seal: Any, last: dict[str, Any], happened: datetime) -> bool:
    event: Any = SimpleNamespace(**{name: last.get(name) for name in COVERED}, at=happened)
    return bool(event.id == seal.event_id and chain.event_digest(event) == seal.event_digest)
