"""The fields of an account in our own files. They have the same rules as at registration."""

from datetime import UTC, datetime
from typing import Any

from marshmallow import ValidationError, fields

from app.auth.fields import Email, Username
from app.errors import Message
from app.http.fields import DisplayName, HttpUrl, OneOf, Schema, Text
from app.http.languages import LOCALES
from app.moving import values

NO_INSTANT = Message("invalid", "Is not an instant like 2026-11-22T08:00:00Z.")


class PreciseInstant(fields.Field[datetime]):
    """An instant in ISO 8601, to the microsecond; without a zone it is UTC.

    An instant before 1971 is how some system writes that there is none.
    """

    def _serialize(self, value: datetime | None, *_args: Any, **_kwargs: Any) -> str | None:
        return None if value is None else value.astimezone(UTC).isoformat().replace("+00:00", "Z")

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> datetime:
        try:
            instant = datetime.fromisoformat(value)
            instant = (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC)
        except (TypeError, ValueError, OverflowError):
            instant = datetime.min.replace(tzinfo=UTC)
        if instant < values.FIRST_REAL_DAY:
            raise ValidationError(NO_INSTANT)
        return instant


class PastInstant(PreciseInstant):
    """An instant at which something happened to an account, so not in the future."""

    def _deserialize(self, value: Any, *arguments: Any, **options: Any) -> datetime:
        instant = super()._deserialize(value, *arguments, **options)
        if values.lies_ahead(instant):
            raise ValidationError(NO_INSTANT)
        return instant


class AccountSchema(Schema):
    """The native format. ``id`` tells which account it was there; here it gets a new one."""

    id = fields.Raw(allow_none=True)
    email = Email(required=True)
    username = Username(required=True)
    full_name = DisplayName(max_length=100, allow_none=True)
    bio = Text(max_length=5000, allow_none=True)
    avatar_url = HttpUrl(allow_none=True)
    is_active = fields.Boolean(truthy={True}, falsy={False})
    is_superuser = fields.Boolean(truthy={True}, falsy={False})
    email_verified = fields.Boolean(truthy={True}, falsy={False})
    locale = OneOf(LOCALES)
    created_at = PastInstant()
    updated_at = PastInstant(allow_none=True)
    deletion_due_at = PreciseInstant(allow_none=True)
    hashed_password = Text(max_length=255, allow_none=True)


class OperatorAccountSchema(AccountSchema):
    """The same, if an operator accepts reserved names."""

    username = Username(required=True, allow_reserved=True)
