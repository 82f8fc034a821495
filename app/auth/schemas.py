"""Fields and bodies that several calls under ``/auth`` share."""

from typing import Any

from marshmallow import fields

from app.http.fields import Checked, Instant, Schema
from app.http.languages import LOCALES
from app.security import identifiers, tokens
from app.security.passwords import hashing


class LoginName(Checked):
    """An email address or username at login. Any string is accepted, and may be unknown."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(longest=identifiers.MAX_UNUSABLE_LENGTH, **kwargs)


class CheckedPassword(Checked):
    """A password to compare with the stored one. Any string is accepted, and may be wrong."""

    def __init__(self, **kwargs: Any) -> None:
        longest = hashing.MAX_CHECKED_LENGTH
        super().__init__(longest=longest, load_only=True, metadata={"format": "password"}, **kwargs)


class Token(Checked):
    """A refresh token, an access token or a mailed token. Any string is accepted."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(longest=tokens.MAX_LENGTH, **kwargs)


class UserSchema(Schema):
    """A user. Every call that answers with a user has these fields."""

    id = fields.Integer(required=True)
    email = fields.String(required=True, metadata={"format": "email"})
    username = fields.String(required=True)
    full_name = fields.String(required=True, allow_none=True)
    bio = fields.String(required=True, allow_none=True)
    avatar_url = fields.String(required=True, allow_none=True, metadata={"format": "uri"})
    is_active = fields.Boolean(required=True)
    is_superuser = fields.Boolean(required=True)
    email_verified = fields.Boolean(required=True)
    locale = fields.String(required=True, metadata={"enum": list(LOCALES)})
    created_at = Instant(required=True)
    updated_at = Instant(required=True, allow_none=True)


class TokenSchema(Schema):
    access_token = fields.String(
        required=True, metadata={"description": "Send it as `Authorization: Bearer …`."}
    )
    refresh_token = fields.String(
        required=True, metadata={"description": "Send it to `/auth/refresh`. It works once."}
    )
    token_type = fields.String(required=True, metadata={"enum": ["bearer"]})
    expires_in = fields.Integer(
        required=True, metadata={"description": "Seconds until the access token expires."}
    )
    device_token = fields.String(
        metadata={"description": "Of a remembered device: send it with the next login."}
    )


class PasswordSchema(Schema):
    """The current password, which the user gives again."""

    password = CheckedPassword(required=True)


class MailedTokenSchema(Schema):
    token = Token(required=True, metadata={"description": "The token from the link in the mail."})


class AddressSchema(Schema):
    """Any string is accepted, and the answer is always the same."""

    email = LoginName(required=True)


class NothingSchema(Schema):
    """An empty object."""
