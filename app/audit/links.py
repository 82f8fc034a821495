"""What makes one link of the chain wrong. A link is an event with its seal."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, exists, select

from app.audit import chain, reading
from app.audit.reading import Database
from app.audit.vocabulary import Event
from app.models import AuditEvent, AuditSeal, User

# This is longer than any transaction lasts, and more than the clocks of two servers differ.
TOLERANCE = timedelta(minutes=10)
# If the wrong event is at a position, the right one is searched up to this far away.
NEIGHBOURHOOD = 1000


@dataclass(eq=False)
class Broken(Exception):
    """The first place at which the log differs from what was written."""

    kind: str
    sentence: str
    position: int | None = None
    event_id: int | None = None


def broken_at(kind: str, sentence: str, link: Row[Any]) -> Broken:
    return Broken(kind, sentence, link.position, link.event_id)


def refuse_wrong_place(database: Database, link: Row[Any], position: int, head: str) -> None:
    """A seal must have the next position, and follow from the seal before it."""
    if link.position == position and _follows(link, position, head):
        return
    nearby = reading.LINKS.where(AuditSeal.position > position).limit(NEIGHBOURHOOD)
    for other in database.execute(nearby):
        if _follows(other, position, head):
            sentence = (
                f"The log was reordered: the event that was sealed at position {position} is now "
                f"at position {other.position}."
            )
            raise Broken("reordered", sentence, position, other.event_id)
    if link.position != position:
        gone = f"{position}" if link.position == position + 1 else f"{position}…{link.position - 1}"
        sentence = f"The seals at {gone} were removed, and no pruning of them is on record."
        raise Broken("seal_removed", sentence, position)
    raise broken_at("seal_edited", "The seal was edited: it does not fit the seal before it.", link)


def _follows(link: Row[Any], position: int, head: str) -> bool:
    covered = {
        "event_id": link.event_id,
        "sealed_at": link.sealed_at,
        "event_digest": link.event_digest,
        "personal_digest": link.personal_digest,
    }
    return bool(chain.seal_hash(head, position=position, **covered) == link.hash)


def refuse_edited_event(database: Database, link: Row[Any]) -> None:
    if link.id is None:
        raise broken_at("removed", "The event was removed after it was sealed.", link)
    if chain.event_digest(link) == link.event_digest:
        return
    nearby = reading.LINKS.where(AuditSeal.position > link.position).limit(NEIGHBOURHOOD)
    for other in database.execute(nearby):
        if other.id and chain.event_digest(other, under_id=link.id) == link.event_digest:
            sentence = f"The log was reordered: event {link.id} is now event {other.id}."
            raise broken_at("reordered", sentence, link)
    raise broken_at("edited", "The event was edited after it was sealed.", link)


def refuse_edited_personal_part(link: Row[Any], is_erased: Callable[[int], bool]) -> None:
    is_empty = link.ip is None and link.user_agent is None and link.personal is None
    if link.salt is not None:
        if chain.personal_digest(link, link.salt) != link.personal_digest:
            kind, verb = (
                ("personal_removed", "removed") if is_empty else ("personal_altered", "edited")
            )
            raise broken_at(kind, f"The personal part of the event was {verb} by hand.", link)
    elif not is_empty:
        sentence = "The personal part of the event was erased, and written again by hand."
        raise broken_at("personal_altered", sentence, link)
    elif not any(is_erased(user_id) for user_id in (link.subject_id, link.actor_id) if user_id):
        sentence = "The personal part of the event is gone, and none of its users was erased."
        raise broken_at("personal_removed", sentence, link)


def refuse_wrong_time(link: Row[Any], newest: datetime | None) -> None:
    if newest and link.at < newest - TOLERANCE:
        sentence = (
            f"The event is back-dated: its time is {chain.instant(link.at)}, but an event of "
            f"{chain.instant(newest)} was sealed before it."
        )
        raise broken_at("backdated", sentence, link)
    if link.at > link.sealed_at + TOLERANCE:
        sentence = (
            f"The event is dated ahead: its time is {chain.instant(link.at)}, but it was sealed "
            f"at {chain.instant(link.sealed_at)}."
        )
        raise broken_at("dated_ahead", sentence, link)


def is_erased(database: Database, user_id: int) -> bool:
    """Whether the user is gone and the erasure is on record. A record alone could be forged."""
    on_record = exists().where(
        AuditEvent.subject_id == user_id, AuditEvent.event == Event.USER_ERASED.value
    )
    is_gone = ~exists().where(User.id == user_id)
    return bool(database.scalar(select(on_record & is_gone)))
