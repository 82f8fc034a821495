"""The calls under ``/auth``."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar
from uuid import UUID

from flask import request, url_for
from flask_jwt_extended.exceptions import JWTExtendedException, NoAuthorizationError
from jwt.exceptions import PyJWTError

from app.auth import registration, sessions
from app.auth.authentication import authenticate
from app.auth.schemas import (
    LoginFormSchema,
    LoginSchema,
    LogoutQuerySchema,
    RefreshSchema,
    RegisterSchema,
    TokenSchema,
    UserSchema,
)
from app.blueprint import Blueprint, refuses
from app.errors import (
    AppError,
    EmailTaken,
    InactiveUser,
    InvalidCredentials,
    InvalidRefreshToken,
    NotAuthenticated,
    RefreshTokenReused,
    UsernameTaken,
)
from app.models import User
from app.security import access, tokens
from app.security.client_address import current_client
from app.security.tokens import TokenPair

R = TypeVar("R")

bp = Blueprint("auth", __name__, description="Who are you?")


@bp.post("/register")
@bp.takes(RegisterSchema)
@refuses(EmailTaken, UsernameTaken)
@bp.returns(201, UserSchema, headers={"Location": {"schema": {"type": "string"}}})
def register(account: dict[str, Any]) -> tuple[User, int, dict[str, str]]:
    """Make an account."""
    locale = registration.preferred_locale(request.accept_languages)
    user = registration.register(**account, locale=locale)
    return user, 201, {"Location": url_for("users.read_user_get", user_id=user.id)}


@bp.post("/login")
@bp.takes_json_or_form(LoginSchema, LoginFormSchema)
@refuses(InvalidCredentials, InactiveUser)
@bp.returns(200, TokenSchema)
def login(credentials: dict[str, Any]) -> TokenPair:
    """Begin a session, with the email address or the username.

    Takes JSON, or OAuth 2's password form whose `username` holds either.
    """
    return sessions.start(authenticate(**credentials), current_client())


@bp.post("/refresh")
@bp.takes(RefreshSchema, optional=True)
@refuses(NotAuthenticated, InvalidRefreshToken, RefreshTokenReused)
@bp.returns(200, TokenSchema)
def refresh(body: dict[str, Any]) -> TokenPair:
    """Swap a refresh token, sent in the body or as the Bearer token, for a new pair.

    Each refresh token works once. The one just superseded gets the same
    successor again for a short while, so that a lost answer signs nobody out;
    any older one ends the session.
    """
    if "refresh_token" in body:
        return sessions.refresh(body["refresh_token"])
    return sessions.refresh(access.bearer_token())


def of_session_to_end(view: Callable[..., R]) -> Callable[..., R]:
    """Pass the session of the access token, else that of the refresh token in the body."""

    @wraps(view)
    def with_session(*args: Any, **kwargs: Any) -> R:
        return view(*args, session_id=_session_to_end(), **kwargs)

    # The empty requirement: a refresh token in the body will do as well.
    return refuses(InvalidRefreshToken)(access.documents_access_token({})(with_session))


def _session_to_end() -> UUID:
    try:
        return access.authenticate_request().id
    except (AppError, JWTExtendedException, PyJWTError) as refusal:
        # A client whose access token has expired may still send it along with the refresh
        # token that is to be ended.
        nothing_sent = isinstance(refusal, NoAuthorizationError)
        try:
            refresh_token = bp.parse_optional_json(RefreshSchema).get("refresh_token")
        except AppError:
            if nothing_sent:
                raise
            raise refusal from None
        if refresh_token is None:
            raise
        return tokens.read_refresh_token(refresh_token, allow_expired=True).session_id


@bp.post("/logout")
@of_session_to_end
@bp.takes_query(LogoutQuerySchema)
@bp.documents_optional_body(RefreshSchema)
@bp.returns(204)
def logout(query: dict[str, Any], session_id: UUID) -> None:
    """End the session of the access token, or of the refresh token in the body.

    At once and everywhere: all its tokens are dead on the next request. Any
    genuine refresh token will do, superseded or expired though it be.
    """
    sessions.end(session_id)
