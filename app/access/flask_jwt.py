"""The only file that knows Flask-JWT-Extended, so that ``jwt_required()`` works in any blueprint.

The application makes and reads its tokens without the library.
"""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from flask import g
from flask_jwt_extended import JWTManager, get_jwt
from jwt.exceptions import ExpiredSignatureError

from app.access import keys, levels
from app.access.attachment import Loaded
from app.access.live_session import SESSION_AND_USER, load_attached_user
from app.errors import AppError, InvalidToken, SessionEnded, TokenExpired
from app.http.bearer import bearer_token, missing_token
from app.http.problems import as_response
from app.models import User
from app.security import signing_keys, tokens
from config import Settings


class SingleReading(JWTManager):
    """Makes Flask-JWT-Extended read a token once and by our rules, not four times by its own.

    ``app/security/tokens.py`` says how a token is read; ``jwt_required()`` of
    any blueprint then reads it that way too.
    """

    read_token: Callable[..., dict[str, Any]]

    def _decode_jwt_from_config(
        self, encoded_token: str, csrf_value: object = None, allow_expired: bool = False
    ) -> dict[str, Any]:
        try:
            claims = self.read_token(encoded_token, allow_expired=allow_expired)
        except ExpiredSignatureError as error:
            # Flask-JWT-Extended hands these to the loader that words the refusal.
            error.jwt_header, error.jwt_data = {}, {}  # type: ignore[attr-defined]
            raise
        # The library looks at this claim alone. The token may be from before the second step was
        # switched on.
        if claims.get("fresh") and _lacks_own_factor(claims):
            claims["fresh"] = False
        return claims


jwt = SingleReading()


def configuration(settings: Settings) -> dict[str, Any]:
    """Flask-JWT-Extended's own settings."""
    return {
        "JWT_ALGORITHM": settings.algorithm,
        "JWT_TOKEN_LOCATION": ["headers"],
        "JWT_ENCODE_ISSUER": settings.public_url,
        "JWT_ENCODE_AUDIENCE": settings.public_url,
        "JWT_ENCODE_NBF": False,
        # For tokens in cookies; here it would only add a random claim.
        "JWT_COOKIE_CSRF_PROTECT": False,
    }


def show(claims: dict[str, Any], user: User) -> None:
    """Let the library's ``get_jwt()`` and ``current_user`` see who sends the request."""
    # It has no public way to say this; these are the names by which it looks.
    g._jwt_extended_jwt, g._jwt_extended_jwt_user = claims, Loaded(loaded_user=user)
    g._jwt_extended_jwt_location = "headers"


def shown_claims() -> dict[str, Any]:
    """The claims of the request's token. Only in a guarded view, or one of ``jwt_required()``."""
    claims: dict[str, Any] = get_jwt()
    return claims


# What follows is for code of others that calls ``create_access_token``.


@jwt.user_identity_loader
def subject_of(user_id: int) -> str:
    """RFC 7519 §4.1.2: the subject is a string."""
    return str(user_id)


@jwt.encode_key_loader
def signing_key(_identity: object) -> Any:
    return signing_keys.current().signing_key


@jwt.additional_headers_loader
def key_id_header(_identity: object) -> dict[str, str]:
    return dict(signing_keys.current().header)


@jwt.token_verification_loader
def is_access_token(_header: dict[str, Any], claims: dict[str, Any]) -> bool:
    """Flask-JWT-Extended takes any type but ``refresh`` for an access token."""
    return bool(claims["type"] == "access")


@jwt.unauthorized_loader
def _no_token(_reason: str) -> Any:
    return as_response(missing_token())


@jwt.invalid_token_loader
def _bad_token(_reason: str) -> Any:
    """``jwt_required()`` cannot say that API keys may make a call, so it refuses them."""
    try:
        keys.refuse(bearer_token())
    except AppError as refusal:
        return as_response(refusal)
    return as_response(InvalidToken())


def _answer(error: type[AppError]) -> Callable[..., Any]:
    return lambda *_: as_response(error())


def _not_fresh(_header: dict[str, Any], claims: dict[str, Any]) -> Any:
    aal = 2 if any(user.second_step_at for _, user in _session_of(claims)) else 1
    return as_response(levels.fresh_token_required(aal=aal))


def _lacks_own_factor(claims: dict[str, Any]) -> bool:
    return any(levels.lacks_own_factor(session, user) for session, user in _session_of(claims))


def _session_of(claims: dict[str, Any]) -> Any:
    """The session of a token with its user. It is not the session of the request yet."""
    return SESSION_AND_USER.run_alone(session_id=UUID(claims["sid"]))


# Flask-JWT-Extended words its refusals in its own way; these make it use ours.
jwt.expired_token_loader(_answer(TokenExpired))
jwt.needs_fresh_token_loader(_not_fresh)
jwt.revoked_token_loader(_answer(SessionEnded))
jwt.user_lookup_error_loader(_answer(SessionEnded))
jwt.token_verification_failed_loader(_answer(InvalidToken))
jwt.user_lookup_loader(load_attached_user)
# ``decode_token`` and ``jwt_required()`` read a token only with this function.
jwt.read_token = tokens.read
