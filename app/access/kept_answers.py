"""Calls with an ``Idempotency-Key`` in the database: which request holds a key, and its answer.

A request holds its key in a transaction of its own. The change that it makes
sets ``is_carried_out`` in the transaction of the change, so that both are
there or neither. The answer follows in a third transaction. If the server dies
before the change, the same call may hold the key after ``LEASE``. If it dies
after the change, nobody may, and the answer is lost.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import and_, bindparam, event, or_, select

from app import clock
from app.database.prepared import Prepared
from app.database.rows import change, delete_batch, discard, insert
from app.database.types import UTCDateTime
from app.errors import AppError
from app.extensions import db
from app.models import IdempotencyKey
from app.security import key_ring
from app.security.key_ring import CannotOpen, Sealed

KEPT = timedelta(hours=24)
# Longer than any request takes. A request that takes even longer cannot commit any more.
LEASE = timedelta(minutes=2)


class IdempotencyKeyReused(AppError):
    status, code = 422, "idempotency_key_reused"
    detail = "This Idempotency-Key was sent with another body before. Use a new key."


class IdempotencyInFlight(AppError):
    status, code = 409, "idempotency_in_flight"
    detail = "The first call with this Idempotency-Key is not finished yet. Try again in a moment."

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": "1"}


class IdempotencyKeyUsed(AppError):
    status, code = 409, "idempotency_key_used"
    detail = "The call with this Idempotency-Key was carried out. Its answer is not shown again."


@dataclass(frozen=True)
class Hold:
    """A key that the present request holds."""

    key: str
    attempt: UUID


_NOW = bindparam("now", type_=UTCDateTime)
_KEY = IdempotencyKey.id == bindparam("key")
_OURS = and_(_KEY, IdempotencyKey.attempt == bindparam("attempt"))


@Prepared
def HOLD() -> Any:  # noqa: N802 — a statement
    row = IdempotencyKey
    fresh = {
        "body": bindparam("body"),
        "attempt": bindparam("attempt"),
        "held_until": bindparam("held_until", type_=UTCDateTime),
        "is_carried_out": False,
        "answer": None,
        "key_id": None,
        "expires_at": bindparam("expires_at", type_=UTCDateTime),
    }
    inserted = insert(row).values(id=bindparam("key"), **fresh)
    is_open = and_(
        row.is_carried_out.is_(False), row.held_until <= _NOW, row.body == inserted.excluded.body
    )
    return inserted.on_conflict_do_update(
        index_elements=[row.id],
        set_={name: inserted.excluded[name] for name in fresh},
        where=or_(row.expires_at <= _NOW, is_open),
    ).returning(row.attempt)


FIND = Prepared(select(IdempotencyKey).where(_KEY), IdempotencyKey)
MARK = Prepared(
    change(IdempotencyKey).where(_OURS).values(is_carried_out=True).returning(IdempotencyKey.id)
)
KEEP = Prepared(
    change(IdempotencyKey)
    .where(_OURS)
    .values(held_until=None, answer=bindparam("answer"), key_id=bindparam("key_id"))
    .returning(IdempotencyKey.id)
)
RELEASE = Prepared(discard(IdempotencyKey).where(_OURS).returning(IdempotencyKey.id))
LEAVE = Prepared(
    change(IdempotencyKey)
    .where(_OURS)
    .values(held_until=_NOW, is_carried_out=False)
    .returning(IdempotencyKey.id)
)
RELEASE_UNUSED = Prepared(
    discard(IdempotencyKey)
    .where(_OURS, IdempotencyKey.is_carried_out.is_(False))
    .returning(IdempotencyKey.id)
)


def hold(key: str, body: str) -> Hold | str:
    """Hold a key for a call with this body. Returns the first answer if there is one. Commits.

    Of many calls at once, the database lets one hold the key. Raises
    ``IdempotencyKeyReused``, ``IdempotencyInFlight`` or ``IdempotencyKeyUsed``.
    """
    now, attempt = clock.now(), uuid4()
    held = HOLD.run_alone(
        key=key,
        body=body,
        attempt=attempt,
        now=now,
        held_until=now + LEASE,
        expires_at=now + KEPT,
    )
    return Hold(key, attempt) if held else _answer_of_first(key, body)


def _answer_of_first(key: str, body: str) -> str:
    found = FIND.run_alone(key=key)
    if not found:
        # It was released just now.
        raise IdempotencyInFlight
    [first] = found
    if first.body != body:
        raise IdempotencyKeyReused
    if first.answer is not None and first.key_id is not None:
        try:
            return key_ring.unseal(Sealed(first.answer, first.key_id), row=_row(key))
        except CannotOpen:
            raise IdempotencyKeyUsed from None
    if first.held_until is None:
        raise IdempotencyKeyUsed
    is_lost = first.is_carried_out and first.held_until <= clock.now()
    raise IdempotencyKeyUsed if is_lost else IdempotencyInFlight


@contextmanager
def carrying_out(held: Hold) -> Iterator[None]:
    """Let each commit of ``db.session`` say that the call was carried out.

    Raises ``IdempotencyInFlight`` in place of a commit that comes too late,
    when another request holds the key.
    """

    def mark(_session: object) -> None:
        if not MARK.run(key=held.key, attempt=held.attempt):
            raise IdempotencyInFlight

    session = db.session()
    event.listen(session, "before_commit", mark)
    try:
        yield
    finally:
        event.remove(session, "before_commit", mark)


def keep(held: Hold, answer: str | None) -> None:
    """Store the answer, sealed, or only that there was one. Commits."""
    sealed = key_ring.seal(answer, row=_row(held.key)) if answer is not None else None
    KEEP.run_alone(
        key=held.key,
        attempt=held.attempt,
        answer=sealed.text if sealed else None,
        key_id=sealed.key_id if sealed else None,
    )


def release(held: Hold, *, also_if_carried_out: bool) -> None:
    """Let somebody else hold the key. Commits."""
    statement = RELEASE if also_if_carried_out else RELEASE_UNUSED
    statement.run_alone(key=held.key, attempt=held.attempt)


def leave(held: Hold) -> None:
    """Let only a call with the same body hold the key, as this one was refused. Commits."""
    LEAVE.run_alone(key=held.key, attempt=held.attempt, now=clock.now())


def prune(limit: int) -> int:
    """Remove up to ``limit`` keys that are older than 24 hours. Returns how many. Commits."""
    return delete_batch(
        IdempotencyKey,
        IdempotencyKey.expires_at <= clock.now(),
        oldest=IdempotencyKey.expires_at,
        limit=limit,
    )


def _row(key: str) -> str:
    return f"idempotency_keys:{key}"
