"""What people say about themselves."""

from typing import Any

from sqlalchemy import update

from app import audit, clock
from app.auth.registration import unless_taken
from app.errors import SessionEnded
from app.extensions import db
from app.models import User
from app.models.audit_event import Event
from app.security.identifiers import username_key


def edit(user: User, changes: dict[str, Any]) -> User:
    """Set the given fields, and commit. Fields that are not given are left to other requests.

    Raises ``UsernameTaken``, or ``SessionEnded`` for a user who is gone by now.
    """
    if not changes:
        return user
    fields = sorted(changes)
    if "username" in changes:
        changes = changes | {"username_key": username_key(changes["username"])}
    edit = (
        update(User)
        .where(User.id == user.id)
        .values(**changes, updated_at=clock.now())
        .returning(User)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    with unless_taken():
        edited: User | None = db.session.scalar(edit)
    if edited is None:
        db.session.rollback()
        raise SessionEnded
    # What was written stays out but for the name, by which others know somebody.
    name = {"username": edited.username} if "username" in changes else None
    audit.record(
        Event.USER_UPDATED, subject_id=user.id, actor_id=user.id, personal=name, fields=fields
    )
    db.session.commit()
    return edited
