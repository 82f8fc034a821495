"""Ending API keys: by their owner, by somebody who finds one, or with a change of the account."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, select

from app import audit, clock
from app.access import levels
from app.api_keys import events, form, messages, rows
from app.api_keys.models import ApiKey
from app.auth.notices import notify
from app.auth.sessions import sessions
from app.database.rows import change as edit
from app.database.rows import delete_batch, discard, lock
from app.extensions import db
from app.features.credentials import CredentialChange
from app.models import Session, User
from app.security import random_tokens

# A key that has expired is still listed for this time, and refused as expired.
KEPT = timedelta(days=30)
# After these, no key goes on: somebody else may have made it, or the owner is leaving.
ENDING = (
    CredentialChange.PASSWORD_CHANGED,
    CredentialChange.PASSWORD_RESET,
    CredentialChange.MAILBOX_PROVED,
    CredentialChange.EMAIL_CHANGE_UNDONE,
    CredentialChange.REPUDIATED,
    CredentialChange.CLOSED,
)


def revoke(session: Session, key_id: UUID) -> None:
    """End a key for good. Commits. Raises ``NotFound`` or ``SessionEnded``."""
    user = sessions.lock_user(session)
    key = rows.locked(user.id, key_id)
    end(key, actor_id=user.id)
    db.session.commit()


def end(key: ApiKey, *, actor_id: int | None) -> None:
    """Delete a key. The caller holds its owner, and commits."""
    db.session.execute(discard(ApiKey).where(ApiKey.id == key.id))
    rows.record(events.KEY_REVOKED, key, actor_id)


def report(secret: str) -> None:
    """End a key that somebody shows, and tell its owner. Commits. Ignores any other text.

    While a rotated key still works beside the new one, only the one that is
    shown ends: somebody who finds an old key must not stop the new one.
    """
    digest = random_tokens.digest(secret)
    found = select(ApiKey.user_id).where(
        (ApiKey.key_hash == digest) | (ApiKey.previous_hash == digest)
    )
    owner_id = db.session.scalar(found)
    user = lock(User, User.id == owner_id) if owner_id is not None else None
    if user is None:
        db.session.rollback()
        return
    shown = _shown_by(digest, user.id)
    if shown is not None:
        rows.record(events.KEY_REPORTED, shown, None)
        notify(messages.key_reported, user, key=form.shown(secret))
    db.session.commit()


def credentials_changed(user: User, change: CredentialChange) -> None:
    """End the keys that must not outlive a change. The caller holds the user, and commits.

    An administrator who signs an account out shuts its keys out only where
    the account is deactivated. Where the last second factor is gone, keys go on
    as if they were made without one.
    """
    is_deactivated = change is CredentialChange.SHUT_OUT and not user.is_active
    if change in ENDING or is_deactivated:
        ended = _delete(ApiKey.user_id == user.id)
        if ended:
            audit.record(
                events.KEYS_ENDED, subject_id=user.id, keys=len(ended), reason=change.value
            )
    elif change is CredentialChange.FACTORS_CHANGED and not levels.has_factor(user):
        lowered = edit(ApiKey).where(ApiKey.user_id == user.id).values(aal=1, previous_aal=1)
        db.session.execute(lowered)


def prune(limit: int) -> int:
    """Delete up to ``limit`` keys that have expired a while ago. Commits."""
    end = ApiKey.expires_at
    return delete_batch(ApiKey, end < clock.now() - KEPT, oldest=end, limit=limit)


def _shown_by(digest: str, user_id: int) -> ApiKey | None:
    """End what has this digest: the key, or the one that was replaced by it."""
    ended = _delete(ApiKey.key_hash == digest, ApiKey.user_id == user_id)
    if ended:
        return ended[0]
    forgetting = (
        edit(ApiKey)
        .where(ApiKey.previous_hash == digest, ApiKey.user_id == user_id)
        .values(previous_hash=None, previous_expires_at=None)
        .returning(ApiKey)
    )
    found: ApiKey | None = db.session.scalar(forgetting)
    return found


def _delete(*which: ColumnElement[bool]) -> Sequence[ApiKey]:
    return db.session.scalars(discard(ApiKey).where(*which).returning(ApiKey)).all()
