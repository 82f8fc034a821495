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
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count, takewhile
from typing import Any

from sqlalchemy import ColumnElement, Integer, and_, bindparam, case, null, or_, select

from app import audit, clock
from app.audit.vocabulary import Event
from app.database.engines import reader
from app.database.prepared import Prepared
from app.database.rows import change, delete_batch, discard, insert
from app.database.types import UTCDateTime
from app.errors import Overloaded, RateLimited
from app.extensions import db
from app.http import addresses, client
from app.models import LoginThrottle, Session, User
from app.models.login_throttle import ANYWHERE
from app.security import pseudonyms
from app.security.identifiers import Identifier
from config import settings

# A user who mistypes finds the right password within this number. The last one begins the delay.
FREE_FAILURES = 5
# The shortest and the longest wait before the next attempt. The longest one allows 24 guesses a
# day, and no list of passwords gets far with that.
FIRST_DELAY = timedelta(seconds=30)
LONGEST_DELAY = timedelta(hours=1)
DELAYS = [
    *takewhile(lambda delay: delay < LONGEST_DELAY, (FIRST_DELAY * 2**n for n in count())),
    LONGEST_DELAY,
]
# Failures from one network are forgotten after a day without another one, unless there are a
# hundred. The failures from all networks together are kept longer; see ``prune``.
FORGOTTEN_AFTER = timedelta(hours=24)
# NIST allows this number of failures in a row.
MOST_FAILURES = 100
# The counter stops here.
MOST_COUNTED = 1_000_000
# The Retry-After for a suspended account. Its owner can end the suspension at any time, by mail.
SUSPENDED_RETRY = timedelta(hours=1)


@dataclass(frozen=True)
class Place:
    """The account and the network for which an attempt is counted."""

    account: str
    network: str


@contextmanager
def attempt(who: User | Identifier) -> Iterator[None]:
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
    place = Place(_account(who), client.current().network)
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
        _give_back(place, place.network, ANYWHERE)
        raise


def forgive(user: User) -> None:
    """After the right password, forget the failures of this network and of the account. Commits."""
    if not settings.ratelimit_enabled:
        return
    # Both are locked in the same order as in an attempt.
    for place in (client.current().network, ANYWHERE):
        FORGET.run_alone(account=_account(user), place=place)


def clear(user: User) -> None:
    """Forget all failures from all networks. The caller commits.

    For a user who has set a new password by mail, or who is erased.
    """
    # ANYWHERE comes last. Otherwise two transactions could wait for each other's rows.
    mine = LoginThrottle.subject == _account(user)
    _delete(mine, LoginThrottle.network != ANYWHERE)
    _delete(mine, LoginThrottle.network == ANYWHERE)


def prune(limit: int) -> int:
    """Delete up to ``limit`` counts that have no effect any more. Commits.

    A suspended account is remembered for a year: forgetting it sooner would
    be the time-based reset that NIST rules out.
    """
    now = clock.now()
    idle = LoginThrottle.last_failure_at
    is_suspended = LoginThrottle.failures >= MOST_FAILURES
    is_old = case(
        (is_suspended, idle < now - timedelta(days=365)),
        (LoginThrottle.network == ANYWHERE, idle < now - timedelta(days=30)),
        else_=idle < now - FORGOTTEN_AFTER,
    )
    forgotten = idle < now - FORGOTTEN_AFTER
    return delete_batch(LoginThrottle, forgotten, is_old, oldest=idle, limit=limit)


def _reserve(place: Place, user_id: int | None) -> None:
    now = clock.now()
    if not _count_here(place, now):
        raise RateLimited(_wait(place, now).total_seconds())
    if _count_anywhere(place, now, up_to=MOST_FAILURES):
        return
    if not _has_logged_in_from(place.network, user_id):
        # The password is not checked, so the attempt is not counted either.
        _give_back(place, place.network)
        raise RateLimited(SUSPENDED_RETRY.total_seconds())
    _count_anywhere(place, now)


