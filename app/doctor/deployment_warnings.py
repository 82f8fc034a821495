"""Warnings about a wrong deployment, which the server notices while it answers requests.

Each process writes a warning to the log, and to the database for ``flask
doctor``, at most once an hour. So it costs little, and nobody can flood either.
"""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from flask import Flask, current_app
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from app import clock
from app.access.limits import limit_refused
from app.database.rows import insert
from app.doctor.checks import checks
from app.extensions import db
from app.features.checks import Reason, Weight
from app.http.forwarding import forwarding_ignored
from app.models import DeploymentWarning, Session
from config import Settings

log = logging.getLogger(__name__)


def init_app(app: Flask) -> None:
    """Listen to the signals that tell of a wrong deployment."""
    forwarding_ignored.connect(_note_forwarding, app)
    limit_refused.connect(_look_for_only_address, app)


ONCE_IN = timedelta(hours=1)
# A family that shares an address has fewer logins, or fewer people.
LOGINS, PEOPLE = 50, 5


class Kind(StrEnum):
    """The kinds of warnings, and what each means."""

    UNTRUSTED_FORWARDING = "untrusted_forwarding"
    UNREAD_FORWARDING = "unread_forwarding"
    ONE_ADDRESS = "one_address"

    @property
    def meaning(self) -> str:
        match self:
            case Kind.UNTRUSTED_FORWARDING:
                return (
                    "A peer that is not in TRUSTED_PROXIES sends forwarding headers, which are "
                    "ignored. If it is your proxy, add its address (or `unix`)."
                )
            case Kind.UNREAD_FORWARDING:
                return (
                    "A proxy in TRUSTED_PROXIES sends no readable address in X-Forwarded-For, the "
                    "only forwarding header that is read. All clients behind it share one rate "
                    "limit. Configure the proxy to send X-Forwarded-For."
                )
            case Kind.ONE_ADDRESS:
                return (
                    "All recent logins come from one address, so all clients share one rate "
                    "limit. If it is your proxy, add its address (or `unix`) to TRUSTED_PROXIES."
                )


def stored_warnings() -> Sequence[DeploymentWarning]:
    """All warnings that were stored, with the time when each was last seen."""
    return db.session.scalars(select(DeploymentWarning).order_by(DeploymentWarning.kind)).all()


def only_address() -> str | None:
    """The address of all recent logins; ``None`` if they come from several, or are few."""
    # Of the columns that order logins, this one has an index.
    recent = (
        select(Session.ip, Session.user_id)
        .order_by(Session.max_expires_at.desc())
        .limit(LOGINS)
        .subquery()
    )
    found = db.session.execute(
        select(
            func.min(recent.c.ip),
            # All logins without an address count as one address.
            func.count(func.coalesce(recent.c.ip, "").distinct()),
            func.count(recent.c.user_id.distinct()),
            func.count(),
        )
    ).one()
    address, addresses, people, logins = found
    if logins < LOGINS or addresses > 1 or people < PEOPLE:
        return None
    # A UNIX socket has no address.
    return address or "a UNIX socket"


def _note_forwarding(app: Flask, *, from_proxy: bool, detail: str) -> None:
    kind = Kind.UNREAD_FORWARDING if from_proxy else Kind.UNTRUSTED_FORWARDING
    if is_news(app, kind):
        with app.app_context():
            warn(kind, detail)


def _look_for_only_address(_app: Flask) -> None:
    # If all clients seem to have one address, they share a limit, and it refuses them early.
    look_for_only_address()


def look_for_only_address() -> None:
    """Record it if everybody seems to have one address. Commits."""
    if not is_news(current_app, Kind.ONE_ADDRESS):
        return
    try:
        address = only_address()
    except SQLAlchemyError:
        return
    finally:
        db.session.rollback()
    if address is not None:
        warn(Kind.ONE_ADDRESS, address)


def is_news(app: Flask, kind: Kind) -> bool:
    """Whether this process has not warned of it for an hour. The call counts as a warning."""
    warned: dict[Kind, datetime] = app.extensions.setdefault("deployment_warnings", {})
    now = clock.now()
    if kind in warned and now < warned[kind] + ONCE_IN:
        return False
    warned[kind] = now
    return True


def warn(kind: Kind, detail: str) -> None:
    """Log the warning, and store it for the doctor. Commits. It works without the database too."""
    log.warning("%s", kind.meaning, extra={"deployment_warning": kind.value, "detail": detail})
    row = {"detail": detail[:200], "seen_at": clock.now()}
    seen = insert(DeploymentWarning).values(kind=kind.value, **row)
    try:
        db.session.execute(seen.on_conflict_do_update(index_elements=["kind"], set_=row))
        db.session.commit()
    except SQLAlchemyError as error:
        db.session.rollback()
        log.warning("the deployment warning could not be stored", exc_info=error)


@checks(Weight.WEAK, "See TRUSTED_PROXIES in docs/deploying.md.")
def nothing_odd_was_seen(_settings: Settings) -> str | None:
    told = [
        f"{Kind(seen.kind).meaning} (Last: {seen.detail}, {seen.seen_at:%Y-%m-%d}.)"
        for seen in stored_warnings()
    ]
    return " ".join(told) or None


@checks(Weight.WEAK, "Name the proxy in TRUSTED_PROXIES.")
def logins_come_from_several_addresses(_settings: Settings) -> str | None:
    address = only_address()
    return Reason("All recent logins come from %(address)s.", address=address) if address else None
