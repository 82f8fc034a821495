"""The calls on one's own API keys."""

from typing import Any
from uuid import UUID

from app.access.guards import current_session, current_user, freshly_signed_in, signed_in
from app.access.idempotency import idempotent
from app.access.limits import limited_writes
from app.api_keys import ending, keys
from app.api_keys.errors import TooManyKeys
from app.api_keys.models import ApiKey
from app.api_keys.schemas import (
    KeyChangesSchema,
    KeyListSchema,
    KeySchema,
    MadeKeySchema,
    NewKeySchema,
    RotationSchema,
)
from app.errors import NotEnoughPermissions, NotFound
from app.http.blueprint import Blueprint, refuses

bp = Blueprint(
    "api_keys",
    __name__,
    url_prefix="/auth/keys",
    description="API keys, with which programs act for a user.",
)


@bp.post("")
@freshly_signed_in
@limited_writes
@idempotent(has_secret=True)
@bp.takes(NewKeySchema)
@refuses(NotEnoughPermissions, TooManyKeys)
@bp.returns(201, MadeKeySchema)
def make_key(body: dict[str, Any]) -> dict[str, Any]:
    """Make an API key. `key` is shown this once.

    The scopes are permissions that you have by a role, and `profile` for your own profile. The
    key works for 90 days unless `expires_in_days` says otherwise.
    """
    return _with_key(*keys.make(current_session(), **body))


@bp.get("")
@signed_in(keys=False)
@bp.returns(200, KeyListSchema)
def read_keys() -> dict[str, Any]:
    """Your API keys, the newest first. Expired ones are listed for 30 days."""
    return {"items": [keys.describe(key) for key in keys.of(current_user().id)]}


@bp.patch("/<uuid:key_id>")
@signed_in(keys=False)
@limited_writes
@bp.takes(KeyChangesSchema)
@refuses(NotFound)
@bp.returns(200, KeySchema)
def edit_key(changes: dict[str, Any], key_id: UUID) -> dict[str, Any]:
    """Change the name of an API key, or the networks from which it works."""
    return keys.describe(keys.edit(current_session(), key_id, changes))


@bp.post("/<uuid:key_id>/rotate")
@freshly_signed_in
@limited_writes
@bp.takes(RotationSchema)
@refuses(NotFound, NotEnoughPermissions, TooManyKeys)
@bp.returns(201, MadeKeySchema)
def rotate_key(body: dict[str, Any], key_id: UUID) -> dict[str, Any]:
    """Replace an API key. The new `key` is shown this once, and its time begins again.

    The old key works for `overlap_seconds` more, so that programs can change over.
    """
    return _with_key(*keys.rotate(current_session(), key_id, **body))


@bp.delete("/<uuid:key_id>")
@signed_in(keys=False)
@refuses(NotFound)
@bp.returns(204)
def revoke_key(key_id: UUID) -> None:
    """End an API key for good."""
    ending.revoke(current_session(), key_id)


def _with_key(key: ApiKey, secret: str) -> dict[str, Any]:
    return {"key": secret} | keys.describe(key)
