"""The bodies of the calls on providers and identities."""

from marshmallow import fields

from app.auth.fields import NewPassword
from app.auth.schemas import Token
from app.http.fields import Checked, Instant, Schema

# Longer ones are refused anyway.
MAX_ID_TOKEN_LENGTH = 16 * 1024


class ProviderSchema(Schema):
    """A provider with which people may sign in."""

    name = fields.String(required=True)
    label = fields.String(required=True)


class ProviderListSchema(Schema):
    items = fields.List(fields.Nested(ProviderSchema), required=True)


class NonceSchema(Schema):
    nonce = fields.String(required=True)


class IdTokenSchema(Schema):
    id_token = Checked(
        required=True,
        longest=MAX_ID_TOKEN_LENGTH,
        metadata={
            "description": "The ID token that the provider's library gave to the application."
        },
    )
    nonce = Token(
        required=True, metadata={"description": "The nonce of the call before. It works once."}
    )


class IdentitySchema(Schema):
    """An account of a provider with which you can log in to yours."""

    id = fields.Integer(required=True)
    provider = fields.String(required=True)
    label = fields.String(
        required=True,
        metadata={"description": "The address or name there, as it was last seen. Only to show."},
    )
    created_at = Instant(required=True)
    last_used_at = Instant(required=True)


class IdentityListSchema(Schema):
    items = fields.List(fields.Nested(IdentitySchema), required=True)


class FirstPasswordSchema(Schema):
    new_password = NewPassword(required=True)
