"""Is it alive, is it ready, and how does it fare?"""

import logging
import secrets
from time import perf_counter
from typing import Any

from flask import Flask, Response, g, request
from marshmallow import fields
from sqlalchemy import event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from app import clock, fitness, limits, metrics, migration_state
from app.blueprint import Blueprint, refuses
from app.database import replica
from app.errors import InvalidToken, NotAuthenticated, NotFound, Unavailable
from app.extensions import db
from app.fields import Schema
from app.mail import outbox
from app.security import access, signing_keys
from config import settings

# A new key is to be everywhere for longer than this before it signs; docs/keys.md says so.
JWKS_MAX_AGE_SECONDS = 300

log = logging.getLogger(__name__)

bp = Blueprint("ops", __name__, description="For load balancers and operators.")


class JwkSetSchema(Schema):
    """RFC 7517 §5."""

    keys = fields.List(fields.Dict(), required=True)


class HealthSchema(Schema):
    status = fields.String(required=True, metadata={"enum": ["ok"]})


class ReadinessSchema(Schema):
    checks = fields.Dict(
        required=True,
        keys=fields.String(),
        values=fields.String(metadata={"enum": ["ok", "away"]}),
    )


@bp.get("/healthz")
@bp.returns(200, HealthSchema)
def healthz() -> dict[str, str]:
    """Whether the process lives."""
    return {"status": "ok"}


@bp.get("/readyz")
@refuses(Unavailable)
@bp.returns(200, ReadinessSchema)
def readyz() -> dict[str, Any]:
    """Whether all parts are there: the database with its migrations, Redis where configured."""
    checks = readiness()
    if "away" in checks.values():
        raise Unavailable(checks=checks)
    return {"checks": checks}


@bp.get("/.well-known/jwks.json")
@bp.returns(200, JwkSetSchema)
def jwks() -> tuple[dict[str, Any], int, dict[str, str]]:
    """The public keys that access tokens can be verified with; none while signing is symmetric."""
    # Vary, wherever CORS is off too: a cache may keep an answer of before it was turned on.
    kept = {"Cache-Control": f"public, max-age={JWKS_MAX_AGE_SECONDS}", "Vary": "Origin"}
    return signing_keys.current().jwk_set(), 200, kept


@bp.get("/metrics")
@refuses(NotAuthenticated, InvalidToken, NotFound)
@bp.returns(200, {"type": "string"}, content_type="text/plain")
def prometheus() -> Response:
    """Counts and measures for Prometheus, which sends `METRICS_TOKEN` as Bearer.

    In production there is nothing here without that setting: the counts of
    events and of mails tell whether an address has an account.
    """
    _refuse_strangers()
    return Response(metrics.exposition(_read_now()), content_type=metrics.CONTENT_TYPE)


def init_app(app: Flask) -> None:
    """Measure every request and every connection. Before all others, so that nothing escapes."""
    app.before_request(_begin_to_measure)
    app.after_request(_measure)
    with app.app_context():
        event.listen(db.engine, "checkout", _count_as_taken)
        event.listen(db.engine, "checkin", _count_as_given_back)


def readiness() -> dict[str, str]:
    """Part → ``ok`` or ``away``."""
    return _database_readiness() | limits.readiness()


def _database_readiness() -> dict[str, str]:
    try:
        with db.engine.connect() as connection:
            state = migration_state.read(connection)
            if state.is_current:
                migration_state.refuse_unless_writable(connection)
        of_the_replica = []
        if "replica" in db.engines:
            of_the_replica = fitness.flaws_of_the_replica(replica())
    except SQLAlchemyError as error:
        log.warning("the database does not answer, or takes no writes", exc_info=error)
        return {"database": "away", "migrations": "away"}
    for flaw in state.flaws + of_the_replica:
        log.error("the database cannot be served", extra={"reason": flaw})
    return {
        "database": "away" if state.encoding_flaw or of_the_replica else "ok",
        "migrations": "ok" if state.is_current else "away",
    }


def _begin_to_measure() -> None:
    g.began = perf_counter()


def _measure(response: Response) -> Response:
    seconds = perf_counter() - g.began
    # Paths and methods that lead nowhere are whatever people send: they share one label.
    if request.url_rule is None:
        metrics.count_request("any", "unmatched", response.status_code, seconds)
    else:
        metrics.count_request(request.method, request.url_rule.rule, response.status_code, seconds)
    return response


def _count_as_taken(_connection: object, record: ConnectionPoolEntry, _proxy: object) -> None:
    record.info["is_counted"] = True
    metrics.CONNECTIONS_IN_USE.inc()


def _count_as_given_back(_connection: object, record: ConnectionPoolEntry) -> None:
    if record.info.pop("is_counted", False):
        metrics.CONNECTIONS_IN_USE.dec()


def _refuse_strangers() -> None:
    if not settings.metrics_token:
        if settings.is_production:
            raise NotFound
        return
    token = access.bearer_token()
    if not secrets.compare_digest(token.encode(), settings.metrics_token.encode()):
        raise InvalidToken


def _read_now() -> dict[str, tuple[str, float]]:
    """What is asked of the database while Prometheus waits; without one, that it is away."""
    up = "Whether the database answered this scrape."
    try:
        backlog = outbox.backlog()
    except SQLAlchemyError as error:
        log.warning("metrics without the outbox: the database does not answer", exc_info=error)
        return {"database_up": (up, 0)}
    oldest = backlog.oldest or clock.now()
    return {
        "database_up": (up, 1),
        "outbox_waiting": ("Mails that wait to be delivered.", backlog.waiting),
        "outbox_oldest_waiting_seconds": (
            "Age of the oldest mail that waits; 0 where none does.",
            max(0.0, (clock.now() - oldest).total_seconds()),
        ),
    }
