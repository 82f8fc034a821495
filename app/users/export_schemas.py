"""The document that exports an account. Features add their parts to it."""

from collections.abc import Iterable
from functools import partial

import marshmallow
from flask import Flask
from marshmallow import fields

from app import features
from app.audit.schemas import _details_of_own, _of_own
from app.auth.schemas import UserSchema
from app.auth.sessions.schemas import RoughInstant
from app.features import ExportPart, Feature
from app.http.fields import Instant, Schema
from app.http.openapi import ProblemApi, api_of


class HeldSessionSchema(Schema):
    id = fields.UUID()
    ip = fields.String(allow_none=True)
    user_agent = fields.String(allow_none=True)
    created_at = Instant()
    last_seen_at = RoughInstant(attribute="refreshed_at")
    expires_at = RoughInstant()
    ended_at = Instant(allow_none=True)
    aal = fields.Integer()
    amr = fields.Function(
        lambda session: session["amr"].split(),
        metadata={"type": "array", "items": {"type": "string"}},
    )
    signed_in_by = fields.String()
    authenticated_at = RoughInstant(allow_none=True)
    kind = fields.String(metadata={"enum": ["token", "cookie"]})
    is_remembered = fields.Boolean()


class HeldTokenSchema(Schema):
    """The purpose of a mailed link. The link itself is not stored."""

    purpose = fields.String()
    email = fields.String(allow_none=True)
    replaced_email = fields.String(allow_none=True)
    created_at = Instant()
    expires_at = Instant()
    used_at = Instant(allow_none=True)


class HeldMailSchema(Schema):
    recipient = fields.String()
    message = fields.String()
    locale = fields.String()
    created_at = Instant()
    delivered_at = Instant(allow_none=True)


class HeldEventSchema(Schema):
    at = Instant()
    event = fields.String()
    ip = _of_own("ip")
    user_agent = _of_own("user_agent")
    request_id = fields.String(allow_none=True)
    details = _details_of_own()


class ExportSchema(Schema):
    """Everything that is stored about a user."""

    user = fields.Nested(UserSchema, required=True)
    roles = fields.List(fields.String(), required=True)
    sessions = fields.List(fields.Nested(HeldSessionSchema), required=True)
    one_time_tokens = fields.List(fields.Nested(HeldTokenSchema), required=True)
    mails = fields.List(fields.Nested(HeldMailSchema), required=True)
    audit_events = fields.List(fields.Nested(HeldEventSchema), required=True)


def with_parts_of_features() -> marshmallow.Schema:
    """The schema of the export in the current application."""
    parts = _parts(features.active())
    return ExportSchema.from_dict({part.key: part.field for part in parts})()


def init_app(app: Flask) -> None:
    """Describe the parts of the features in the OpenAPI document."""
    api = api_of(app)
    api.describe_later(partial(_describe, api, app.extensions["features"]))


def _describe(api: ProblemApi, brought: Iterable[Feature]) -> None:
    document = api.spec.components.schemas["Export"]
    for part in _parts(brought):
        document["properties"][part.key] = api.ma_plugin.converter.field2property(part.field)
        if part.field.required:
            document["required"].append(part.key)


def _parts(brought: Iterable[Feature]) -> list[ExportPart]:
    return [part for feature in brought for part in feature.exported]
