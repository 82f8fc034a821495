"""The fields of an account that users fill in about themselves."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement

from app import audit, clock
from app.audit.vocabulary import Event
from app.auth.sessions import sessions
from app.auth.taken import unless_taken
from app.database.rows import Expected, change, unchanged
from app.errors import PreconditionFailed, SessionEnded
from app.extensions import db
from app.models import Session, User
from app.security.identifiers import username_key

# The columns that an account shows and that may change. A client that expects a certain state of an
# account expects these values.
SHOWN = (
    *("email", "username", "full_name", "bio", "avatar_url", "is_active", "is_superuser"),
    *("email_verified", "locale", "updated_at"),
)


def edit(session: Session, changes: dict[str, Any], expected: Expected | None = None) -> User:
    """Set the given fields of the session's user, and commit.

    It writes only the given fields, so that other requests can write the
    others. If nothing changes, it writes and records nothing. Raises
    ``UsernameTaken``, or ``SessionEnded`` if the session or the user is gone by
    now, or ``PreconditionFailed`` if the user is not as ``expected``.
    """
    user = session.user
    if expected:
        expected(user)
    changed = difference(user, changes)
    if not changed:
        return user
    # Two clients that expect the same state may be here at once. The database lets one write.
    edited = write(user.id, changed, *(unchanged(user, SHOWN) if expected else ()))
    if edited is None:
        db.session.rollback()
        if expected:
            sessions.refuse_if_over(session)
            raise PreconditionFailed
        raise SessionEnded
    # The write may have waited for a request that ended the session.
    sessions.refuse_if_over(session)
    record_edit(edited, changed, actor_id=user.id)
    db.session.commit()
    return edited


def difference(user: User, changes: dict[str, Any]) -> dict[str, Any]:
    """The changes whose values differ from those of the account."""
    return {name: value for name, value in changes.items() if getattr(user, name) != value}


def write(user_id: int, changes: dict[str, Any], *which: ColumnElement[bool]) -> User | None:
    """The account with these fields set; ``None`` if it is gone. The caller commits.

    ``which`` are further conditions. Raises ``UsernameTaken``.
    """
    if "username" in changes:
        changes = changes | {"username_key": username_key(changes["username"])}
    writing = (
        change(User)
        .where(User.id == user_id, *which)
        .values(**changes, updated_at=clock.now())
        .returning(User)
    )
    with unless_taken():
        written: User | None = db.session.scalar(writing)
    return written


def record_edit(user: User, fields: Collection[str], *, actor_id: int | None) -> None:
    """Record which fields were written. The caller commits.

    Values are not recorded, except the username, by which others know the user.
    """
    name = {"username": user.username} if "username" in fields else None
    audit.record(
        Event.USER_UPDATED,
        subject_id=user.id,
        actor_id=actor_id,
        personal=name,
        fields=sorted(fields),
    )
