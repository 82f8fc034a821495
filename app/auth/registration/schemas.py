"""The body of a registration."""

from typing import Any

from marshmallow import ValidationError, validates_schema

from app.auth.fields import Email, NewPassword, Username
from app.http.fields import DisplayName, Schema, Text
from app.security.passwords import policy


class RegisterSchema(Schema):
    email = Email(required=True)
    username = Username(required=True)
    password = NewPassword(required=True)
    full_name = DisplayName(max_length=100, allow_none=True)
    bio = Text(max_length=5000, allow_none=True)

    @validates_schema
    def refuse_password_like_identity(self, data: dict[str, Any], **_: Any) -> None:
        flaw = policy.identity_flaw(
            data["password"], email=data["email"], username=data["username"]
        )
        if flaw:
            raise ValidationError(flaw, "password")
