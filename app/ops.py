"""Is it alive, is it ready?"""

import logging
from functools import cache
from typing import Any

from alembic.script import ScriptDirectory
from marshmallow import fields
from sqlalchemy import Connection, String, column, inspect, select, table
from sqlalchemy.exc import SQLAlchemyError

from app import limits
from app.blueprint import Blueprint, refuses
from app.errors import Unavailable
from app.extensions import db, migrate
from app.fields import Schema
from app.security import signing_keys

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
    kept = {"Cache-Control": f"public, max-age={JWKS_MAX_AGE_SECONDS}"}
    return signing_keys.current().jwk_set(), 200, kept


def readiness() -> dict[str, str]:
    """Part → ``ok`` or ``away``."""
    return _database_readiness() | limits.readiness()


def _database_readiness() -> dict[str, str]:
    try:
        with db.engine.connect() as connection:
            applied = _applied(connection)
    except SQLAlchemyError as error:
        log.warning("the database does not answer", exc_info=error)
        return {"database": "away", "migrations": "away"}
    return {"database": "ok", "migrations": "ok" if _has_what_we_need(applied) else "away"}


def _applied(connection: Connection) -> list[str]:
    """Alembic's record of what the database has been through; none at all in a new one."""
    if not inspect(connection).has_table("alembic_version"):
        return []
    version = select(column("version_num", String)).select_from(table("alembic_version"))
    return list(connection.scalars(version))


def _has_what_we_need(applied: list[str]) -> bool:
    """Whether the database is at our head, or ahead of it.

    A revision that this code does not know was made by newer code, in a
    rolling upgrade: migrations only ever add, so this code still runs on it.
    """
    heads, known = _revisions()
    return bool(applied) and all(revision in heads or revision not in known for revision in applied)


@cache
def _revisions() -> tuple[frozenset[str], frozenset[str]]:
    """The heads, and all revisions, that this code came with."""
    scripts = ScriptDirectory.from_config(migrate.get_config())
    heads = frozenset(scripts.get_heads())
    return heads, frozenset(script.revision for script in scripts.walk_revisions())
