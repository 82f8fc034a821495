"""Remembering a device, and letting it skip the second step."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, and_, or_, select

from app import audit, clock
from app.access.proof import Proof
from app.auth.mfa import events
from app.auth.mfa.remembered_devices.models import RememberedDevice
from app.auth.mfa.settings import MfaSettings
from app.auth.sessions import sessions
from app.database.rows import change, delete_batch, discard, lock
from app.errors import NotFound
from app.extensions import db
from app.features.credentials import CredentialChange
from app.http import client
from app.models import Session, User
from app.security import key_ring, random_tokens
from config import settings

# The answer with a new token may be lost, so the token before it works a little longer.
OVERLAP = timedelta(seconds=10)
# A token that was replaced so many times is still recognized.
MOST_SUCCESSORS = 1000


def skip(user: User, proof: Proof) -> Proof:
    """A stage of the login: a remembered device needs no second step.

    Its token is replaced by a new one, which the answer to the login holds.
    It gives the second level, and is never fresh.
    """
    token = proof.offered.get("device_token")
    if not token or proof.aal == 2 or user.second_step_at is None:
        return proof
    if lock(User, User.id == user.id, User.is_active) is None:
        return proof
    expires_at = _use(user.id, token)
    if expires_at is None:
        db.session.rollback()
        _forget_replayed(user, token)
        return proof
    raised = proof.raised(is_fresh=False)
    return replace(raised, device_token=_successor(token), device_expires_at=expires_at)


def _forget_replayed(user: User, token: str) -> None:
    """Forget the device if the token is an older one of it. Commits.

    Two people have used its tokens then, and nothing tells the thief from the
    owner. The owner gives the second factor once more. It stays for the
    moment in which several logins of one device may overtake each other.
    """
    now = clock.now()
    replaced = and_(
        RememberedDevice.user_id == user.id, RememberedDevice.rotated_at <= now - OVERLAP
    )
    found = select(RememberedDevice.token_hash).where(replaced)
    current = _current_of(token, set(db.session.scalars(found)))
    is_its_device = or_(
        RememberedDevice.token_hash == current,
        # It is recognized also if another key has made its successor.
        RememberedDevice.previous_hash == random_tokens.digest(token),
    )
    if _delete(replaced, is_its_device):
        audit.record(events.DEVICE_FORGOTTEN, subject_id=user.id, devices=1, reason="token_reused")
    db.session.commit()


def _current_of(token: str, hashes: set[str]) -> str | None:
    """The one of the hashes that belongs to a successor of the token."""
    for _ in range(MOST_SUCCESSORS if hashes else 0):
        token = _successor(token)
        if (digest := random_tokens.digest(token)) in hashes:
            return digest
    return None


def _is_remembered(user_id: int) -> ColumnElement[bool]:
    """Which rows are devices of the user that skip the second step.

    The setting counts as it is now: a shorter time, or none, ends older devices too.
    """
    now, lifetime = clock.now(), settings.of(MfaSettings).remember_device_lifetime
    return and_(
        RememberedDevice.user_id == user_id,
        RememberedDevice.expires_at > now,
        RememberedDevice.created_at > now - lifetime,
    )


def _use(user_id: int, token: str) -> datetime | None:
    """Replace the token if it is current. It counts too if it was replaced a moment ago.

    Returns until when the device is remembered, or ``None`` for any other token.
    """
    now, mine = clock.now(), _is_remembered(user_id)
    replacement = (
        change(RememberedDevice)
        .where(mine, RememberedDevice.token_hash == random_tokens.digest(token))
        .values(
            token_hash=random_tokens.digest(_successor(token)),
            previous_hash=random_tokens.digest(token),
            rotated_at=now,
            last_used_at=now,
        )
        .returning(RememberedDevice.expires_at)
    )
    expires_at = db.session.scalar(replacement)
    if expires_at is not None:
        return expires_at
    was_replaced = RememberedDevice.previous_hash == random_tokens.digest(token)
    is_recent = RememberedDevice.rotated_at > now - OVERLAP
    return db.session.scalar(
        select(RememberedDevice.expires_at).where(mine, was_replaced, is_recent)
    )


def _successor(token: str) -> str:
    """The token after this one. It is always the same, so that a lost answer can be repeated."""
    return key_ring.digest(token, key_ring.newest_key_id(), purpose="device token")


def remember(user: User, proof: Proof) -> Proof:
    """After the second step: remember the device if that was asked for."""
    is_wanted = proof.offered.get("remember_device")
    lifetime = settings.of(MfaSettings).remember_device_lifetime
    if not is_wanted or not lifetime:
        return proof
    token = random_tokens.make()
    now, asking = clock.now(), client.current()
    device = RememberedDevice(
        user_id=user.id,
        token_hash=random_tokens.digest(token),
        ip=asking.ip,
        user_agent=asking.user_agent,
        created_at=now,
        last_used_at=now,
        expires_at=now + lifetime,
    )
    db.session.add(device)
    db.session.flush()
    audit.record(
        events.DEVICE_REMEMBERED, subject_id=user.id, actor_id=user.id, device_id=str(device.id)
    )
    return replace(proof, device_token=token, device_expires_at=device.expires_at)


def living(user: User) -> Sequence[RememberedDevice]:
    """The user's remembered devices. The one that was used last comes first."""
    return db.session.scalars(
        select(RememberedDevice)
        .where(_is_remembered(user.id))
        .order_by(RememberedDevice.last_used_at.desc(), RememberedDevice.id)
    ).all()


def forget(session: Session, device_id: UUID) -> None:
    """Forget one of the devices of the session's user. Commits.

    Raises ``NotFound`` if the user has no such device, or ``SessionEnded``.
    """
    user = sessions.lock_user(session)
    if not _delete(RememberedDevice.id == device_id, RememberedDevice.user_id == user.id):
        db.session.rollback()
        raise NotFound
    _record_forgotten(user, 1)
    db.session.commit()


def forget_all(session: Session) -> None:
    """Forget all devices of the session's user. Commits. Raises ``SessionEnded``."""
    user = sessions.lock_user(session)
    count = end_all(user)
    if count:
        _record_forgotten(user, count)
    db.session.commit()


def end_all(user: User) -> int:
    """Forget all devices of a user. Returns how many. The caller commits."""
    return _delete(RememberedDevice.user_id == user.id)


def credentials_changed(user: User, _change: CredentialChange) -> None:
    """The caller holds the user, and commits."""
    end_all(user)


def prune(limit: int) -> int:
    """Delete up to ``limit`` devices whose time is over. Commits."""
    end = RememberedDevice.expires_at
    return delete_batch(RememberedDevice, end < clock.now(), oldest=end, limit=limit)


def _record_forgotten(user: User, count: int) -> None:
    audit.record(events.DEVICE_FORGOTTEN, subject_id=user.id, actor_id=user.id, devices=count)


def _delete(*which: ColumnElement[bool]) -> int:
    removal = discard(RememberedDevice).where(*which).returning(RememberedDevice.id)
    return len(db.session.scalars(removal).all())
