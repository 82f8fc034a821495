"""Tickets: a first proof was right, and a second one is due."""

import hashlib
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.exc import IntegrityError

from app import clock
from app.access.proof import Proof
from app.auth.login.authentication import record_failure
from app.auth.mfa.errors import MfaTicketInvalid
from app.auth.mfa.models import MfaTicket
from app.database.rows import change, delete_batch, discard, lock
from app.errors import InvalidCredentials
from app.extensions import db
from app.models import User
from app.security import random_tokens

LIFETIME = timedelta(minutes=5)
TRIES = 5
# Wrong codes are counted for this long, so that somebody who tries slowly is noticed too.
COUNTED_FOR = timedelta(hours=24)


def issue(user: User, proof: Proof) -> str:
    """Make a ticket for a user who gave a first proof, and return its token. Commits.

    Raises ``InvalidCredentials`` if the account was erased since the proof was given.
    """
    token = random_tokens.make()
    now = clock.now()
    db.session.add(
        MfaTicket(
            user_id=user.id,
            token_hash=random_tokens.digest(token),
            amr=" ".join(proof.amr),
            signed_in_by=proof.signed_in_by,
            account_mark=_mark(user),
            tries_left=TRIES,
            created_at=now,
            expires_at=now + LIFETIME,
        )
    )
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        record_failure(None, "account_changed")
        raise InvalidCredentials from None
    return token


def spend_try(token: str) -> MfaTicket:
    """Count a try before anybody looks at the proof. Commits. Raises ``MfaTicketInvalid``.

    It counts first, because otherwise many parallel guesses could all pass
    before one of them has failed.
    """
    count = (
        change(MfaTicket)
        .where(_works(token))
        .values(tries_left=MfaTicket.tries_left - 1)
        .returning(MfaTicket)
    )
    ticket = db.session.scalar(count)
    db.session.commit()
    if ticket is None:
        raise MfaTicketInvalid
    return ticket


def find(token: str) -> MfaTicket:
    """The ticket, without counting a try. Raises ``MfaTicketInvalid``."""
    ticket = db.session.scalar(select(MfaTicket).where(_works(token)))
    if ticket is None:
        raise MfaTicketInvalid
    return ticket


def lock_owner(ticket: MfaTicket, user_id: int) -> User:
    """Lock the ticket's user until the caller commits, and read the user again.

    Raises ``MfaTicketInvalid`` if the account has changed since the ticket was
    issued, or if it is not the ticket of this user.
    """
    user = lock(User, User.id == ticket.user_id, User.id == user_id, User.is_active)
    if user is None or _mark(user) != ticket.account_mark:
        db.session.rollback()
        raise MfaTicketInvalid
    return user


def redeem(ticket: MfaTicket) -> None:
    """Use the ticket up. The caller commits.

    Raises ``MfaTicketInvalid`` if another request has used it up meanwhile.
    """
    use = (
        change(MfaTicket)
        .where(MfaTicket.token_hash == ticket.token_hash, MfaTicket.used_at.is_(None))
        .values(used_at=clock.now())
        .returning(MfaTicket.id)
    )
    if db.session.scalar(use) is None:
        db.session.rollback()
        raise MfaTicketInvalid


class Tries(NamedTuple):
    """How many proofs were tried in vain after a right password, and since when."""

    number: int
    since: datetime


def tries_in_vain(user_id: int) -> Tries:
    """The tries with the user's tickets of the last day that did not succeed."""
    spent = select(func.sum(TRIES - MfaTicket.tries_left), func.min(MfaTicket.created_at))
    mine = spent.where(MfaTicket.user_id == user_id, MfaTicket.used_at.is_(None))
    recent = mine.where(MfaTicket.created_at > clock.now() - COUNTED_FOR)
    number, since = db.session.execute(recent).one()
    return Tries(int(number or 0), since or clock.now())


def end_all(user_id: int) -> None:
    """End the tickets of a user. The caller commits."""
    db.session.execute(discard(MfaTicket).where(MfaTicket.user_id == user_id))


def prune(limit: int) -> int:
    """Delete up to ``limit`` tickets whose wrong tries do not count any more. Commits."""
    end = MfaTicket.expires_at
    return delete_batch(MfaTicket, end < clock.now() - COUNTED_FOR, oldest=end, limit=limit)


def _works(token: str) -> ColumnElement[bool]:
    """Which ticket this token stands for, while it may be tried."""
    return and_(
        MfaTicket.token_hash == random_tokens.digest(token),
        MfaTicket.tries_left > 0,
        MfaTicket.used_at.is_(None),
        MfaTicket.expires_at > clock.now(),
    )


def _mark(user: User) -> str:
    """A digest of what must stay as it is while the ticket lives."""
    state = (user.hashed_password, user.email, user.is_active, user.second_step_at)
    return hashlib.sha256(repr(state).encode()).hexdigest()
