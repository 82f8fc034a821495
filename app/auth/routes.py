"""The calls under ``/auth``."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar
from uuid import UUID

from flask import request, url_for

from app import languages
from app.auth import (
    authentication,
    email_change,
    email_verification,
    not_me,
    oauth,
    password_change,
    password_reset,
    reauthentication,
    registration,
    rotation,
    sessions,
)
from app.auth.oauth import in_oauth_words
from app.auth.schemas import (
    AddressSchema,
    FreshAccessSchema,
    LoginFormSchema,
    LoginSchema,
    LogoutQuerySchema,
    MailedTokenSchema,
    NewAddressSchema,
    NothingSchema,
    PasswordChangeSchema,
    PasswordResetSchema,
    PasswordSchema,
    RefreshSchema,
    RegisterSchema,
    RevokeFormSchema,
    SessionListSchema,
    TokenFormSchema,
    TokenSchema,
    UserSchema,
)
from app.blueprint import Blueprint, accepted, refuses
from app.errors import (
    AppError,
    EmailNotVerified,
    EmailTaken,
    InactiveUser,
    InvalidCredentials,
    InvalidGrant,
    InvalidLink,
    InvalidRefreshToken,
    InvalidRequest,
    Message,
    NotAuthenticated,
    NotFound,
    Overloaded,
    RefreshTokenReused,
    UnsupportedGrantType,
    UsernameTaken,
    ValidationFailed,
    WrongPassword,
)
from app.limits import (
    MAIL,
    MAIL_PER_ADDRESS,
    REGISTER,
    TOKEN,
    limited,
    limited_guesses,
    limited_writes,
    to_address,
)
from app.models import Session, User
from app.security import access, tokens
from app.security.access import current_session, current_user, freshly_signed_in, signed_in
from app.security.client_address import current_client
from app.security.tokens import FreshAccess, RefreshClaims, TokenPair
from config import settings

R = TypeVar("R")

LOCAL_ALONE = Message("invalid_choice", "With a refresh token, only local.")

bp = Blueprint("auth", __name__, description="Who are you?")


@bp.post("/register")
@limited(REGISTER)
@bp.takes(RegisterSchema)
@refuses(EmailTaken, UsernameTaken, Overloaded)
@bp.also_returns(202, NothingSchema, description="Taken or not: see your mail")
@bp.returns(201, UserSchema, headers={"Location": {"schema": {"type": "string"}}})
def register(account: dict[str, Any]) -> tuple[User, int, dict[str, str]] | Any:
    """Make an account.

    Where `HIDE_ACCOUNT_EXISTENCE` is on, the answer is 202 and `{}` for a new
    and a taken address alike, and its owner is told by mail.
    """
    account["locale"] = languages.preferred(request.accept_languages)
    if settings.hide_account_existence:
        registration.register_quietly(**account)
        return accepted()
    user = registration.register(**account)
    return user, 201, {"Location": url_for("users.read_user_get", user_id=user.id)}


@bp.post("/login")
@limited_guesses
@bp.takes_json_or_form(LoginSchema, LoginFormSchema)
@refuses(InvalidCredentials, InactiveUser, EmailNotVerified, Overloaded)
@bp.returns(200, TokenSchema)
def login(credentials: dict[str, Any]) -> TokenPair:
    """Begin a session, with the email address or the username.

    Takes JSON, or OAuth 2's password form whose `username` holds either.
    """
    return sessions.start(authentication.authenticate(**credentials), current_client())


@bp.post("/refresh")
@limited(TOKEN)
@bp.takes(RefreshSchema, optional=True)
@refuses(NotAuthenticated, InvalidRefreshToken, RefreshTokenReused)
@bp.returns(200, TokenSchema)
def refresh(body: dict[str, Any]) -> TokenPair:
    """Swap a refresh token, sent in the body or as the Bearer token, for a new pair.

    Each refresh token works once. The one just superseded gets the same
    successor again for a short while, and after that, for some hours, a new one
    as long as nobody used the first, so that a lost answer signs nobody out.
    Any older one ends the session.
    """
    if "refresh_token" in body:
        return rotation.refresh(body["refresh_token"])
    return rotation.refresh(access.bearer_token())


def of_session_to_end(view: Callable[..., R]) -> Callable[..., R]:
    """Pass who logs out: the session of the access token, or a refresh token from the body."""

    @wraps(view)
    def with_session(*args: Any, **kwargs: Any) -> R:
        return view(*args, leaving=_who_leaves(), **kwargs)

    # The empty requirement: a refresh token in the body will do as well.
    return refuses(InvalidRefreshToken)(access.documents_access_token({})(with_session))


def _who_leaves() -> Session | RefreshClaims:
    try:
        return access.authenticate_request()
    except AppError as refusal:
        # A client whose access token has expired may still send it along with the refresh
        # token that is to be ended.
        try:
            refresh_token = bp.parse_optional_json(RefreshSchema).get("refresh_token")
        except AppError:
            if isinstance(refusal, NotAuthenticated):
                raise
            raise refusal from None
        if refresh_token is None:
            raise
        return tokens.read_refresh_token(refresh_token, allow_expired=True)


@bp.post("/logout")
@of_session_to_end
@bp.takes_query(LogoutQuerySchema)
@bp.documents_optional_body(RefreshSchema)
@bp.returns(204)
def logout(query: dict[str, Any], leaving: Session | RefreshClaims) -> None:
    """End the session of the access token, or of the refresh token in the body.

    At once and everywhere: all its tokens are dead on the next request. With
    an access token, `scope` may be `others` or `global` as well. Any genuine
    refresh token will do, superseded or expired though it be, but none from
    before a change of the password.
    """
    scope = sessions.Scope(query["scope"])
    if isinstance(leaving, Session):
        sessions.log_out(leaving, scope)
    elif scope is sessions.Scope.LOCAL:
        sessions.end(leaving.session_id, leaving.generation)
    else:
        raise ValidationFailed([LOCAL_ALONE.about("scope")])


@bp.get("/sessions")
@signed_in
@bp.returns(200, SessionListSchema)
def read_sessions() -> dict[str, Any]:
    """Your signed-in devices, the one seen last first."""
    return {"items": sessions.living(current_user())}


@bp.delete("/sessions/<uuid:session_id>")
@signed_in
@refuses(NotFound)
@bp.returns(204)
def end_session(session_id: UUID) -> None:
    """Sign one of your devices out."""
    sessions.end_one_of(current_session(), session_id)


@bp.post("/reauthenticate")
@signed_in
@limited_guesses
@bp.takes(PasswordSchema)
@refuses(WrongPassword, Overloaded)
@bp.returns(200, FreshAccessSchema)
def reauthenticate(body: dict[str, Any]) -> FreshAccess:
    """A fresh access token for the password, for calls that want a recent login."""
    return reauthentication.reauthenticate(current_session(), body["password"])


@bp.post("/token")
@in_oauth_words
@limited(TOKEN)
@bp.takes_form(TokenFormSchema)
@refuses(InvalidGrant, InvalidRequest, UnsupportedGrantType, Overloaded)
@bp.returns(200, TokenSchema)
def token(form: dict[str, Any]) -> TokenPair:
    """OAuth 2's token endpoint (RFC 6749 §4.3 and §6)."""
    give = token_for_password if oauth.is_login(form) else oauth.token
    return give(form, current_client())


