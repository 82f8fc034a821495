"""How often something happened in each of the last 24 hours, counted from the database.

No statement reads a whole table. Events and mails are found by an index, and of
many sessions only some are read.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import FromClause, case, func, select, tablesample, text

from app import clock
from app.audit.vocabulary import Event
from app.database.hours import hour_of, name_of
from app.database.statement_limit import in_time
from app.extensions import db
from app.models import AuditEvent, OutboxMessage, Session

HOURS = 24
# After this time a chart is left out. The page is for a glance.
LONGEST_SECONDS = 1.0
# Above this number of rows, PostgreSQL reads only about so many of the sessions, picked at random.
MOST_SESSIONS_READ = 100_000

# How a login may have ended. A reason that is missing here counts as refused.
OUTCOMES = {
    "wrong_password": "wrong",
    "wrong_passkey": "wrong",
    "unknown_user": "unknown",
}


@dataclass(frozen=True)
class Series:
    """A name, and a number for each hour, the oldest first."""

    name: str
    numbers: tuple[int, ...]

    @property
    def total(self) -> int:
        return sum(self.numbers)


@dataclass(frozen=True)
class Day:
    """The beginnings of the hours, and what was counted.

    A list is ``None`` if counting took too long. ``is_estimated`` says whether
    the sessions were counted from a part of them.
    """

    hours: tuple[datetime, ...]
    registrations: list[Series] | None
    logins: list[Series] | None
    sessions: list[Series] | None
    mails: list[Series] | None
    is_estimated: bool


def read() -> Day:
    """Count now. The last hour has only just begun."""
    this_hour = clock.now().replace(minute=0, second=0, microsecond=0)
    hours = tuple(this_hour - timedelta(hours=back) for back in reversed(range(HOURS)))
    events = in_time(LONGEST_SECONDS, lambda: _events(hours[0]))
    sessions = in_time(LONGEST_SECONDS, lambda: _sessions(hours))
    mails = in_time(LONGEST_SECONDS, lambda: _mails(hours[0]))
    return Day(
        hours,
        _series(hours, events, ("registered", "made")),
        _series(hours, events, ("succeeded", "wrong", "unknown", "refused")),
        [Series("alive", tuple(sessions[0]))] if sessions else None,
        _series(hours, mails, ("delivered", "waiting", "set_aside")),
        is_estimated=bool(sessions and sessions[1]),
    )


def _series(
    hours: Sequence[datetime], counted: Counter[tuple[str, str]] | None, names: Iterable[str]
) -> list[Series] | None:
    if counted is None:
        return None
    return [Series(name, tuple(counted[name_of(hour), name] for hour in hours)) for name in names]


def _events(since: datetime) -> Counter[tuple[str, str]]:
    kinds: dict[str, str] = {
        Event.USER_REGISTERED: "registered",
        Event.USER_CREATED: "made",
        Event.LOGIN_SUCCEEDED: "succeeded",
        Event.LOGIN_FAILED: "refused",
        # Of an optional feature.
        "factor_failed": "wrong",
    }
    of_day = (
        select(
            hour_of(AuditEvent.at).label("hour"),
            AuditEvent.event,
            AuditEvent.details["reason"].as_string().label("reason"),
        )
        .where(AuditEvent.at >= since, AuditEvent.event.in_(kinds))
        .subquery()
    )
    groups = (of_day.c.hour, of_day.c.event, of_day.c.reason)
    counted: Counter[tuple[str, str]] = Counter()
    for hour, event, reason, number in _grouped(groups):
        counted[hour, OUTCOMES.get(reason, kinds[event])] += number
    return counted


def _mails(since: datetime) -> Counter[tuple[str, str]]:
    state = case(
        (OutboxMessage.delivered_at.is_not(None), "delivered"),
        (OutboxMessage.set_aside_at.is_not(None), "set_aside"),
        else_="waiting",
    )
    of_day = (
        select(hour_of(OutboxMessage.created_at).label("hour"), state.label("state"))
        .where(OutboxMessage.created_at >= since)
        .subquery()
    )
    rows = _grouped((of_day.c.hour, of_day.c.state))
    return Counter({(hour, state): number for hour, state, number in rows})


def _sessions(hours: Sequence[datetime]) -> tuple[list[int], bool]:
    """How many were alive at the end of each hour, and whether that is an estimate."""
    some, share = _some_sessions()
    end = case((some.c.ended_at < some.c.expires_at, some.c.ended_at), else_=some.c.expires_at)
    begun = case((some.c.created_at >= hours[0], hour_of(some.c.created_at)), else_="")
    over = case((end <= clock.now(), hour_of(end)), else_="never")
    lately = select(begun.label("begun"), over.label("over")).where(end >= hours[0]).subquery()
    alive = [0] * len(hours)
    for first, last, number in _grouped((lately.c.begun, lately.c.over)):
        for index, hour in enumerate(map(name_of, hours)):
            # As text, "never" comes after each hour, and "" before.
            if first <= hour < last:
                alive[index] += number
    return [_rounded(number / share, share) for number in alive], share < 1


def _some_sessions() -> tuple[FromClause, float]:
    """The sessions, or on PostgreSQL some of very many, and how large a share that is."""
    sessions = Session.__table__
    if db.engine.dialect.name == "sqlite":
        return sessions, 1
    known = "SELECT reltuples FROM pg_class WHERE oid = 'sessions'::regclass"
    number = db.session.scalar(text(known)) or 0
    if number <= MOST_SESSIONS_READ:
        return sessions, 1
    share = MOST_SESSIONS_READ / number
    return tablesample(sessions, func.system(100 * share), name="some_sessions"), share


def _rounded(number: float, share: float) -> int:
    """Three digits of an estimate. The others say nothing."""
    return round(number) if share == 1 else int(float(f"{number:.3g}"))


def _grouped(columns: tuple[Any, ...]) -> Sequence[Any]:
    return db.session.execute(select(*columns, func.count()).group_by(*columns)).all()
