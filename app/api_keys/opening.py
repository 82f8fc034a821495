"""Opening a request with an API key: one statement reads the key, its owner and their rights."""

import logging
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Select,
    String,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm.attributes import set_committed_value

from app import clock
from app.access import scopes
from app.api_keys import networks
from app.api_keys.models import ApiKey
from app.database.prepared import Prepared
from app.database.rows import detached
from app.database.types import UTCDateTime
from app.errors import InvalidToken, SessionEnded, TokenExpired
from app.extensions import db
from app.http import client
from app.models import Role, RolePermission, Session, User, UserRole
from app.security import random_tokens

log = logging.getLogger(__name__)

_DIGEST = bindparam("digest", type_=ApiKey.key_hash.type)
# The level of the key in the request. A server of the release before this one does not write the
# level of the previous key.
_AAL = case(
    (ApiKey.previous_hash == _DIGEST, func.coalesce(ApiKey.previous_aal, ApiKey.aal)),
    else_=ApiKey.aal,
)


def _statement() -> Select[Any]:
    # The two databases have the same function under two names.
    is_sqlite = db.engine.dialect.name == "sqlite"
    joined = func.group_concat if is_sqlite else func.string_agg
    # What the roles of the owner permit now, separated by spaces. That a superuser may do
    # everything does not count.
    permissions = (
        select(joined(RolePermission.permission, literal_column("' '"), type_=String))
        .join(UserRole, UserRole.role_id == RolePermission.role_id)
        .join(Role, Role.id == UserRole.role_id)
        .where(UserRole.user_id == User.id)
        .where(or_(~Role.require_mfa, _AAL >= 2))
        .correlate(User, ApiKey)
        .scalar_subquery()
    )
    return (
        select(
            ApiKey.id,
            ApiKey.previous_hash == _DIGEST,
            ApiKey.previous_expires_at,
            ApiKey.expires_at,
            ApiKey.scopes,
            ApiKey.networks,
            _AAL,
            ApiKey.last_used_at,
            permissions,
            User,
        )
        .join(User, ApiKey.user_id == User.id)
        .where(or_(ApiKey.key_hash == _DIGEST, ApiKey.previous_hash == _DIGEST))
    )


# Every request with a key runs it.
OPENED = Prepared(_statement)
_COLUMNS_OF_USER = [column.key for column in User.__table__.columns]

# The use of a key is written down at most once in this time. Of several requests, one finds the
# row.
USED_EVERY = timedelta(minutes=15)
USED = Prepared(
    update(ApiKey)
    .where(ApiKey.id == bindparam("key_id"))
    .where(
        or_(
            ApiKey.last_used_at.is_(None),
            ApiKey.last_used_at <= bindparam("before", type_=UTCDateTime),
        )
    )
    .values(last_used_at=bindparam("now", type_=UTCDateTime), last_used_ip=bindparam("from_ip"))
    .returning(ApiKey.id)
)


def open_session(key: str) -> Session:
    """The session of a request with this key.

    Raises ``InvalidToken``, also for a request from outside the key's
    networks, ``TokenExpired``, or ``SessionEnded`` if the owner is deactivated.
    """
    digest = random_tokens.digest(key)
    found = OPENED.run_alone(digest=digest)
    if not found:
        raise InvalidToken
    [(key_id, is_previous, previous_end, end, granted, allowed, aal, used_at, *rest)] = found
    permissions, *owner = rest
    now = clock.now()
    ip = client.current().ip
    if is_previous and now >= previous_end:
        raise InvalidToken
    if not networks.is_in(ip, allowed):
        raise InvalidToken
    if now >= end:
        raise TokenExpired
    user = detached(User, zip(_COLUMNS_OF_USER, owner, strict=True))
    if not user.is_active:
        raise SessionEnded
    if used_at is None or used_at <= now - USED_EVERY:
        _note_use(key_id, now, ip)
    session = _session_of(key_id, user, aal, end)
    session.scopes, session.key_hash = usable(granted, permissions or ""), digest
    return session


def _note_use(key_id: UUID, now: datetime, ip: str | None) -> None:
    """Write down that the key is used. A request that only reads must not fail because of it."""
    try:
        USED.run_alone(key_id=key_id, before=now - USED_EVERY, now=now, from_ip=ip)
    except SQLAlchemyError as error:
        log.warning("the use of an API key was not written down", exc_info=error)


def usable(granted: str, permissions: str) -> frozenset[str]:
    """Those of the scopes that the owner may use now."""
    own = {scope.name for scope in scopes.declared()}
    return frozenset(granted.split()) & (own | frozenset(permissions.split()))


def lives(session: Session) -> bool:
    """Whether the key still works. A write that waited for a lock asks this."""
    now = clock.now()
    overlaps = and_(ApiKey.previous_hash == session.key_hash, ApiKey.previous_expires_at > now)
    is_good = or_(ApiKey.key_hash == session.key_hash, overlaps)
    is_there = exists().where(ApiKey.id == session.id, ApiKey.expires_at > now, is_good)
    return bool(db.session.scalar(is_there.select()))


def _session_of(key_id: UUID, user: User, aal: int, end: datetime) -> Session:
    """A session that is not a row, and never becomes one."""
    session = detached(
        Session,
        {
            "id": key_id,
            "user_id": user.id,
            "generation": 0,
            "aal": aal,
            "amr": "key",
            "signed_in_by": "key",
            "cookie_hash": None,
            "is_remembered": False,
            "expires_at": end,
            "ended_at": None,
        },
    )
    set_committed_value(session, "user", user)
    return session
