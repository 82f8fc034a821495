"""The calls on the API keys of others."""

from typing import Any
from uuid import UUID

from app.access.guards import current_session, freshly_permitted, permitted
from app.api_keys import keys, operating
from app.api_keys.operating import KEYS_READ, KEYS_REVOKE
from app.api_keys.schemas import KeyListSchema
from app.errors import NotFound
from app.http.blueprint import Blueprint, refuses

bp = Blueprint(
    "keys_of_users",
    __name__,
    url_prefix="/users",
    description="Administrators see and revoke API keys.",
)


@bp.get("/<digits:user_id>/keys")
@permitted(KEYS_READ, keys=False)
@refuses(NotFound)
@bp.returns(200, KeyListSchema)
def read_keys_of_user(user_id: int) -> dict[str, Any]:
    """The API keys of a user, the newest first."""
    return {"items": [keys.describe(key) for key in operating.keys_of(user_id)]}


@bp.delete("/<digits:user_id>/keys/<uuid:key_id>")
@freshly_permitted(KEYS_REVOKE)
@refuses(NotFound)
@bp.returns(204)
def revoke_key_of_user(user_id: int, key_id: UUID) -> None:
    """End an API key of a user, who must not have rights that you lack."""
    operating.revoke(user_id, key_id, actor=current_session())
