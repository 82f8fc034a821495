"""What is hashed, and how: anybody can compute it again from an export.

Every digest is the SHA-256, in hexadecimal, of a JSON list in ASCII without
spaces, the keys of its objects sorted. ``docs/audit.md`` says the same to
those who write a verifier of their own. A change here makes everything that
was sealed before look edited.
"""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row

from app.models import AuditEvent

# What the first seal follows from.
BEGINNING = "0" * 64

# An event, or its columns as they were selected.
Recorded = AuditEvent | Row[Any]


def event_digest(event: Recorded, *, under_id: int | None = None) -> str:
    """Of what stays for good; on request as if it stood under another id."""
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
    """Of what is erased with the user.

    There are few enough addresses to try them all. The salt, which is erased
    too, keeps the digest from telling which it was.
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
    """Of a seal, and by ``previous`` of everything before it."""
    covered = (position, event_id, instant(sealed_at), event_digest, personal_digest)
    return _digest("seal 1", previous, *covered)


def instant(moment: datetime) -> str:
    """Like ``2026-11-22T08:00:00.000000Z``, to the microsecond on either database."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def _digest(*parts: Any) -> str:
    # What no column of ours can hold was put there by hand; it must be named, not crash.
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()
