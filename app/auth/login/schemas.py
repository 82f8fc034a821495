"""The bodies of the calls that ask for a password."""

from typing import Any

from marshmallow import ValidationError, fields, validates_schema

from app.auth.proof_fields import (
    OneTimeCode,
    RecoveryCodeText,
    SecondProofSchema,
    refuse_two_proofs,
)
from app.auth.schemas import CheckedPassword, LoginName, Token
from app.errors import Message
from app.http.fields import FormSchema, Schema

BESIDE = {"description": "A second proof, where the account's second step is on."}


class LoginSchema(Schema):
    """Send exactly one of ``email`` and ``username``."""

    email = LoginName(metadata={"format": "email"})
    username = LoginName(metadata={"description": "The username, or the email address."})
    password = CheckedPassword(required=True)
    otp = OneTimeCode(metadata=BESIDE)
    recovery_code = RecoveryCodeText(metadata=BESIDE)
    device_token = Token(metadata={"description": "Of a device that skips the second step."})

    @validates_schema
    def want_one_second_proof(self, data: dict[str, Any], **_: Any) -> None:
        refuse_two_proofs(data)

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
    otp = OneTimeCode(may_be_empty=True, metadata=BESIDE)
    recovery_code = RecoveryCodeText(may_be_empty=True, metadata=BESIDE)
    device_token = Token()

    @validates_schema
    def want_one_second_proof(self, data: dict[str, Any], **_: Any) -> None:
        refuse_two_proofs(data)


class ReauthenticationSchema(SecondProofSchema):
    """Send exactly one proof."""

    PROOFS = ("password", *SecondProofSchema.PROOFS)

    password = CheckedPassword()


class FreshAccessSchema(Schema):
    access_token = fields.String(required=True)
    token_type = fields.String(required=True, metadata={"enum": ["bearer"]})
    expires_in = fields.Integer(required=True)
