"""The calls that ask for a password."""

from typing import Any

from app.access.guards import current_session, signed_in
from app.access.levels import before_second_step
from app.access.limits import limited_guesses
from app.access.proof import BESIDE_PASSWORD, by_password
from app.auth.login import authentication, reauthentication
from app.auth.login.login import GATE_REFUSALS, start
from app.auth.login.schemas import (
    FreshAccessSchema,
    LoginFormSchema,
    LoginSchema,
    ReauthenticationSchema,
)
from app.auth.schemas import TokenSchema
from app.auth.sessions.handover import Handover, access_of, tokens_of
from app.auth.sessions.handover_routes import TOKENS, hands_over, may_ask_for_cookie
from app.errors import (
    CeremonyInvalid,
    InvalidCredentials,
    MfaRequired,
    Overloaded,
    WrongFactor,
    WrongPassword,
)
from app.http.blueprint import Blueprint, refuses

bp = Blueprint("login", __name__)


@bp.post("/login")
@may_ask_for_cookie(bp)
@limited_guesses
@bp.takes_json_or_form(LoginSchema, LoginFormSchema)
@refuses(InvalidCredentials, *GATE_REFUSALS, Overloaded)
@bp.returns(200, TokenSchema, description=TOKENS)
@hands_over(tokens_of)
def login(credentials: dict[str, Any]) -> Handover:
    """Begin a session, with the email address or the username.

    OAuth 2's password form (`application/x-www-form-urlencoded`) is accepted too, with
    `username` and `password`. Its `username` may hold the email address or the username.
    `/auth/token` describes the form.
    """
    proof = by_password(credentials)
    known = {name: text for name, text in credentials.items() if name not in BESIDE_PASSWORD}
    return start(authentication.authenticate(**known), proof)


@bp.post("/reauthenticate")
@before_second_step
@signed_in(keys=False)
@limited_guesses
@bp.takes(ReauthenticationSchema)
@refuses(WrongPassword, MfaRequired, CeremonyInvalid, WrongFactor, Overloaded)
@bp.returns(200, FreshAccessSchema, description=TOKENS)
@hands_over(access_of)
def reauthenticate(body: dict[str, Any]) -> Handover:
    """Prove again who you are to get a fresh access token. Some calls require one.

    Where your second step is on, send a second factor.
    """
    return reauthentication.reauthenticate(current_session(), body)
