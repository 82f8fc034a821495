"""The authenticator app as an optional feature."""

from marshmallow import fields

from app.auth.mfa.totp import factor
from app.auth.mfa.totp.models import TotpFactor
from app.features import ExportPart, Feature, SealedRows
from app.http.fields import Instant, Schema


class HeldTotpSchema(Schema):
    """An authenticator app. Its secret is for the server alone."""

    created_at = Instant()
    confirmed_at = Instant(allow_none=True)


FEATURE = Feature(
    name="totp",
    needs="mfa",
    blueprints=("app.auth.mfa.totp.routes:bp",),
    models=(TotpFactor,),
    keyed=(
        SealedRows(
            what="authenticator apps",
            key_id=TotpFactor.key_id,
            sealed=TotpFactor.sealed_secret,
            row=lambda row: factor.row_of(row.user_id),
        ),
    ),
    prunes={"unconfirmed authenticator apps": factor.prune},
    exported=(
        ExportPart("totp", fields.Nested(HeldTotpSchema, allow_none=True), factor.held_about),
    ),
)
