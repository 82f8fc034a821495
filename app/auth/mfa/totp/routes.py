"""The calls on the authenticator app."""

from typing import Any

from app.access.guards import current_session, freshly_signed_in
from app.access.levels import before_second_step
from app.access.limits import limited_writes
from app.auth.mfa import factors
from app.auth.mfa.errors import FactorExists, FactorRequired, NoFactor
from app.auth.mfa.schemas import ConfirmedSchema, EnrolmentSchema, OtpSchema
from app.auth.mfa.totp import factor
from app.auth.mfa.totp.factor import Enrolment
from app.errors import NotFound, RateLimited, WrongFactor
from app.http.blueprint import Blueprint, refuses

bp = Blueprint(
    "totp",
    __name__,
    url_prefix="/auth/factors/totp",
    description="Codes of authenticator apps.",
)


@bp.post("")
@before_second_step
@freshly_signed_in
@limited_writes
@refuses(FactorExists)
@bp.returns(201, EnrolmentSchema)
def begin_totp() -> Enrolment:
    """Make a secret for an authenticator app. It counts once it is confirmed."""
    return factor.begin(current_session())


@bp.post("/confirm")
@before_second_step
@freshly_signed_in
@limited_writes
@bp.takes(OtpSchema)
@refuses(NoFactor, WrongFactor, RateLimited)
@bp.returns(200, ConfirmedSchema)
def confirm_totp(body: dict[str, Any]) -> dict[str, Any]:
    """Confirm the secret with a code. All your other sessions end.

    The answer holds recovery codes if you had none. They are shown this once.
    """
    user, codes = factor.confirm(current_session(), body["otp"])
    confirmed: dict[str, Any] = {"factors": factors.describe(user)}
    return confirmed | ({"recovery_codes": codes} if codes else {})


@bp.delete("")
@before_second_step
@freshly_signed_in
@limited_writes
@refuses(NotFound, FactorRequired)
@bp.returns(204)
def remove_totp() -> None:
    """Remove your authenticator app."""
    factor.remove(current_session())
