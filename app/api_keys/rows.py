"""Finding a key of a user, and recording what happened to it."""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement

from app import audit
from app.api_keys.models import ApiKey
from app.audit.vocabulary import FeatureEvent
from app.database.rows import lock
from app.errors import NotFound
from app.extensions import db


def owned(user_id: int, key_id: UUID) -> tuple[ColumnElement[bool], ...]:
    return (ApiKey.id == key_id, ApiKey.user_id == user_id)


def locked(user_id: int, key_id: UUID) -> ApiKey:
    """A key of a user whom the caller holds. Raises ``NotFound``."""
    key = lock(ApiKey, *owned(user_id, key_id))
    if key is None:
        db.session.rollback()
        raise NotFound
    return key


def record(
    event: FeatureEvent,
    key: ApiKey,
    actor_id: int | None,
    personal: dict[str, Any] | None = None,
    **details: Any,
) -> None:
    audit.record(
        event,
        subject_id=key.user_id,
        actor_id=actor_id,
        personal=personal,
        key_id=str(key.id),
        **details,
    )
