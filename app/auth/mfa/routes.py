"""The calls on second factors that all kinds share."""

from typing import Any

from app.access.guards import current_session, current_user, freshly_signed_in, signed_in
from app.access.levels import before_second_step
from app.access.limits import TOKEN, limited, limited_writes
from app.auth.login.login import GATE_REFUSALS
from app.auth.mfa import factors, second_step
from app.auth.mfa.errors import FactorRequired, MfaTicketInvalid, NoFactor
from app.auth.mfa.schemas import FactorsSchema, MfaSchema, SecondStepSchema
from app.auth.schemas import TokenSchema
from app.auth.sessions.handover import Handover, tokens_of
from app.auth.sessions.handover_routes import TOKENS, hands_over, may_ask_for_cookie
from app.errors import CeremonyInvalid, WrongFactor
from app.http.blueprint import Blueprint, refuses

bp = Blueprint("mfa", __name__, url_prefix="/auth", description="Second factors.")


@bp.post("/mfa")
@may_ask_for_cookie(bp)
@limited(TOKEN)
@bp.takes(MfaSchema)
@refuses(MfaTicketInvalid, CeremonyInvalid, WrongFactor, *GATE_REFUSALS)
@bp.returns(200, TokenSchema, description=TOKENS)
@hands_over(tokens_of)
def finish_login(body: dict[str, Any]) -> Handover:
    """Finish a login with a second proof.

    The `mfa_token` comes from the refusal `mfa_required`. It works for five minutes and
    for five tries.
    """
    return second_step.go_on(body)


@bp.get("/factors")
@before_second_step
@signed_in(keys=False)
@bp.returns(200, FactorsSchema)
def read_factors() -> dict[str, Any]:
    """Your second factors."""
    return factors.describe(current_user())


@bp.put("/factors/second-step")
@before_second_step
@freshly_signed_in
@limited_writes
@bp.takes(SecondStepSchema)
@refuses(NoFactor, FactorRequired)
@bp.returns(200, FactorsSchema)
def switch_second_step(body: dict[str, Any]) -> dict[str, Any]:
    """Say whether your logins need a second proof."""
    return factors.describe(factors.switch(current_session(), enabled=body["enabled"]))
