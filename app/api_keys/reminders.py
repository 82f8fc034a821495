"""Telling people before their API keys end.

The mail waits in the outbox until it is due. What it says is decided then,
because the key may have been revoked or replaced meanwhile.
"""

from datetime import datetime, timedelta
from typing import Any

from app import clock
from app.api_keys import messages
from app.api_keys.models import ApiKey
from app.database.rows import change
from app.extensions import db
from app.mail import outbox
from app.mail.wordings import resolver
from app.models import OutboxMessage, User

BEFORE_END = timedelta(days=7)
# A request is due when its hour begins, so up to an hour before the seven days.
HOUR = timedelta(hours=1)


def announce_end(user: User, end: datetime) -> None:
    """Let the owner be told seven days before a key ends. The caller commits."""
    due_at = end - BEFORE_END
    if due_at > clock.now():
        outbox.queue_for_later(key_end_due, due_at, user=user)


@resolver("key_end_due")
def key_end_due(request: OutboxMessage) -> tuple[Any, dict[str, Any]] | None:
    """Which keys of the user end soon, when the request was due."""
    user = db.session.get(User, request.user_id)
    if user is None or not user.email_verified:
        return None
    now = clock.now()
    ending = (
        change(ApiKey)
        .where(ApiKey.user_id == user.id, ApiKey.end_told_at.is_(None))
        .where(ApiKey.expires_at > now, ApiKey.expires_at <= now + BEFORE_END + HOUR)
        .values(end_told_at=now)
        .returning(ApiKey)
    )
    keys = sorted(db.session.scalars(ending), key=lambda key: key.expires_at)
    if not keys:
        return None
    # The address may have changed since the request was queued.
    request.recipient, request.locale = user.email, user.locale
    return messages.keys_end_soon, {
        "keys": "\n".join(key.shown for key in keys),
        "until": "\n".join(f"{key.expires_at:%Y-%m-%d %H:%M} UTC" for key in keys),
    }
