"""Claiming queued mails and delivering them."""

import random
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import uuid4

from cryptography.fernet import InvalidToken
from flask import Flask
from sqlalchemy import func, or_, select

from app import clock
from app.database.rows import change, delete_batch, discard
from app.database.types import MAX_ID
from app.extensions import db
from app.mail import rendering, transport, wordings
from app.mail.outbox import log, seal
from app.mail.wordings import Resolver
from app.models import User
from app.models.outbox_message import WAITING, OutboxMessage
from app.observability import metrics

# No delivery takes longer: each answer of the server has a time limit, the last one ten minutes.
LONGEST_DELIVERY = timedelta(minutes=15)
# If a deliverer claims a message and dies, another one may take the message after this time.
LEASE = timedelta(minutes=20)
# Between two tries it waits, first half a minute, then twice as long each time, at most an hour.
MAX_ATTEMPTS = 10
FIRST_RETRY = timedelta(seconds=30)
LONGEST_RETRY = timedelta(hours=1)


# Delivered mails are kept for this time, without their content.
KEPT = timedelta(days=7)
# A token in the text of a mail server, which may encode the sign of equality.
QUOTED_TOKEN = re.compile(r"(token(?:=3D|=|%3D))\S+", re.IGNORECASE)


def claim(limit: int) -> Sequence[OutboxMessage]:
    """Claim up to ``limit`` messages that are due, for the time of a lease. Commits."""
    now = clock.now()
    due = (
        select(OutboxMessage.id)
        .where(WAITING, OutboxMessage.due_at <= now)
        .order_by(OutboxMessage.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    found = db.session.scalars(due).all()
    if not found:
        db.session.rollback()
        return []
    taking = (
        change(OutboxMessage)
        .where(OutboxMessage.id.in_(found))
        # SQLite does not have row locks. There, this condition decides between two deliverers.
        .where(WAITING, OutboxMessage.due_at <= now)
        .values(due_at=now + LEASE, attempts=OutboxMessage.attempts + 1, lease=uuid4())
        .returning(OutboxMessage)
    )
    claimed = db.session.scalars(taking).all()
    db.session.commit()
    # From here on the objects stay as they were claimed. If they were loaded again, they might show
    # the lease of another deliverer.
    for row in claimed:
        db.session.expunge(row)
    return claimed


def deliver(row: OutboxMessage) -> None:
    """Deliver a claimed message, or put it off, or set it aside. Commits.

    A mail that cannot be delivered does not raise an error here.
    """
    if row.attempts > MAX_ATTEMPTS:
        _set_aside(row, "tried too often: each time, the deliverer ended before it knew the result")
        return
    if not _still_holds(row):
        return
    try:
        resolver = wordings.resolver_called(row.message)
        if resolver is not None and not _resolve(row, resolver):
            return
        transport.send(rendering.render(row), to=row.recipient, message_id=row.message_id)
    except transport.Interrupted:
        # Whoever cancelled the delivery gives the mail back.
        db.session.rollback()
    except transport.Refused as refusal:
        _set_aside(row, str(refusal), transport.reason_for_the_log(refusal))
    except InvalidToken:
        _set_aside(row, "cannot be opened: SECRET_KEY is not the one it was sealed with")
    except Exception as error:
        db.session.rollback()
        _try_later(row, f"{type(error).__name__}: {error}", transport.reason_for_the_log(error))
    else:
        if _update(row, delivered_at=clock.now(), sealed=None, last_error=None, lease=None):
            log.info("mail delivered", extra={"mail": row.message, "message_id": row.message_id})


def release(rows: Sequence[OutboxMessage]) -> None:
    """Give claimed messages back: they are due at once, and this attempt does not count. Commits.

    Deliverers that must stop call this. A message that another deliverer has
    claimed meanwhile stays with that one.
    """
    giving_back = (
        change(OutboxMessage)
        .where(OutboxMessage.id.in_([row.id for row in rows]))
        # A mail that is delivered or set aside has no lease.
        .where(OutboxMessage.lease.in_([row.lease for row in rows]))
        .values(due_at=clock.now(), attempts=OutboxMessage.attempts - 1, lease=None)
    )
    db.session.execute(giving_back)
    db.session.commit()


def prune(limit: int) -> int:
    """Delete up to ``limit`` messages that were delivered a while ago. Commits."""
    old = clock.now() - KEPT
    return delete_batch(
        OutboxMessage,
        OutboxMessage.created_at < old,
        OutboxMessage.delivered_at < old,
        oldest=OutboxMessage.created_at,
        limit=limit,
    )


def list_all(delivered_too: bool) -> Sequence[OutboxMessage]:
    """Return the mails that wait or were set aside, the oldest first.

    With ``delivered_too`` the delivered ones are among them.
    """
    rows = select(OutboxMessage).order_by(OutboxMessage.id)
    if not delivered_too:
        rows = rows.where(OutboxMessage.delivered_at.is_(None))
    return db.session.scalars(rows).all()


def on_the_way_to(user: User, *, limit: int) -> Sequence[OutboxMessage]:
    """The mails to a user, or to the user's address, that wait or were set aside. Newest first."""
    mine = or_(OutboxMessage.user_id == user.id, OutboxMessage.recipient == user.email)
    waiting = select(OutboxMessage).where(mine, OutboxMessage.delivered_at.is_(None))
    return db.session.scalars(waiting.order_by(OutboxMessage.id.desc()).limit(limit)).all()


class Backlog(NamedTuple):
    """How many mails wait, and when the oldest of them was queued."""

    waiting: int
    oldest: datetime | None


def backlog() -> Backlog:
    """Count the mails that wait, including those that were put off after a failure.

    A mail for a later day, which was never due, does not count.
    """
    was_due = or_(OutboxMessage.attempts > 0, OutboxMessage.due_at <= clock.now())
    waiting = select(func.count(), func.min(OutboxMessage.created_at)).where(WAITING, was_due)
    with db.engine.connect() as connection:
        return Backlog(*connection.execute(waiting).one())


def find(number: int) -> OutboxMessage | None:
    return db.session.get(OutboxMessage, max(0, min(number, MAX_ID)))


def retry(row: OutboxMessage) -> bool:
    """Make a message due now, and count its attempts from the beginning. The caller commits.

    If a deliverer has the message at this moment, it loses its lease. Returns
    False if the message was delivered meanwhile, or is gone.
    """
    again = (
        change(OutboxMessage)
        .where(OutboxMessage.id == row.id, OutboxMessage.delivered_at.is_(None))
        .values(due_at=clock.now(), attempts=0, set_aside_at=None, lease=None)
        .returning(OutboxMessage.id)
    )
    return db.session.scalar(again) is not None


def drop(row: OutboxMessage) -> bool:
    """Delete a message. Returns False if it is gone already. The caller commits."""
    gone = discard(OutboxMessage).where(OutboxMessage.id == row.id).returning(OutboxMessage.id)
    return db.session.scalar(gone) is not None


def _resolve(row: OutboxMessage, resolver: Resolver) -> bool:
    """Turn a request for a mail into the mail. Returns False if no mail should be sent."""
    resolved = resolver(row)
    if resolved is None:
        _update(row, delivered_at=clock.now(), sealed=None, lease=None)
        return False
    wording, context = resolved
    # The mail is stored before it is sent, so that the same link is sent if it must be repeated.
    return _update(
        row,
        message=wordings.name_of(wording),
        sealed=seal(context),
        user_id=row.user_id,
        recipient=row.recipient,
        locale=row.locale,
    )


def _still_holds(row: OutboxMessage) -> bool:
    """Whether there is enough time for a delivery. A lease that ends soon is extended."""
    if row.due_at - clock.now() >= LONGEST_DELIVERY:
        return True
    return _update(row, due_at=clock.now() + LEASE)


def _try_later(row: OutboxMessage, reason: str, logged: str) -> None:
    if row.attempts >= MAX_ATTEMPTS:
        _set_aside(row, reason, logged)
        return
    wait = min(FIRST_RETRY * 2 ** (row.attempts - 1), LONGEST_RETRY)
    # The wait is random, so that mails that failed together are not tried again together.
    due_at = clock.now() + wait * random.uniform(0.5, 1.5)  # noqa: S311
    if _update(row, due_at=due_at, last_error=_on_one_line(reason), lease=None):
        log.warning("mail not delivered, will try again", extra=_about(row, logged))


def _set_aside(row: OutboxMessage, reason: str, logged: str = "") -> None:
    """Stop trying to deliver the message. ``flask outbox list`` shows it."""
    if _update(row, set_aside_at=clock.now(), last_error=_on_one_line(reason), lease=None):
        log.error("mail set aside", extra=_about(row, logged or reason))


def _on_one_line(reason: str) -> str:
    """Make the text of a mail server harmless.

    PostgreSQL does not store NUL, and terminals execute escape sequences. A
    filter for spam may quote the link of the mail, and its token is secret.
    """
    text = "".join(character if character.isprintable() else " " for character in reason)
    return QUOTED_TOKEN.sub(r"\1…", text)[:500]


def _about(row: OutboxMessage, reason: str) -> dict[str, Any]:
    return {"message_id": row.message_id, "attempts": row.attempts, "reason": reason}


def _update(row: OutboxMessage, **values: Any) -> bool:
    """Write to the row, and commit. If the lease is lost, roll back and return False.

    In that case another deliverer has the message or has delivered it, or
    somebody has deleted it.
    """
    written = db.session.scalar(
        change(OutboxMessage)
        # A mail that is delivered or set aside has no lease.
        .where(OutboxMessage.id == row.id, OutboxMessage.lease == row.lease)
        .values(**values)
        .returning(OutboxMessage.id)
    )
    if written is None:
        db.session.rollback()
        log.warning("mail claimed by another deliverer", extra={"message_id": row.message_id})
        return False
    db.session.commit()
    for name, value in values.items():
        setattr(row, name, value)
    return True


def init_app(app: Flask) -> None:
    metrics.add_reading(app, _backlog_readings)


def _backlog_readings() -> metrics.Readings:
    found = backlog()
    oldest = found.oldest or clock.now()
    return {
        "outbox_waiting": ("Mails that wait to be delivered.", found.waiting),
        "outbox_oldest_waiting_seconds": (
            "Age of the oldest mail that waits; 0 where none does.",
            max(0.0, (clock.now() - oldest).total_seconds()),
        ),
    }
