"""The ways to log in to an account, and that the last one stays."""

from app import features
from app.errors import AppError
from app.extensions import db
from app.models import User


class LastWayIn(AppError):
    """Nobody could log in to the account any more."""

    status, code = 409, "last_way_in"
    detail = "This is the last way to log in. Set a password first, or add another way."


def has_another_than_password(user_id: int) -> bool:
    """Whether the user can log in by something that a feature has."""
    return any(each.has_way_in and each.has_way_in(user_id) for each in features.active())


def refuse_if_none_is_left(user: User) -> None:
    """The caller has locked the user and removed a way in, and commits.

    Under the lock, one of two requests that remove the last two ways in sees
    what the other one did. Rolls back, and raises ``LastWayIn``.
    """
    if user.hashed_password is None and not has_another_than_password(user.id):
        db.session.rollback()
        raise LastWayIn
