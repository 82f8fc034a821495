"""What administrators and operators see and do about the second factors of others."""

from typing import Any

from app.access.permissions import declare
from app.auth.mfa import factors
from app.auth.sessions import sessions
from app.errors import NotEnoughPermissions, NotFound
from app.extensions import db
from app.models import Session, User
from app.users import authority

FACTORS_READ = declare("factors:read", "See the second factors of others.")
FACTORS_RESET = declare("factors:reset", "Remove the second factors of others.")


def describe(user_id: int) -> dict[str, Any]:
    """The second factors of any user. Raises ``NotFound``."""
    user = db.session.get(User, user_id)
    if user is None:
        raise NotFound
    return factors.describe(user)


def reset(user_id: int, *, actor: Session | None) -> int | None:
    """Remove every factor of a user, and sign the user out everywhere. Commits.

    ``actor`` is the session of an administrator, and ``None`` for an operator
    in the shell. Returns how many factors there were, or ``None`` if there was
    nothing to reset. Then nobody is signed out. Raises ``NotFound``, or
    ``NotEnoughPermissions``, also for the actor's own account.
    """
    locked = authority.lock_account(user_id, FACTORS_RESET, actor=actor)
    if actor is not None and actor.user_id == user_id:
        raise NotEnoughPermissions
    count = factors.reset(locked.user, actor.user_id if actor else None)
    if count is not None:
        sessions.end_all(user_id)
    db.session.commit()
    return count
