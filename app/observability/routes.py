"""The routes for load balancers and Prometheus: health, readiness and metrics."""

import logging
import secrets
from typing import Any

from flask import Response, current_app
from marshmallow import fields
from sqlalchemy.exc import SQLAlchemyError

from app.database import fitness, migration_state
from app.database.engines import replica
from app.errors import InvalidToken, NotAuthenticated, NotFound, Unavailable
from app.extensions import db
from app.http import bearer
from app.http.blueprint import Blueprint, refuses
from app.http.fields import Schema
from app.observability import metrics, readiness
from app.version import VERSION
from config import settings

log = logging.getLogger(__name__)

bp = Blueprint("ops", __name__, description="For load balancers and operators.")


class HealthSchema(Schema):
    status = fields.String(required=True, metadata={"enum": ["ok"]})
    version = fields.String(
        required=True,
        metadata={"description": "The version of the server's code.", "example": VERSION},
    )


class ReadinessSchema(Schema):
    checks = fields.Dict(
        required=True,
        keys=fields.String(),
        values=fields.String(metadata={"enum": ["ok", "away"]}),
    )


@bp.get("/healthz")
@bp.returns(200, HealthSchema)
def healthz() -> dict[str, str]:
    """Whether the process lives, and which version it runs."""
    return {"status": "ok", "version": VERSION}


@bp.get("/readyz")
@refuses(Unavailable)
@bp.returns(200, ReadinessSchema)
def readyz() -> dict[str, Any]:
    """Whether all parts are there: the database with its migrations, Redis where configured."""
    checks = _database_readiness() | readiness.of_parts()
    if "away" in checks.values():
        raise Unavailable(checks=checks)
    return {"checks": checks}


@bp.get("/metrics")
@refuses(NotAuthenticated, InvalidToken, NotFound)
@bp.returns(200, {"type": "string"}, content_type="text/plain")
def prometheus() -> Response:
    """Metrics for Prometheus, which sends `METRICS_TOKEN` as Bearer.

    In production the answer is 404 without that setting, because the counts
    of events and of mails tell whether an address has an account.
    """
    _refuse_strangers()
    return Response(metrics.exposition(_read_now()), content_type=metrics.CONTENT_TYPE)


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
        log.error("the database cannot be used", extra={"reason": flaw})
    return {
        "database": "away" if state.encoding_flaw or state.rights_flaw or of_the_replica else "ok",
        "migrations": "ok" if state.is_current else "away",
    }


def _refuse_strangers() -> None:
    if not settings.metrics_token:
        if settings.is_production:
            raise NotFound
        return
    token = bearer.bearer_token()
    if not secrets.compare_digest(token.encode(), settings.metrics_token.encode()):
        raise InvalidToken


def _read_now() -> dict[str, tuple[str, float]]:
    """Read values from the database while Prometheus waits. If it is away, report only that."""
    up = "Whether the database answered this scrape."
    try:
        return {"database_up": (up, 1)} | metrics.read_at_scrape(current_app)
    except SQLAlchemyError as error:
        log.warning("some metrics are missing: the database does not answer", exc_info=error)
        return {"database_up": (up, 0)}
