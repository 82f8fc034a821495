"""What the auth calls take and give."""

from datetime import datetime, timedelta
from typing import Any

from marshmallow import ValidationError, fields, validates_schema

from app.errors import Message
from app.fields import (
    Checked,
    DisplayName,
    Email,
    FormSchema,
    Instant,
    NewPassword,
    OneOf,
    Schema,
    Text,
    Username,
)
from app.models.user import LOCALES
from app.security import devices, identifiers, passwords, tokens
from app.security.access import current_session


class LoginName(Checked):
    """What somebody may be known by; any string is simply right or wrong."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(longest=identifiers.MOST_OF_NOTHING, **kwargs)


class CheckedPassword(Checked):
    """A password that is asked for once more; any string is simply right or wrong."""

    def __init__(self, **kwargs: Any) -> None:
        longest = passwords.MAX_CHECKED_LENGTH
        super().__init__(longest=longest, load_only=True, metadata={"format": "password"}, **kwargs)


class Token(Checked):
    """A token of either kind, or of a mail; any string is simply good or not."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(longest=tokens.MAX_LENGTH, **kwargs)


class UserSchema(Schema):
    """The one shape of a user that leaves the server."""

    id = fields.Integer(required=True)
    email = fields.String(required=True)
    username = fields.String(required=True)
    full_name = fields.String(required=True, allow_none=True)
    bio = fields.String(required=True, allow_none=True)
    avatar_url = fields.String(required=True, allow_none=True)
    is_active = fields.Boolean(required=True)
    is_superuser = fields.Boolean(required=True)
    email_verified = fields.Boolean(required=True)
    locale = fields.String(required=True, metadata={"enum": list(LOCALES)})
    created_at = Instant(required=True)
    updated_at = Instant(required=True, allow_none=True)


class RegisterSchema(Schema):
    email = Email(required=True)
    username = Username(required=True)
    password = NewPassword(required=True)
    full_name = DisplayName(max_length=100, allow_none=True)
    bio = Text(max_length=5000, allow_none=True)

    @validates_schema
    def refuse_password_like_identity(self, data: dict[str, Any], **_: Any) -> None:
        flaw = passwords.identity_flaw(
            data["password"], email=data["email"], username=data["username"]
        )
        if flaw:
            raise ValidationError(flaw, "password")


class LoginSchema(Schema):
    """Exactly one of ``email`` and ``username``; any string is simply right or wrong."""

    email = LoginName(metadata={"format": "email"})
    username = LoginName(metadata={"description": "The username, or the email address."})
    password = CheckedPassword(required=True)

    @validates_schema
    def want_one_identifier(self, data: dict[str, Any], **_: Any) -> None:
        if ("email" in data) == ("username" in data):
            raise ValidationError(
                Message("one_identifier", "Exactly one of email and username is required.")
            )


class LoginFormSchema(FormSchema):
    """OAuth 2's password form (RFC 6749 §4.3.2)."""

    username = LoginName(required=True, metadata={"description": "The email address or username."})
    password = CheckedPassword(required=True)


class TokenSchema(Schema):
    access_token = fields.String(
        required=True, metadata={"description": "Send it as `Authorization: Bearer …`."}
    )
    refresh_token = fields.String(
        required=True, metadata={"description": "For `/auth/refresh`; works once."}
    )
    token_type = fields.String(required=True, metadata={"enum": ["bearer"]})
    expires_in = fields.Integer(
        required=True, metadata={"description": "Seconds until the access token expires."}
    )


class RefreshSchema(Schema):
    refresh_token = Token()


class FreshAccessSchema(Schema):
    access_token = fields.String(required=True)
    token_type = fields.String(required=True, metadata={"enum": ["bearer"]})
    expires_in = fields.Integer(required=True)


class PasswordSchema(Schema):
    """The current password, asked for once more; any string is simply right or wrong."""

    password = CheckedPassword(required=True)


class PasswordChangeSchema(Schema):
    current_password = CheckedPassword(required=True)
    new_password = NewPassword(required=True)


class PasswordResetSchema(Schema):
    token = Token(required=True)
    new_password = NewPassword(required=True)


class MailedTokenSchema(Schema):
    token = Token(required=True, metadata={"description": "From the link in the mail."})


class AddressSchema(Schema):
    """Any string will do, and is answered alike."""

    email = LoginName(required=True)


class NewAddressSchema(Schema):
    new_email = Email(required=True)


class LogoutQuerySchema(Schema):
    scope = OneOf(("local", "others", "global"), load_default="local")


class RoughInstant(Instant):
    """An instant, rounded down to five minutes.

    Whoever holds a copy of a token could otherwise follow when its owner comes
    back, and choose the moment for a refresh that nobody notices.
    """

    STEP = timedelta(minutes=5)

    def _serialize(self, value: datetime | None, *args: Any, **kwargs: Any) -> str | None:
        if value is not None:
            value -= (value - datetime.min.replace(tzinfo=value.tzinfo)) % self.STEP
        return super()._serialize(value, *args, **kwargs)


class DeviceSchema(Schema):
    """A signed-in device, without what tells when it was seen."""

    id = fields.UUID(required=True)
    ip = fields.String(required=True, allow_none=True)
    user_agent = fields.String(required=True, allow_none=True)
    device = fields.Function(
        lambda session: devices.name(session.user_agent),
        required=True,
        metadata={
            "type": "string",
            "description": 'What a person calls it, like "Firefox on Linux".',
        },
    )
    created_at = Instant(required=True)
    is_current = fields.Function(
        lambda session: session.id == current_session().id,
        required=True,
        metadata={"type": "boolean"},
    )


class SessionSchema(DeviceSchema):
    """A signed-in device. ``last_seen_at`` is when it logged in or refreshed last.

    That and ``expires_at``, which would tell it as well, are rounded down to five minutes.
    """

    last_seen_at = RoughInstant(required=True, attribute="refreshed_at")
    expires_at = RoughInstant(required=True)


class SessionListSchema(Schema):
    items = fields.List(fields.Nested(SessionSchema), required=True)


class ExactSessionSchema(DeviceSchema):
    """A signed-in device as administrators see it: times are to the second."""

    last_seen_at = Instant(required=True, attribute="refreshed_at")
    expires_at = Instant(required=True)


class ExactSessionListSchema(Schema):
    items = fields.List(fields.Nested(ExactSessionSchema), required=True)


class TokenFormSchema(FormSchema):
    """OAuth 2's token request: a password (RFC 6749 §4.3.2) or a refresh token (§6)."""

    grant_type = Text(metadata={"enum": ["password", "refresh_token"]}, required=True)
    username = LoginName(metadata={"description": "The email address or username."})
    password = CheckedPassword()
    refresh_token = Token()


class NothingSchema(Schema):
    """An empty object."""


class RevokeFormSchema(FormSchema):
    """RFC 7009 §2.1."""

    token = Token(required=True, metadata={"minLength": 1})
    token_type_hint = Text(metadata={"description": "Not needed."})
