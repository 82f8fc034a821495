"""What the users calls take. What they give is ``UserSchema``."""

from marshmallow import fields

from app.auth.schemas import UserSchema
from app.fields import DisplayName, HttpUrl, Instant, OneOf, Schema, Text, Username
from app.models.user import LOCALES


class ProfileSchema(Schema):
    """What is left out stays; null clears what may be empty."""

    full_name = DisplayName(max_length=100, allow_none=True)
    bio = Text(max_length=5000, allow_none=True)
    avatar_url = HttpUrl(allow_none=True)
    username = Username()
    locale = OneOf(LOCALES)


class DeletionSchema(Schema):
    deletion_due_at = Instant(required=True)


class HeldSessionSchema(Schema):
    id = fields.UUID()
    ip = fields.String(allow_none=True)
    user_agent = fields.String(allow_none=True)
    created_at = Instant()
    last_seen_at = Instant(attribute="refreshed_at")
    expires_at = Instant()
    ended_at = Instant(allow_none=True)


class HeldTokenSchema(Schema):
    """What a mailed link was for; the link itself is not kept."""

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
    ip = fields.String(allow_none=True)
    user_agent = fields.String(allow_none=True)
    request_id = fields.String(allow_none=True)
    details = fields.Dict()


class ExportSchema(Schema):
    """Everything held about a user."""

    user = fields.Nested(UserSchema, required=True)
    sessions = fields.List(fields.Nested(HeldSessionSchema), required=True)
    one_time_tokens = fields.List(fields.Nested(HeldTokenSchema), required=True)
    mails = fields.List(fields.Nested(HeldMailSchema), required=True)
    audit_events = fields.List(fields.Nested(HeldEventSchema), required=True)
