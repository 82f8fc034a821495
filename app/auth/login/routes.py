"""The calls that ask for a password."""

from typing import Any

from app.access.guards import current_session, signed_in
from app.access.limits import limited_guesses
from app.auth.login import authentication, reauthentication
from app.auth.login.login import start
from app.auth.login.schemas import FreshAccessSchema, LoginFormSchema, LoginSchema
from app.auth.schemas import PasswordSchema, TokenSchema
from app.errors import EmailNotVerified, InactiveUser, InvalidCredentials, Overloaded, WrongPassword
from app.http.blueprint import Blueprint, refuses
from app.security.tokens import FreshAccess, TokenPair

bp = Blueprint("login", __name__)


@bp.post("/login")
@limited_guesses
@bp.takes_json_or_form(LoginSchema, LoginFormSchema)
@refuses(InvalidCredentials, InactiveUser, EmailNotVerified, Overloaded)
@bp.returns(200, TokenSchema)
def login(credentials: dict[str, Any]) -> TokenPair:
    """Begin a session, with the email address or the username.

    Send JSON, or OAuth 2's password form. Its field `username` may hold the email
    address or the username.
    """
    return start(authentication.authenticate(**credentials))


@bp.post("/reauthenticate")
@signed_in
@limited_guesses
@bp.takes(PasswordSchema)
@refuses(WrongPassword, Overloaded)
@bp.returns(200, FreshAccessSchema)
def reauthenticate(body: dict[str, Any]) -> FreshAccess:
    """Give your password again to get a fresh access token. Some calls require one."""
    return reauthentication.reauthenticate(current_session(), body["password"])
