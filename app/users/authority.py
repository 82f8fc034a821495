"""Who may change whom. You cannot change a user who has rights that you lack."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import or_, select

from app.access import levels
from app.access.permissions import EVERYTHING, USERS_READ, Permission, Rights, rights_in, rights_of
from app.auth.sessions import sessions
from app.database.rows import lock_in_order
from app.errors import AppError, NotEnoughPermissions, NotFound, SessionEnded
from app.extensions import db
from app.models import Session, User


class LastSuperuser(AppError):
    status, code = 409, "last_superuser"
    detail = "This is the last active superuser. Make another one first."


# What somebody could do with a second factor counts too, where that person is to be changed.
ANY_LEVEL = 2


@dataclass(frozen=True)
class LockedAccount:
    """A user as they are now, locked until the commit, and the rights of the actor."""

    user: User
    rights: Rights
    is_last_superuser: bool

    def refuse_if_last_superuser(self) -> None:
        """For a change that takes this superuser away. Raises ``LastSuperuser``."""
        if self.is_last_superuser:
            raise LastSuperuser


def lock_account(user_id: int, permission: Permission, *, actor: Session | None) -> LockedAccount:
    """Lock a user who is about to be changed, if the actor may. The caller commits.

    ``actor`` is the session of the person who makes the change, and ``None``
    for an operator in the shell, who may do everything. The rights of the
    actor, and whether the session is still live, are read under the same locks
    as the user. So if two people take away each other's rights at once, the
    second is refused. So is a change that waited while its session was ended.
    Raises ``SessionEnded``, ``NotFound``, or what ``refuse_unless`` raises, also
    if the user has rights that the actor lacks.
    """
    people = _lock_people(user_id, *([actor.user_id] if actor else []))
    rights = _rights_of(actor, people, permission)
    user = people.get(user_id)
    if user is None:
        raise NotFound
    is_oneself = actor is not None and user.id == actor.user_id
    if not is_oneself:
        theirs = rights_of(user, db.session(), aal=ANY_LEVEL)
        refuse_unless(lambda mine: mine.cover(theirs), rights, actor)
    return LockedAccount(user, rights, is_last_superuser=_is_last_superuser(user, people))


def lock_actor(permission: Permission, *, actor: Session | None) -> Rights:
    """The rights of the actor, for a change that concerns no other user. The caller commits.

    Raises ``SessionEnded``, or what ``refuse_unless`` raises.
    """
    return _rights_of(actor, _lock_people(*([actor.user_id] if actor else [])), permission)


def lock_superuser(*, actor: Session | None) -> None:
    """For a change that only superusers may make. The caller commits.

    Raises ``SessionEnded`` or ``NotEnoughPermissions``.
    """
    rights = lock_actor(USERS_READ, actor=actor)
    refuse_unless(lambda mine: mine.everything, rights, actor)


def refuse_unless(suffice: Callable[[Rights], bool], rights: Rights, actor: Session | None) -> None:
    """For an actor whose rights do not suffice.

    Raises ``NotEnoughPermissions``, or, where they would suffice with a second
    factor, ``FreshTokenRequired`` or ``MfaEnrollmentRequired``.
    """
    if suffice(rights):
        return
    if actor is not None:
        levels.refuse_if_level_is_missing(actor, suffice, db.session())
    raise NotEnoughPermissions


def refuse_if_last_superuser(user_id: int) -> None:
    """For a user who closes their own account. The caller commits. Raises ``LastSuperuser``."""
    people = _lock_people(user_id)
    if user_id in people and _is_last_superuser(people[user_id], people):
        raise LastSuperuser


def is_last_superuser(user: User) -> bool:
    """Whether this superuser must stay, for pages that say so. The verbs check it under locks."""
    if not user.is_superuser:
        return False
    superusers = db.session.scalars(select(User).where(User.is_superuser))
    return _is_last_superuser(user, {each.id: each for each in superusers})


def _lock_people(*ids: int) -> dict[int, User]:
    """Lock these users, and all superusers, so that two changes cannot remove the last two."""
    locked = lock_in_order(User, or_(User.id.in_(ids), User.is_superuser))
    return {user.id: user for user in locked}


def _rights_of(actor: Session | None, people: dict[int, User], permission: Permission) -> Rights:
    if actor is None:
        return EVERYTHING
    still_there = people.get(actor.user_id)
    if still_there is None or not still_there.is_active:
        raise SessionEnded
    sessions.refuse_if_over(actor)
    rights = rights_in(actor, still_there, db.session())
    refuse_unless(lambda mine: mine.include(permission), rights, actor)
    return rights


def _is_last_superuser(user: User, people: dict[int, User]) -> bool:
    others = [person for person in people.values() if person.id != user.id]
    is_needed = user.is_superuser and user.is_active and user.deletion_due_at is None
    return is_needed and not any(map(_is_active_superuser, others))


def _is_active_superuser(user: User) -> bool:
    """Whether the user would still be there as a superuser after another one has gone.

    A user who is to be erased, or has not accepted an invitation yet, does
    not count: in the end there might be no superuser left.
    """
    can_log_in = user.is_active and user.hashed_password is not None
    return user.is_superuser and can_log_in and user.deletion_due_at is None
