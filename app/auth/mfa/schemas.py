"""The bodies of the calls on second factors."""

from marshmallow import fields

from app.auth.proof_fields import OneTimeCode, SecondProofSchema
from app.auth.schemas import Token
from app.http.fields import Flag, Instant, Schema


class MfaSchema(SecondProofSchema):
    """The ticket of a login, and exactly one second proof."""

    mfa_token = Token(required=True)
    remember_device = Flag()


class SecondStepSchema(Schema):
    enabled = Flag(required=True)


class OtpSchema(Schema):
    otp = OneTimeCode(required=True)


class TotpSchema(Schema):
    confirmed_at = Instant(required=True)


class RecoveryCodesLeftSchema(Schema):
    left = fields.Integer(required=True)
    made_at = Instant(required=True)


class PasskeySchema(Schema):
    id = fields.UUID(required=True)
    name = fields.String(required=True)
    created_at = Instant(required=True)
    last_used_at = Instant(required=True, allow_none=True)
    synced = fields.Boolean(
        required=True, metadata={"description": "Whether the key has a backup elsewhere."}
    )
    transports = fields.List(fields.String(), required=True)


class FactorsSchema(Schema):
    """The second factors of an account."""

    second_step = fields.Boolean(
        required=True, metadata={"description": "Whether a login needs a second proof."}
    )
    required = fields.Boolean(
        required=True, metadata={"description": "Whether the account must have a second factor."}
    )
    totp = fields.Nested(TotpSchema, required=True, allow_none=True)
    recovery_codes = fields.Nested(RecoveryCodesLeftSchema, required=True, allow_none=True)
    passkeys = fields.List(fields.Nested(PasskeySchema), required=True)


class EnrolmentSchema(Schema):
    """What an authenticator app needs. It is shown once."""

    secret = fields.String(required=True, metadata={"description": "In base32."})
    uri = fields.String(
        required=True, metadata={"format": "uri", "description": "otpauth://totp/…"}
    )
    qr_svg = fields.String(required=True, metadata={"description": "The uri as a QR code."})


class RecoveryCodesSchema(Schema):
    """The codes are shown this once."""

    recovery_codes = fields.List(fields.String(), required=True)


class ConfirmedSchema(Schema):
    """``recovery_codes`` is there only where the account had none."""

    factors = fields.Nested(FactorsSchema, required=True)
    recovery_codes = fields.List(fields.String())
