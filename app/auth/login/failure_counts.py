"""The counts of failed attempts at one account: the numbers that decide, and the statements."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count, takewhile
from typing import Any

from sqlalchemy import ColumnElement, Integer, and_, bindparam, case, null, or_, select

from app.database.prepared import Prepared
from app.database.rows import change, discard, insert
from app.database.types import UTCDateTime
from app.extensions import db
from app.models import LoginThrottle
from app.models.login_throttle import ANYWHERE

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
# hundred. The failures from all networks together are kept longer; see ``throttle.prune``.
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


def count_here(place: Place, now: datetime) -> bool:
    """Count one more failure at the account from the network, unless it must wait.

    Checking and counting are one statement, so that of many attempts at once
    only the allowed number pass. It is also a separate transaction: otherwise
    attempts that must wait would queue for its lock until the end of the request.
    """
    ends = {f"end_{number}": now + delay for number, delay in enumerate(DELAYS)}
    forgotten = now - FORGOTTEN_AFTER
    where = {"account": place.account, "place": place.network}
    return bool(ONE_MORE_HERE.run_alone(**where, now=now, forgotten=forgotten, **ends))


def count_anywhere(place: Place, now: datetime, *, up_to: int = MOST_COUNTED) -> bool:
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


def wait_for(place: Place, now: datetime) -> timedelta:
    """How long a client whose attempt was refused should wait."""
    row = db.session.execute(
        select(LoginThrottle.failures, LoginThrottle.blocked_until).where(
            LoginThrottle.subject == place.account, LoginThrottle.network == place.network
        )
    ).one_or_none()
    if row is not None and row.failures >= MOST_FAILURES:
        return SUSPENDED_RETRY
    return row.blocked_until - now if row is not None and row.blocked_until else timedelta(0)


def forget(place: Place) -> None:
    """Forget the failures at the account from the network. Commits."""
    FORGET.run_alone(account=place.account, place=place.network)


FORGET = Prepared(
    discard(LoginThrottle)
    .where(LoginThrottle.subject == bindparam("account"))
    .where(LoginThrottle.network == bindparam("place"))
    .returning(LoginThrottle.network)
)


def give_back(place: Place, *networks: str) -> None:
    """Take back the count of an attempt, except the time of the last failure. Commits."""
    row = LoginThrottle
    for counted in networks:
        here = and_(row.subject == place.account, row.network == counted)
        delete(here, row.failures <= 1)
        db.session.execute(
            change(LoginThrottle).where(here).values(failures=row.failures - 1, blocked_until=None)
        )
    db.session.commit()


def delete(*which: ColumnElement[bool]) -> None:
    db.session.execute(discard(LoginThrottle).where(*which))
