"""Which accounts cannot log in now, because of failed logins."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, or_, select

from app import clock
from app.audit import vocabulary
from app.auth.login import failure_counts
from app.auth.login.throttle import Kind
from app.extensions import db
from app.models import AuditEvent, LoginThrottle, User
from app.models.login_throttle import ANYWHERE
from app.security import pseudonyms

PAGE = 10_000
# Making the pseudonyms of so many accounts takes a few hundredths of a second.
FEW = 5_000


@dataclass(frozen=True)
class Throttled:
    """An account that must wait from one network, or that is suspended from all."""

    user_id: int
    kind: Kind
    network: str
    failures: int
    until: datetime | None

    @property
    def is_suspended(self) -> bool:
        return self.network == ANYWHERE


@dataclass(frozen=True)
class Glance:
    """The accounts that were found quickly, and how many counts belong to others.

    Those are of accounts that failed longer ago, or of names that nobody has.
    """

    accounts: list[Throttled]
    others: int


def throttled() -> list[Throttled]:
    """The accounts that are suspended or must wait, by their ids.

    The rows hold pseudonyms, so this makes the pseudonym of every account:
    that takes some seconds for a million.
    """
    rows = _rows()
    return _of_these(_ids() if rows else (), rows)


def glance() -> Glance:
    """The same accounts, looked for only among those that failed in the last day.

    Where there are few accounts, it looks among all of them.
    """
    rows = _rows()
    if not rows:
        return Glance([], 0)
    ids = db.session.scalars(select(User.id).order_by(User.id).limit(FEW + 1)).all()
    if len(ids) > FEW:
        failed = (
            select(AuditEvent.subject_id)
            .where(AuditEvent.at > clock.now() - failure_counts.FORGOTTEN_AFTER)
            .where(AuditEvent.event.in_(vocabulary.alarming_names()))
            .where(AuditEvent.subject_id.is_not(None))
        )
        ids = [one for one in db.session.scalars(failed.distinct().limit(FEW)) if one]
    found = _of_these(sorted(ids), rows)
    return Glance(found, sum(map(len, rows.values())) - len(found))


def of(user: User) -> list[Throttled]:
    """The same for one account. It reads an index."""
    kinds = {pseudonyms.of(kind, str(user.id)): kind for kind in Kind}
    mine = select(LoginThrottle).where(LoginThrottle.subject.in_(kinds), _stops_somebody())
    rows = db.session.scalars(mine.order_by(LoginThrottle.network))
    return [_as_throttled(user.id, kinds[row.subject], row) for row in rows]


def has_failures(user: User, *kinds: Kind) -> bool:
    """Whether failed logins of these kinds are remembered for the account, from any network."""
    mine = [pseudonyms.of(kind, str(user.id)) for kind in kinds]
    return bool(db.session.scalar(exists().where(LoginThrottle.subject.in_(mine)).select()))


def _rows() -> dict[str, list[LoginThrottle]]:
    """The counts that stop somebody now, by their pseudonyms."""
    rows: dict[str, list[LoginThrottle]] = {}
    for row in db.session.scalars(select(LoginThrottle).where(_stops_somebody())):
        rows.setdefault(row.subject, []).append(row)
    return rows


def _of_these(ids: Iterable[int], rows: dict[str, list[LoginThrottle]]) -> list[Throttled]:
    return [
        _as_throttled(user_id, kind, row)
        for user_id in ids
        for kind in Kind
        for row in rows.get(pseudonyms.of(kind, str(user_id)), ())
    ]


def _stops_somebody() -> ColumnElement[bool]:
    waits = and_(LoginThrottle.network != ANYWHERE, LoginThrottle.blocked_until > clock.now())
    is_suspended = and_(
        LoginThrottle.network == ANYWHERE,
        LoginThrottle.failures >= failure_counts.MOST_FAILURES,
    )
    return or_(waits, is_suspended)


def _as_throttled(user_id: int, kind: Kind, row: LoginThrottle) -> Throttled:
    return Throttled(user_id, kind, row.network, row.failures, row.blocked_until)


def _ids() -> Iterator[int]:
    last = 0
    following = select(User.id).order_by(User.id).limit(PAGE)
    while ids := db.session.scalars(following.where(User.id > last)).all():
        yield from ids
        last = ids[-1]
