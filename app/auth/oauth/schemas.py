"""The forms of the calls of OAuth 2."""

from typing import Any

from marshmallow import validates_schema

from app.auth.proof_fields import OneTimeCode, RecoveryCodeText, refuse_two_proofs
from app.auth.schemas import CheckedPassword, LoginName, Token
from app.http.fields import FormSchema, Text


class TokenFormSchema(FormSchema):
    """The token request of OAuth 2: a password (RFC 6749 §4.3.2) or a refresh token (§6).

    Features add grants, such as the second proof of a login.
    """

    grant_type = Text(required=True, metadata={"examples": ["password", "refresh_token"]})
    username = LoginName(metadata={"description": "The email address or username."})
    password = CheckedPassword()
    refresh_token = Token()
    otp = OneTimeCode(may_be_empty=True)
    recovery_code = RecoveryCodeText(may_be_empty=True)
    device_token = Token()
    mfa_token = Token()

    @validates_schema
    def want_one_second_proof(self, data: dict[str, Any], **_: Any) -> None:
        refuse_two_proofs(data)


class RevokeFormSchema(FormSchema):
    """RFC 7009 §2.1."""

    token = Token(required=True, metadata={"minLength": 1})
    token_type_hint = Text(metadata={"description": "It is ignored."})
