"""What administrators and operators see and do about the API keys of others."""

from collections.abc import Sequence
from uuid import UUID

from app.access.permissions import declare
from app.api_keys import ending, keys
from app.api_keys.models import ApiKey
from app.errors import NotFound
from app.extensions import db
from app.models import Session, User
from app.users import authority

KEYS_READ = declare("keys:read", "See the API keys of others.")
KEYS_REVOKE = declare("keys:revoke", "Revoke the API keys of others.")


def keys_of(user_id: int) -> Sequence[ApiKey]:
    """The keys of any user, the newest first. Raises ``NotFound``."""
    if db.session.get(User, user_id) is None:
        raise NotFound
    return keys.of(user_id)


def revoke(user_id: int, key_id: UUID, *, actor: Session | None) -> ApiKey:
    """End a key of a user. Commits. Returns what it was.

    ``actor`` is the session of an administrator, and ``None`` for an operator
    in the shell. Raises ``NotFound`` or ``NotEnoughPermissions``.
    """
    locked = authority.lock_account(user_id, KEYS_REVOKE, actor=actor)
    key = keys.one_of(locked.user.id, key_id)
    ending.end(key, actor_id=actor.user_id if actor else None)
    db.session.commit()
    return key
