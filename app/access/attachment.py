"""The user and the session of a request, and ``db.session``.

A request loads both with one prepared statement, outside ``db.session``, as
most requests only read them. A change to them must not be lost, so they join
``db.session`` as soon as somebody changes them.
"""

from collections.abc import Callable

from sqlalchemy import event, inspect
from sqlalchemy.orm import InstanceState, class_mapper, object_session

from app.extensions import db
from app.models import Session, User

OURS = (User, Session)
# The third is ``flag_modified``.
CHANGES = ("set", "remove", "modified")


def when_changed(join: Callable[..., None]) -> None:
    """Call this with each user and session before an attribute of it is set."""
    for model in OURS:
        for attribute in class_mapper(model).attrs:
            for change in CHANGES:
                if not event.contains(attribute.class_attribute, change, join):
                    event.listen(attribute.class_attribute, change, join)


def join(changed: User | Session) -> None:
    """Let the next commit write what is about to change.

    Raises ``InvalidRequestError`` if ``db.session`` has another object for
    the same row.
    """
    if object_session(changed) is None:
        db.session.add(changed)


def attached(user: User) -> User:
    """The user as an object of ``db.session``: changes are written, and relationships load.

    If ``db.session`` has the same user already, it returns that object.
    """
    state: InstanceState[User] = inspect(user)
    if state.session is not None or state.was_deleted:
        return user
    known: User | None = db.session.identity_map.get(state.key) if state.key else None
    if known is not None:
        return known
    db.session.add(user)
    return user


class Loaded(dict[str, User]):
    """Where Flask-JWT-Extended's ``current_user`` looks. It attaches the user at the first use."""

    def __getitem__(self, key: str) -> User:
        return attached(super().__getitem__(key))
