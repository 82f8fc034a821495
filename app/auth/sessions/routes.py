"""The calls on sessions."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar
from uuid import UUID

from app.access import cookies, csrf, guards, keys
from app.access.describing import documents_access_token
from app.access.guards import current_session, current_user, signed_in
from app.access.key_rules import says_about_keys
from app.access.levels import before_second_step
from app.access.limits import TOKEN, limited
from app.auth.schemas import TokenSchema
from app.auth.sessions import refreshing, sessions
from app.auth.sessions.schemas import (
    LogoutQuerySchema,
    RefreshSchema,
    SessionListSchema,
    SessionSchema,
    in_rough_order,
)
from app.errors import (
    AppError,
    CsrfFailed,
    InvalidRefreshToken,
    KeyNotAllowed,
    Message,
    NotAuthenticated,
    NotFound,
    RefreshTokenReused,
    Unauthorized,
    ValidationFailed,
)
from app.http import bearer
from app.http.blueprint import Blueprint, refuses
from app.models import Session
from app.security import tokens
from app.security.tokens import RefreshClaims, TokenPair

bp = Blueprint("sessions", __name__)

R = TypeVar("R")

LOCAL_ALONE = Message("invalid_choice", "With a refresh token, the scope must be local.")


@bp.post("/refresh")
@limited(TOKEN)
@bp.takes(RefreshSchema, optional=True)
@refuses(NotAuthenticated, InvalidRefreshToken, RefreshTokenReused, KeyNotAllowed)
@bp.returns(200, TokenSchema)
def refresh(body: dict[str, Any]) -> TokenPair:
    """Swap a refresh token for a new pair. Send it in the body or as the Bearer token.

    Each refresh token works once. The previous token may be sent again, so that a
    lost answer does not sign the user out. For a short while it gets the same
    successor again. After that, and for some hours, it gets a new successor if
    nobody has used the first one. Any older token ends the session.
    """
    if "refresh_token" in body:
        return refreshing.refresh(body["refresh_token"])
    token = bearer.bearer_token()
    keys.refuse(token)
    return refreshing.refresh(token)


def of_session_to_end(view: Callable[..., R]) -> Callable[..., R]:
    """Pass ``leaving``: the session of the access token, or a refresh token from the body."""

    @wraps(view)
    def with_session(*args: Any, **kwargs: Any) -> R:
        return view(*args, leaving=_who_leaves(), **kwargs)

    # The empty requirement says that a refresh token in the body is enough.
    described = documents_access_token({})(with_session)
    return refuses(InvalidRefreshToken, KeyNotAllowed)(says_about_keys(described, False))


def _who_leaves() -> Session | RefreshClaims:
    try:
        return _signed_in_session()
    except CsrfFailed:
        raise
    except AppError as refusal:
        if isinstance(refusal, Unauthorized) and guards.cookie_that_counts():
            # Somebody whose session is over already logs out as well.
            cookies.leave()
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


def _signed_in_session() -> Session:
    session = guards.authenticate_request()
    if session.kind == "cookie":
        csrf.refuse_other_types()
    return session


@bp.post("/logout")
@before_second_step
@of_session_to_end
@bp.takes_query(LogoutQuerySchema)
@bp.documents_optional_body(RefreshSchema)
@bp.returns(204)
def logout(query: dict[str, Any], leaving: Session | RefreshClaims) -> None:
    """End the session of the access token, or of the refresh token in the body.

    All tokens of the session stop working with the next request. With an access
    token, `scope` may also be `others` or `global`. The refresh token may be
    expired, or replaced by a newer one, but must not be from before a change of
    the password.
    """
    scope = sessions.Scope(query["scope"])
    if isinstance(leaving, Session):
        sessions.log_out(leaving, scope)
        if leaving.kind == "cookie" and scope is not sessions.Scope.OTHERS:
            cookies.leave()
    elif scope is sessions.Scope.LOCAL:
        sessions.end(leaving.session_id, leaving.generation)
    else:
        raise ValidationFailed([LOCAL_ALONE.about("scope")])


@bp.get("/sessions")
@before_second_step
@signed_in(keys=False)
@bp.returns(200, SessionListSchema)
def read_sessions() -> dict[str, Any]:
    """Your signed-in devices. The device that was seen last comes first."""
    return {"items": in_rough_order(sessions.live_sessions(current_user()))}


@bp.get("/sessions/current")
@before_second_step
@signed_in(keys=False)
@bp.returns(200, SessionSchema)
def read_current_session() -> Session:
    """The session of your access token. `fresh_until` says how long the token counts as recent."""
    return current_session()


@bp.delete("/sessions/<uuid:session_id>")
@before_second_step
@signed_in(keys=False)
@refuses(NotFound)
@bp.returns(204)
def end_session(session_id: UUID) -> None:
    """Sign one of your devices out."""
    sessions.end_one_of(current_session(), session_id)
    if session_id == current_session().id and current_session().kind == "cookie":
        cookies.leave()
