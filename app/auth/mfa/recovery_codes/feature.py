"""Recovery codes as an optional feature."""

from app.auth.mfa.export_schemas import rows_of
from app.auth.mfa.recovery_codes.models import RecoveryCode
from app.features import Feature, KeyedRows
from app.http.fields import Instant, Schema


class HeldRecoveryCodeSchema(Schema):
    """When a code was made and used. The code itself is not stored."""

    created_at = Instant()
    used_at = Instant(allow_none=True)


FEATURE = Feature(
    name="recovery_codes",
    needs="mfa",
    blueprints=("app.auth.mfa.recovery_codes.routes:bp",),
    models=(RecoveryCode,),
    keyed=(
        KeyedRows(
            what="recovery codes",
            key_id=RecoveryCode.key_id,
            still_used=RecoveryCode.used_at.is_(None),
        ),
    ),
    exported=(rows_of("recovery_codes", HeldRecoveryCodeSchema, RecoveryCode),),
)
