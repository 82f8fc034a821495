"""The digests of events and seals. Anybody can compute them again from an export.

Every digest is the SHA-256, in hexadecimal, of a JSON list in ASCII without
spaces, with the keys of its objects sorted. ``docs/audit.md`` says the same
for people who write their own verifier. After a change here, everything that
was sealed before would look edited.
"""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row

from app.models import AuditEvent

# The first seal has no seal before it and follows from this.
BEGINNING = "0" * 64

# An event, or a row with its columns.
Recorded = AuditEvent | Row[Any]


def event_digest(event: Recorded, *, under_id: int | None = None) -> str:
    """Return the digest of the part of an event that is never erased.

    With ``under_id`` it is the digest that the event would have under that id.
    """
    return _digest(
        "event 1",
        event.id if under_id is None else under_id,
        instant(event.at),
        event.event,
        event.actor_id,
        event.subject_id,
        event.request_id,
        event.details,
    )


def personal_digest(event: Recorded, salt: str) -> str:
    """Return the digest of the part of an event that is erased with the user.

    There are so few addresses that somebody could try them all. The salt makes
    the digest useless for this as soon as the salt is erased too.
    """
    return _digest("personal 1", salt, event.ip, event.user_agent, event.personal)


def seal_hash(
    previous: str,
    *,
    position: int,
    event_id: int,
    sealed_at: datetime,
    event_digest: str,
    personal_digest: str,
) -> str:
    """Return the hash of a seal. Through ``previous`` it covers everything before it."""
    covered = (position, event_id, instant(sealed_at), event_digest, personal_digest)
    return _digest("seal 1", previous, *covered)


def instant(moment: datetime) -> str:
    """Write a time like ``2026-11-22T08:00:00.000000Z``, the same with either database."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def _digest(*parts: Any) -> str:
    # A value that our columns cannot hold was put there by hand. ``repr`` makes the digest wrong,
    # so the event is reported as edited, where an error would stop the verification.
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()
