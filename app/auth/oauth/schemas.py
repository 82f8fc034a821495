"""The forms of the calls of OAuth 2."""

from app.auth.schemas import CheckedPassword, LoginName, Token
from app.http.fields import FormSchema, Text


class TokenFormSchema(FormSchema):
    """The token request of OAuth 2: a password (RFC 6749 §4.3.2) or a refresh token (§6)."""

    grant_type = Text(metadata={"enum": ["password", "refresh_token"]}, required=True)
    username = LoginName(metadata={"description": "The email address or username."})
    password = CheckedPassword()
    refresh_token = Token()


class RevokeFormSchema(FormSchema):
    """RFC 7009 §2.1."""

    token = Token(required=True, metadata={"minLength": 1})
    token_type_hint = Text(metadata={"description": "It is ignored."})