token_for_password = limited_guesses(oauth.token)


@bp.post("/revoke")
@in_oauth_words
@limited(TOKEN)
@bp.takes_form(RevokeFormSchema)
@refuses(InvalidRequest)
@bp.returns(200, NothingSchema)
def revoke(form: dict[str, Any]) -> dict[str, Any]:
    """End the session of an access or a refresh token (RFC 7009); any other token is no error."""
    oauth.revoke(form["token"])
    return {}


@bp.post("/password/change")
@signed_in
@limited_writes
@limited_guesses
@bp.takes(PasswordChangeSchema)
@refuses(WrongPassword, Overloaded)
@bp.returns(200, TokenSchema)
def change_password(body: dict[str, Any]) -> TokenPair:
    """Set a new password. This session goes on with the new pair of tokens.

    Every token from before is dead, also copies of this session's own, and
    your other devices are signed out.
    """
    return password_change.change(current_session(), **body)


@bp.post("/password/forgot")
@limited(MAIL)
@bp.takes(AddressSchema)
@limited(MAIL_PER_ADDRESS, by=to_address)
@bp.returns(202, NothingSchema)
def forgot_password(body: dict[str, Any]) -> dict[str, Any]:
    """Ask for a link to set a new password. Whether there is an account is not told."""
    password_reset.forgot(body["email"])
    return {}


@bp.post("/password/reset")
@limited(TOKEN)
@bp.takes(PasswordResetSchema)
@refuses(InvalidLink, Overloaded)
@bp.returns(204)
def reset_password(body: dict[str, Any]) -> None:
    """Set a new password by the token of a mail; every device is signed out."""
    password_reset.reset(**body)


@bp.post("/not-me")
@limited(TOKEN)
@bp.takes(MailedTokenSchema)
@refuses(InvalidLink)
@bp.returns(204)
def repudiate(body: dict[str, Any]) -> None:
    """Say that it was not you: every device is signed out, and a link for a new password sent."""
    not_me.repudiate(body["token"])


@bp.post("/email/resend")
@limited(MAIL)
@bp.takes(AddressSchema)
@limited(MAIL_PER_ADDRESS, by=to_address)
@bp.returns(202, NothingSchema)
def resend_verification(body: dict[str, Any]) -> dict[str, Any]:
    """Ask for the link that confirms an address once more."""
    email_verification.resend(body["email"])
    return {}


@bp.post("/email/verify")
@limited(TOKEN)
@bp.takes(MailedTokenSchema)
@refuses(InvalidLink)
@bp.returns(204)
def verify_email(body: dict[str, Any]) -> None:
    """Confirm an address by the token of a mail."""
    email_verification.verify(body["token"])


@bp.post("/email/change")
@freshly_signed_in
@limited_writes
@limited(MAIL)
@bp.takes(NewAddressSchema)
@limited(MAIL_PER_ADDRESS, by=to_address)
@bp.returns(202, NothingSchema)
def change_email(body: dict[str, Any]) -> dict[str, Any]:
    """Ask to use another address. It counts once the link that is mailed to it was used."""
    email_change.ask(current_session(), body["new_email"])
    return {}


@bp.post("/email/change/confirm")
@limited(TOKEN)
@bp.takes(MailedTokenSchema)
@refuses(InvalidLink)
@bp.returns(204)
def confirm_email_change(body: dict[str, Any]) -> None:
    """Use the address that the token was mailed to."""
    email_change.confirm(body["token"])


@bp.post("/email/change/cancel")
@limited(TOKEN)
@bp.takes(MailedTokenSchema)
@refuses(InvalidLink)
@bp.returns(204)
def cancel_email_change(body: dict[str, Any]) -> None:
    """Stop a change of address, or undo it; every device is signed out."""
    email_change.cancel(body["token"])