def _count_here(place: Place, now: datetime) -> bool:
    """Count one more failure at the account from the network, unless it must wait.

    Checking and counting are one statement, so that of many attempts at once
    only the allowed number pass. It is also a separate transaction: otherwise
    attempts that must wait would queue for its lock until the end of the request.
    """
    ends = {f"end_{number}": now + delay for number, delay in enumerate(DELAYS)}
    forgotten = now - FORGOTTEN_AFTER
    where = {"account": place.account, "place": place.network}
    return bool(ONE_MORE_HERE.run_alone(**where, now=now, forgotten=forgotten, **ends))


def _count_anywhere(place: Place, now: datetime, *, up_to: int = MOST_COUNTED) -> bool:
    """Count one more failure at the account, unless there are ``up_to`` already."""
    where = {"account": place.account, "place": ANYWHERE}
    return bool(ONE_MORE_ANYWHERE.run_alone(**where, now=now, up_to=up_to))


# Each is compiled once, because every login runs both.


@Prepared
def ONE_MORE_HERE() -> Any:  # noqa: N802 — a statement
    row = LoginThrottle
    is_forgotten = row.last_failure_at <= _instant("forgotten")
    failures = case((is_forgotten, 1), else_=row.failures + 1)
    return _one_more(
        {
            "failures": failures,
            "blocked_until": _blocked_until(failures),
            "last_failure_at": _instant("now"),
        },
        and_(
            or_(row.blocked_until.is_(None), row.blocked_until <= _instant("now")),
            row.failures < MOST_FAILURES,
        ),
    )


@Prepared
def ONE_MORE_ANYWHERE() -> Any:  # noqa: N802
    row = LoginThrottle
    return _one_more(
        {"failures": row.failures + 1, "last_failure_at": _instant("now")},
        row.failures < bindparam("up_to", type_=Integer),
    )


def _one_more(change: dict[str, Any], unless_not: ColumnElement[bool]) -> Any:
    row = LoginThrottle
    values = {
        "subject": bindparam("account"),
        "network": bindparam("place"),
        "failures": 1,
        "last_failure_at": _instant("now"),
    }
    return (
        insert(row)
        .values(values)
        .on_conflict_do_update(
            index_elements=[row.subject, row.network], set_=change, where=unless_not
        )
        .returning(row.failures)
    )


def _blocked_until(failures: ColumnElement[int]) -> ColumnElement[datetime | None]:
    """The end of the delay after this number of failures. Each further failure doubles it."""
    *delays, longest = [_instant(f"end_{number}") for number in range(len(DELAYS))]
    ends = [(failures == FREE_FAILURES + number, end) for number, end in enumerate(delays)]
    return case((failures < FREE_FAILURES, null()), *ends, else_=longest)


def _instant(name: str) -> Any:
    return bindparam(name, type_=UTCDateTime)


def _wait(place: Place, now: datetime) -> timedelta:
    """How long a client whose attempt was refused should wait."""
    row = db.session.execute(
        select(LoginThrottle.failures, LoginThrottle.blocked_until).where(
            LoginThrottle.subject == place.account, LoginThrottle.network == place.network
        )
    ).one_or_none()
    if row is not None and row.failures >= MOST_FAILURES:
        return SUSPENDED_RETRY
    return row.blocked_until - now if row is not None and row.blocked_until else timedelta(0)


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


def _give_back(place: Place, *networks: str) -> None:
    """Take back the count of an attempt, except the time of the last failure. Commits."""
    row = LoginThrottle
    for counted in networks:
        here = and_(row.subject == place.account, row.network == counted)
        _delete(here, row.failures <= 1)
        db.session.execute(
            change(LoginThrottle).where(here).values(failures=row.failures - 1, blocked_until=None)
        )
    db.session.commit()


FORGET = Prepared(
    discard(LoginThrottle)
    .where(LoginThrottle.subject == bindparam("account"))
    .where(LoginThrottle.network == bindparam("place"))
    .returning(LoginThrottle.network)
)


def _delete(*which: ColumnElement[bool]) -> None:
    db.session.execute(discard(LoginThrottle).where(*which))


def _account(who: User | Identifier) -> str:
    """The pseudonym under which to count. An identifier that nobody has gets its own."""
    if isinstance(who, User):
        return pseudonyms.of("user", str(who.id))
    return pseudonyms.of(who.kind, who.value)
