"""Administrators and operators look after the mails in the outbox.

``actor`` is the session of the administrator, and ``None`` for an operator in the shell.
"""

from sqlalchemy import ColumnElement, func, select

from app import audit
from app.audit.vocabulary import Event
from app.database import pages
from app.database.pages import Key, Order, Page
from app.errors import NotFound
from app.extensions import db
from app.mail import delivery
from app.models import OutboxMessage, Session
from app.models.outbox_message import SET_ASIDE, WAITING
from app.users import authority

# Each list is read from an index. The mail that is due next comes first, and of the others the
# newest.
LISTS: dict[str, tuple[ColumnElement[bool], Order]] = {
    "waiting": (
        WAITING,
        Order((Key.instant("due_at", OutboxMessage.due_at), Key("id", OutboxMessage.id))),
    ),
    "set_aside": (SET_ASIDE, Order((Key("id", OutboxMessage.id),), descending=True)),
    "delivered": (
        OutboxMessage.delivered_at.is_not(None),
        Order(
            (Key.instant("created_at", OutboxMessage.created_at), Key("id", OutboxMessage.id)),
            descending=True,
        ),
    ),
}
# Nobody needs to know more exactly how many there are.
MOST_COUNTED = 1000


def find(state: str, *, limit: int, cursor: str | None = None) -> Page[OutboxMessage]:
    """A page of the mails in this state. Raises ``ValidationFailed``."""
    which, order = LISTS[state]
    query = {"list": "mails", "state": state}
    return pages.page(select(OutboxMessage).where(which), order, query, limit=limit, cursor=cursor)


def count(state: str) -> int:
    """How many mails are in this state. It stops after ``MOST_COUNTED``, and returns one more."""
    which, _ = LISTS[state]
    some = select(OutboxMessage.id).where(which).limit(MOST_COUNTED + 1).subquery()
    return db.session.scalar(select(func.count()).select_from(some)) or 0


def read(number: int) -> OutboxMessage:
    """One mail, detached. Raises ``NotFound``."""
    row = delivery.find(number)
    if row is None:
        raise NotFound
    db.session.expunge(row)
    return row


def retry(number: int, *, actor: Session | None) -> bool:
    """Try to deliver a mail again now. Returns False if it is delivered already. Commits.

    Raises ``NotFound``, ``SessionEnded`` or ``NotEnoughPermissions``.
    """
    authority.lock_superuser(actor=actor)
    row = read(number)
    is_due = delivery.retry(row)
    if is_due:
        _record(Event.MAIL_RETRIED, row, actor)
    db.session.commit()
    return is_due


def drop(number: int, *, actor: Session | None) -> None:
    """Delete a mail, delivered or not. Commits.

    Raises ``NotFound``, ``SessionEnded`` or ``NotEnoughPermissions``.
    """
    authority.lock_superuser(actor=actor)
    row = read(number)
    if not delivery.drop(row):
        raise NotFound
    _record(Event.MAIL_DROPPED, row, actor)
    db.session.commit()


def _record(event: Event, row: OutboxMessage, actor: Session | None) -> None:
    audit.record(
        event,
        subject_id=row.user_id,
        actor_id=actor.user_id if actor else None,
        mail=row.message,
        state=row.state,
    )
