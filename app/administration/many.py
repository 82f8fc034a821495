"""What administrators do with many accounts at once.

Each account is changed in a transaction of its own, so what cannot be done
with one of them does not stop the others.
"""

from collections.abc import Callable, Iterable

from app.administration import accounts
from app.errors import (
    AppError,
    FreshTokenRequired,
    MfaEnrollmentRequired,
    NotEnoughPermissions,
    NotFound,
)
from app.extensions import db
from app.models import Session
from app.users.authority import LastSuperuser

# Why one account stays as it is. Any other error ends the whole.
OF_ONE_ACCOUNT = (
    NotFound,
    NotEnoughPermissions,
    LastSuperuser,
    # The rights of the actor would suffice with a second factor.
    FreshTokenRequired,
    MfaEnrollmentRequired,
)

# Id → why it was not done, or None.
Outcomes = dict[int, AppError | None]


def deactivate(ids: Iterable[int], *, actor: Session) -> Outcomes:
    """Deactivate accounts, but not the actor's own. Commits after each."""
    return _each(ids, lambda one: accounts.edit(one, {"is_active": False}, actor=actor), actor)


def end_sessions(ids: Iterable[int], *, actor: Session) -> Outcomes:
    """Sign accounts out everywhere, but not the actor. Commits after each."""
    return _each(ids, lambda one: accounts.end_sessions(one, actor=actor), actor)


def _each(ids: Iterable[int], change: Callable[[int], object], actor: Session) -> Outcomes:
    outcomes: Outcomes = {}
    for user_id in ids:
        try:
            if user_id == actor.user_id:
                raise NotEnoughPermissions
            change(user_id)
            outcomes[user_id] = None
        except OF_ONE_ACCOUNT as refusal:
            db.session.rollback()
            outcomes[user_id] = refusal
    return outcomes
