"""Slows down guesses at the password of one account, and stops them in the end.

One network may fail five times in a row at one account, by its address or its
username, without a delay. Then each attempt must wait twice as long as the one
before. After a hundred failures in a row, from all networks together, nobody can
try the password (NIST SP 800-63B-4 §3.2.2) until the owner sets a new one by
mail. So that strangers cannot lock the owner out, the owner's sessions still
work, and so do the networks that the owner logged in from. An identifier that
nobody has is treated in the same way, by the same statements.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from enum import StrEnum

from sqlalchemy import case, select

from app import audit, clock
from app.audit.vocabulary import Event
from app.auth.login import failure_counts
from app.auth.login.failure_counts import Place
from app.database.engines import reader
from app.database.rows import delete_batch
from app.errors import Overloaded, RateLimited
from app.extensions import db
from app.http import addresses, client
from app.models import LoginThrottle, Session, User
from app.models.login_throttle import ANYWHERE
from app.security import pseudonyms
from app.security.identifiers import Identifier
from config import settings


class Kind(StrEnum):
    """What is guessed. Each kind is counted by itself."""

    PASSWORD = "user"  # noqa: S105 — part of a pseudonym
    FACTOR = "factor"


@contextmanager
def attempt(who: User | Identifier, kind: Kind = Kind.PASSWORD) -> Iterator[None]:
    """Count an attempt as failed, then check its password. Commits. Raises ``RateLimited``.

    It counts first, because otherwise parallel guesses could all pass before
    one of them has failed. ``forgive`` takes the count back for the right
    password. It is also taken back if the hash was not computed at all, unless
    the database fails then. The connection is in the pool while the password is checked.
    """
    if not settings.ratelimit_enabled:
        db.session.close()
        yield
        return
    user_id = who.id if isinstance(who, User) else None
    place = Place(_account(who, kind), client.current().network)
    db.session.close()
    try:
        _reserve(place, user_id)
    except RateLimited as refusal:
        db.session.close()
        audit.note(
            Event.LOGIN_THROTTLED,
            subject_id=user_id,
            kind="account",
            retry_after=refusal.retry_after,
        )
        raise
    db.session.close()
    try:
        yield
    except Overloaded:
        failure_counts.give_back(place, place.network, ANYWHERE)
        raise


def forgive(user: User) -> None:
    """After the right password, forget the failures of this network and of the account. Commits."""
    if not settings.ratelimit_enabled:
        return
    # Both are locked in the same order as in an attempt.
    for network in (client.current().network, ANYWHERE):
        failure_counts.forget(Place(_account(user), network))


def forgive_factor(user: User) -> None:
    """After the right second factor, forget its failures here and of the account.

    The caller commits.
    """
    mine = LoginThrottle.subject == _account(user, Kind.FACTOR)
    failure_counts.delete(mine, LoginThrottle.network == client.current().network)
    failure_counts.delete(mine, LoginThrottle.network == ANYWHERE)


def clear(user: User, *kinds: Kind) -> None:
    """Forget all failures of these kinds from all networks. The caller commits.

    For a user who has set a new password by mail, whose factors were reset, or
    who is erased. A new password does not forgive wrong factors: against
    somebody who reads the owner's mail, the factors are all that is left.
    """
    for kind in kinds:
        # ANYWHERE comes last. Otherwise two transactions could wait for each other's rows.
        mine = LoginThrottle.subject == _account(user, kind)
        failure_counts.delete(mine, LoginThrottle.network != ANYWHERE)
        failure_counts.delete(mine, LoginThrottle.network == ANYWHERE)


def prune(limit: int) -> int:
    """Delete up to ``limit`` counts that have no effect any more. Commits.

    A suspended account is remembered for a year: forgetting it sooner would
    be the time-based reset that NIST rules out.
    """
    now = clock.now()
    idle = LoginThrottle.last_failure_at
    is_suspended = LoginThrottle.failures >= failure_counts.MOST_FAILURES
    is_old = case(
        (is_suspended, idle < now - timedelta(days=365)),
        (LoginThrottle.network == ANYWHERE, idle < now - timedelta(days=30)),
        else_=idle < now - failure_counts.FORGOTTEN_AFTER,
    )
    forgotten = idle < now - failure_counts.FORGOTTEN_AFTER
    return delete_batch(LoginThrottle, forgotten, is_old, oldest=idle, limit=limit)


def _reserve(place: Place, user_id: int | None) -> None:
    now = clock.now()
    if not failure_counts.count_here(place, now):
        raise RateLimited(failure_counts.wait_for(place, now).total_seconds())
    if failure_counts.count_anywhere(place, now, up_to=failure_counts.MOST_FAILURES):
        return
    if not _has_logged_in_from(place.network, user_id):
        # The password is not checked, so the attempt is not counted either.
        failure_counts.give_back(place, place.network)
        raise RateLimited(failure_counts.SUSPENDED_RETRY.total_seconds())
    failure_counts.count_anywhere(place, now)


def _has_logged_in_from(network_of_attempt: str, user_id: int | None) -> bool:
    """Whether the account has logged in from this network before. Its owner may still log in."""
    # No user has the id 0. An identifier that nobody has gets the same statement.
    seen = select(Session.ip).where(Session.user_id == (user_id or 0)).distinct()
    # This connection is back in the pool before the next statement needs one. A request that holds
    # one connection while it waits for a second one could wait for itself.
    with reader().connect() as connection:
        found = connection.scalars(seen).all()
    return any(
        address is not None and addresses.network(address) == network_of_attempt
        for address in found
    )


def _account(who: User | Identifier, kind: Kind = Kind.PASSWORD) -> str:
    """The pseudonym under which to count. An identifier that nobody has gets its own."""
    if isinstance(who, User):
        return pseudonyms.of(kind, str(who.id))
    return pseudonyms.of(who.kind, who.value)
