"""The calls on API keys."""

from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.api_keys.models import ApiKey
from app.extensions import db
from app.models import AuditEvent
from tests.factories import API, bearer

KEYS = f"{API}/auth/keys"


def create(client: FlaskClient, token: str, **body: Any) -> TestResponse:
    given = {"name": "Backup", "scopes": ["profile"]} | body
    return client.post(KEYS, headers=bearer(token), json=given)


def listed(client: FlaskClient, token: str) -> Any:
    return client.get(KEYS, headers=bearer(token)).json["items"]


def rotate(client: FlaskClient, token: str, key_id: str, **body: Any) -> TestResponse:
    return client.post(f"{KEYS}/{key_id}/rotate", headers=bearer(token), json=body)


def rows(app: Flask) -> list[ApiKey]:
    with app.app_context():
        found = db.session.scalars(db.select(ApiKey)).all()
        db.session.expunge_all()
        return list(found)


def events(app: Flask, *names: str) -> list[tuple[str, int | None, int | None, dict[str, Any]]]:
    """Event, subject, actor and details of these events, the oldest first."""
    with app.app_context():
        mine = db.select(AuditEvent).where(AuditEvent.event.in_(names)).order_by(AuditEvent.id)
        return [
            (row.event, row.subject_id, row.actor_id, row.details)
            for row in db.session.scalars(mine)
        ]
