"""The call that makes recovery codes."""

from app.access.guards import current_session, freshly_signed_in
from app.access.levels import before_second_step
from app.access.limits import limited_writes
from app.auth.mfa.errors import NoFactor
from app.auth.mfa.recovery_codes import codes
from app.auth.mfa.schemas import RecoveryCodesSchema
from app.http.blueprint import Blueprint, refuses

bp = Blueprint(
    "recovery_codes",
    __name__,
    url_prefix="/auth/factors/recovery-codes",
    description="Codes for those who have lost a factor.",
)


@bp.post("")
@before_second_step
@freshly_signed_in
@limited_writes
@refuses(NoFactor)
@bp.returns(200, RecoveryCodesSchema)
def make_recovery_codes() -> dict[str, list[str]]:
    """Make ten recovery codes. The old ones stop working. They are shown this once."""
    return {"recovery_codes": codes.make_anew(current_session())}
