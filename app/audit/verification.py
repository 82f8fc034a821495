"""Verifying the log: whether it was changed since it was written, and the first such place."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Row, exists, func, select

from app import clock
from app.audit import chain, links, prunings, reading
from app.audit.links import Broken
from app.audit.reading import Database
from app.models import AuditEvent, AuditSeal
from config import settings

# The sealer works every second, and operators notice when a server is down for an hour.
UNSEALED_AT_MOST = timedelta(hours=1)
REPORT_EVERY = 100_000

IS_SEALED = exists().where(AuditSeal.event_id == AuditEvent.id)

Report = Callable[[int], None]


class Start(NamedTuple):
    """A place in the chain. ``newest`` is the time of the event there.

    Without it, a back-dated event would look right as soon as the events
    before it are pruned, and would be pruned too early itself.
    """

    position: int
    hash: str
    newest: datetime | None


@dataclass(frozen=True)
class Verdict:
    """How far the log is as it was written, and what is wrong after that, if anything is."""

    sealed: int
    position: int
    head: str
    unsealed: int
    broken: Broken | None


def verify(
    database: Database,
    *,
    heads: Collection[str] = (),
    after: int = 0,
    retention: timedelta | None = None,
    report: Report = lambda done: None,
) -> Verdict:
    """Compute the chain again, in constant memory, up to the first thing that is wrong.

    ``heads`` are hashes that were kept elsewhere, and the chain must contain
    each of them. ``after`` is a position that was verified before, and is
    trusted. ``retention`` must explain every pruning; by default it is
    ``AUDIT_RETENTION_DAYS``. ``report`` is called now and then with the number
    of events that are done.
    """
    sealed, position, head = 0, after, chain.BEGINNING
    missing = set(heads)
    broken = None
    try:
        start = _start(database, after)
        position, head = start.position, start.hash
        missing.discard(head)
        for link in _walk(database, start):
            position, head = link.position, link.hash
            missing.discard(head)
            sealed += 1
            if sealed % REPORT_EVERY == 0:
                report(sealed)
        _refuse_unexplained_pruning(
            database, settings.audit_retention if retention is None else retention
        )
        _refuse_missing_heads(missing)
        _refuse_unsealed(database)
    except Broken as found:
        broken = found
    return Verdict(sealed, position, head, _number_unsealed(database), broken)


def walk(database: Database) -> Iterator[Row[Any]]:
    """Verify the links of the chain, and return each. Raises ``Broken`` at the first wrong one."""
    return _walk(database, _start(database, 0))


def _start(database: Database, after: int) -> Start:
    """Return the place from which the rest must follow."""
    # The other columns of the event are not read here: in SQLite they may hold anything.
    beginning: Any = (
        select(AuditSeal.position, AuditSeal.event_id, AuditSeal.hash, AuditEvent.id)
        .select_from(AuditSeal)
        .outerjoin(AuditEvent, AuditEvent.id == AuditSeal.event_id)
        .where(AuditSeal.position >= after)
        .order_by(AuditSeal.position)
        .limit(1)
    )
    first = database.execute(beginning).one_or_none()
    if after:
        if first is None or first.position != after:
            raise Broken("seal_removed", f"There is no seal at position {after}.", after)
        return Start(after, first.hash, _time_of(database, first))
    if first is None or (first.position == 1 and first.id is not None):
        return Start(0, chain.BEGINNING, None)
    if not prunings.ended_at(database, first):
        return Start(0, chain.BEGINNING, None)
    if first.id is not None:
        sentence = "The event was inserted by hand, because the log was pruned beyond its place."
        raise links.broken_at("inserted", sentence, first)
    return Start(first.position, first.hash, prunings.last_deleted_at(database, first))


def _time_of(database: Database, seal: Row[Any]) -> datetime | None:
    """Return when the event of a seal happened, if it is there and can be read."""
    try:
        at: datetime | None = database.scalar(
            select(AuditEvent.at).where(AuditEvent.id == seal.event_id)
        )
    except (ValueError, TypeError):
        return None
    return at


def _walk(database: Database, start: Start) -> Iterator[Row[Any]]:
    position, head, newest = start
    is_erased = lru_cache(maxsize=links.NEIGHBOURHOOD)(
        lambda user_id: links.is_erased(database, user_id)
    )
    for link in _readable_links(database, position):
        links.refuse_wrong_place(database, link, position + 1, head)
        links.refuse_edited_event(database, link)
        links.refuse_edited_personal_part(link, is_erased)
        links.refuse_wrong_time(link, newest)
        position, head = link.position, link.hash
        newest = max(newest or link.at, link.at)
        yield link


def _readable_links(database: Database, after: int) -> Iterator[Row[Any]]:
    """Read the links, and name one that cannot be read: SQLite stores any text as a time."""
    position = after
    try:
        for link in reading.links(database, after):
            yield link
            position = link.position
    except (ValueError, TypeError):
        yield from _one_by_one(database, position)


def _one_by_one(database: Database, after: int) -> Iterator[Row[Any]]:
    keys = (
        select(AuditSeal.position, AuditSeal.event_id)
        .where(AuditSeal.position > after)
        .order_by(AuditSeal.position)
        .limit(reading.PAGE)
    )
    for position, event_id in database.execute(keys).all():
        try:
            link = database.execute(reading.LINKS.where(AuditSeal.position == position)).one()
        except (ValueError, TypeError):
            sentence = "The event was edited: it holds a value of the wrong type."
            raise Broken("edited", sentence, position, event_id) from None
        yield link


def _refuse_unexplained_pruning(database: Database, retention: timedelta) -> None:
    try:
        unexplained = prunings.first_unexplained(database, retention)
    except (ValueError, TypeError):
        sentence = "A pruning on record cannot be read: it was inserted by hand."
        raise Broken("pruning_unexplained", sentence) from None
    if unexplained:
        sentence = f"The retention does not explain a pruning on record: {unexplained.reason}."
        raise Broken("pruning_unexplained", sentence, event_id=unexplained.event_id)


def _refuse_missing_heads(missing: Collection[str]) -> None:
    for head in sorted(missing):
        sentence = (
            f"The chain never had the head {head}: the events before it were edited, removed, "
            "or pruned since."
        )
        raise Broken("head_missing", sentence)


def _refuse_unsealed(database: Database) -> None:
    """Refuse old events without a seal. Where later ones have a seal, it was inserted by hand."""
    oldest = database.execute(
        select(AuditEvent.id, AuditEvent.at)
        .where(~IS_SEALED, AuditEvent.at < clock.now() - UNSEALED_AT_MOST)
        .order_by(AuditEvent.id)
        .limit(1)
    ).one_or_none()
    if oldest is None:
        return
    if oldest.id < (database.scalar(select(func.max(AuditSeal.event_id))) or 0):
        sentence = "The event was inserted by hand: it has no seal, but later events have one."
        raise Broken("inserted", sentence, event_id=oldest.id)
    sentence = f"The event of {chain.instant(oldest.at)} is not sealed yet. Does a sealer run?"
    raise Broken("unsealed", sentence, event_id=oldest.id)


def _number_unsealed(database: Database) -> int:
    return database.scalar(select(func.count()).select_from(AuditEvent).where(~IS_SEALED)) or 0
