"""The API keys of an account: making, naming, replacing and revoking them."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from app import clock
from app.access import permissions, scopes
from app.api_keys import events, form, messages, networks, reminders, rows
from app.api_keys.errors import TooManyKeys
from app.api_keys.models import ApiKey
from app.api_keys.settings import USUAL_DAYS, KeySettings
from app.auth.notices import notify
from app.auth.sessions import sessions
from app.errors import NotEnoughPermissions, NotFound, ValidationFailed
from app.extensions import db
from app.field_errors import out_of_range
from app.models import Session
from app.security import random_tokens
from config import settings

MOST_KEYS = 50


def make(
    session: Session,
    *,
    name: str,
    scopes: Iterable[str],
    expires_in_days: int | None = None,
    networks: Sequence[str] = (),
) -> tuple[ApiKey, str]:
    """Make a key for the session's user. Commits. Returns its row, and the key itself.

    Raises ``NotEnoughPermissions`` for a scope that the user does not have by
    a role, ``TooManyKeys``, ``ValidationFailed`` or ``SessionEnded``.
    """
    days = _days(expires_in_days)
    wanted = sorted(set(scopes))
    # Two requests at once wait for each other here, so that both are counted.
    user = sessions.lock_user(session)
    _refuse_beyond(wanted, session)
    now = clock.now()
    _refuse_one_more(user.id, now)
    key = ApiKey(
        user_id=user.id,
        name=name,
        scopes=" ".join(wanted),
        networks=" ".join(dict.fromkeys(networks)),
        created_at=now,
    )
    secret = _renew(key, session, timedelta(days=days), now)
    db.session.add(key)
    db.session.flush()
    rows.record(
        events.KEY_MADE,
        key,
        user.id,
        personal={"name": name},
        scopes=wanted,
        networks=key.networks.split(),
        expires_at=key.expires_at.isoformat(),
    )
    notify(messages.key_made, user, key=key.shown)
    reminders.announce_end(user, key.expires_at)
    db.session.commit()
    return key, secret


def of(user_id: int) -> Sequence[ApiKey]:
    """The user's keys, the newest first."""
    mine = select(ApiKey).where(ApiKey.user_id == user_id)
    return db.session.scalars(mine.order_by(ApiKey.created_at.desc(), ApiKey.id)).all()


def one_of(user_id: int, key_id: UUID) -> ApiKey:
    """One of the user's keys. Raises ``NotFound``."""
    key = db.session.scalar(select(ApiKey).where(*rows.owned(user_id, key_id)))
    if key is None:
        raise NotFound
    return key


def edit(session: Session, key_id: UUID, changes: dict[str, Any]) -> ApiKey:
    """Change the name or the networks of a key. Commits.

    This needs no fresh login, so the owner is told where the key works from
    more networks then. Raises ``NotFound`` or ``SessionEnded``.
    """
    user = sessions.lock_user(session)
    key = rows.locked(user.id, key_id)
    if "networks" in changes:
        changes = changes | {"networks": " ".join(dict.fromkeys(changes["networks"]))}
    before = key.networks
    changed = {name: value for name, value in changes.items() if getattr(key, name) != value}
    for name, value in changed.items():
        setattr(key, name, value)
    if changed:
        details: dict[str, Any] = {"fields": sorted(changed)}
        if "networks" in changed:
            details["networks"] = key.networks.split()
        rows.record(events.KEY_CHANGED, key, user.id, **details)
    if networks.widens(before, key.networks):
        notify(messages.key_widened, user, key=key.shown)
    db.session.commit()
    return key


def rotate(session: Session, key_id: UUID, *, overlap_seconds: int = 0) -> tuple[ApiKey, str]:
    """Replace a key by a new one, which works as long as the old one did when it was new. Commits.

    The old one goes on for the overlap, but not past its own end. The one
    before it ends at once. Raises ``NotFound``, ``NotEnoughPermissions`` if
    the user has lost a scope of it, ``TooManyKeys`` if it has expired and there
    are enough others, or ``SessionEnded``.
    """
    user = sessions.lock_user(session)
    key = rows.locked(user.id, key_id)
    _refuse_beyond(key.scopes.split(), session)
    now = clock.now()
    if key.expires_at <= now:
        _refuse_one_more(user.id, now)
    lifetime = min(key.expires_at - key.rotated_at, timedelta(days=_most_days()))
    overlap_end = min(now + timedelta(seconds=overlap_seconds), key.expires_at)
    is_needed = overlap_end > now
    key.previous_hash = key.key_hash if is_needed else None
    key.previous_expires_at = overlap_end if is_needed else None
    key.previous_aal = key.aal if is_needed else None
    secret = _renew(key, session, lifetime, now)
    db.session.flush()
    rows.record(
        events.KEY_ROTATED,
        key,
        user.id,
        overlap_seconds=overlap_seconds,
        expires_at=key.expires_at.isoformat(),
    )
    notify(messages.key_rotated, user, key=key.shown)
    reminders.announce_end(user, key.expires_at)
    db.session.commit()
    return key, secret


def describe(key: ApiKey) -> dict[str, Any]:
    """The shape ``Key``."""
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "last4": key.last4,
        "scopes": key.scopes.split(),
        "networks": key.networks.split(),
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "last_used_at": key.last_used_at,
        "last_used_ip": key.last_used_ip,
    }


def possible_scopes(session: Session) -> list[Any]:
    """The scopes that the user of the session may give to a key."""
    held = _held(session)
    return [scope for scope in scopes.known() if scope.name in held]


def _renew(key: ApiKey, session: Session, lifetime: timedelta, now: datetime) -> str:
    """Give the row a new key, and return that."""
    secret = form.make()
    key.key_hash = random_tokens.digest(secret)
    key.prefix, key.last4 = form.shown_start(secret), form.shown_end(secret)
    key.aal = session.aal
    key.rotated_at = now
    key.expires_at = now + lifetime
    key.end_told_at = None
    return secret


def _refuse_one_more(user_id: int, now: datetime) -> None:
    living = select(func.count()).where(ApiKey.user_id == user_id, ApiKey.expires_at > now)
    if (db.session.scalar(living) or 0) >= MOST_KEYS:
        db.session.rollback()
        raise TooManyKeys


def _most_days() -> int:
    return settings.of(KeySettings).max_days


def _days(wanted: int | None) -> int:
    most = _most_days()
    if wanted is not None and wanted > most:
        raise ValidationFailed([out_of_range(1, most).at(["expires_in_days"])])
    return wanted or min(USUAL_DAYS, most)


def _held(session: Session) -> set[str]:
    """What the user of the session may give to a key. A superuser's bypass gives nothing."""
    own = {scope.name for scope in scopes.declared()}
    by_role = permissions.permissions_of(session.user_id, db.session(), aal=session.aal)
    return own | by_role


def _refuse_beyond(wanted: Iterable[str], session: Session) -> None:
    if not set(wanted) <= _held(session):
        db.session.rollback()
        raise NotEnoughPermissions
