"""The bodies of the calls that ask for a password."""

from typing import Any

from marshmallow import ValidationError, fields, validates_schema

from app.auth.schemas import CheckedPassword, LoginName
from app.errors import Message
from app.http.fields import FormSchema, Schema


class LoginSchema(Schema):
    """Send exactly one of ``email`` and ``username``."""

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


class FreshAccessSchema(Schema):
    access_token = fields.String(required=True)
    token_type = fields.String(required=True, metadata={"enum": ["bearer"]})
    expires_in = fields.Integer(required=True)
