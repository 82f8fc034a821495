"""What operators and superusers do with accounts."""

from collections.abc import Sequence

from sqlalchemy import select, update

from app import audit, clock, database
from app.auth import sessions
from app.auth.authentication import find_by_email
from app.errors import NotEnoughPermissions, NotFound
from app.extensions import db
from app.models import User
from app.models.audit_event import Event


def read(user_id: int, *, viewer: User) -> User:
    """One user, for themselves or a superuser.

    Raises ``NotEnoughPermissions`` for anyone else, whether or not there is
    such a user, and ``NotFound`` for a superuser.
    """
    if user_id == viewer.id:
        return viewer
    if not viewer.is_superuser:
        raise NotEnoughPermissions
    user = db.session.get(User, user_id)
    if user is None:
        raise NotFound
    return user


def list_all() -> Sequence[User]:
    """Everybody, the oldest account first."""
    return db.session.scalars(select(User).order_by(User.id)).all()


def set_superuser(email: str, is_superuser: bool) -> User:
    """Give or take the right to everything, from the next request on. Commits.

    Raises ``NotFound`` where nobody has the address.
    """
    event = Event.USER_PROMOTED if is_superuser else Event.USER_DEMOTED
    return _set(email, event, is_superuser=is_superuser)


def set_active(email: str, is_active: bool) -> User:
    """Let an account log in again, or sign it out everywhere and let it log in no more. Commits.

    Activating revives no session. Raises ``NotFound`` where nobody has the address.
    """
    event = Event.USER_ACTIVATED if is_active else Event.USER_DEACTIVATED
    return _set(email, event, is_active=is_active)


def _set(email: str, event: Event, **values: bool) -> User:
    found = find_by_email(email)
    held = database.hold(User, User.id == (found.id if found else None))
    if held is None:
        raise NotFound
    before = {name: getattr(held, name) for name in values}
    change = (
        update(User)
        .where(User.id == held.id)
        .values(**values, updated_at=clock.now())
        .returning(User)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    user = db.session.scalars(change).one()
    ended = 0 if user.is_active else sessions.end_all(user.id)
    if before != values:
        audit.record(event, subject_id=user.id, sessions_ended=ended)
    db.session.commit()
    return user
