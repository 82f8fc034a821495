"""The two calls of OAuth 2: the token endpoint and the revocation endpoint."""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from flask_babel import gettext

from app import features
from app.access import keys
from app.access.proof import by_password
from app.auth.login import login
from app.auth.login.authentication import authenticate
from app.auth.sessions import refreshing, sessions
from app.auth.sessions.handover import tokens_of
from app.errors import (
    AppError,
    BadRequest,
    InvalidCredentials,
    InvalidRefreshToken,
    LoginRefused,
    MfaRequired,
    ValidationFailed,
    WrongFactor,
)
from app.http.languages import LOCALES
from app.security import tokens
from app.security.tokens import TokenPair
from config import settings

P = ParamSpec("P")
R = TypeVar("R")
OWN_NAME = re.compile("[a-z_]{1,30}")


def in_oauth_words(view: Callable[P, R]) -> Callable[P, R]:
    """Answer with the errors of RFC 6749 §5.2. A refused user or token is ``invalid_grant``."""

    @wraps(view)
    def translated(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return view(*args, **kwargs)
        except (MfaRequired, WrongFactor) as refusal:
            words = {"error": refusal.code, "error_description": gettext(refusal.detail)}
            raise type(refusal)(**refusal.members, **words) from None
        except (InvalidCredentials, LoginRefused, InvalidRefreshToken):
            raise InvalidGrant from None
        except ValidationFailed as refusal:
            raise InvalidRequest(*_fields_in(refusal)) from None
        except BadRequest:
            raise InvalidRequest from None

    return translated


def _fields_in(refusal: ValidationFailed) -> list[str]:
    """The refused fields. One that no call has may have any name, so it is not repeated."""
    names = [error["pointer"].removeprefix("#/") for error in refusal.members["errors"]]
    return sorted({name for name in names if OWN_NAME.fullmatch(name)})


def is_login(form: dict[str, Any]) -> bool:
    return form.get("grant_type") == "password"


def token(form: dict[str, Any]) -> TokenPair:
    """A token pair for a password or a refresh token. Commits.

    Raises the errors of a login and of a refresh, ``InvalidRequest`` for a
    field that is missing, and ``UnsupportedGrantType``.
    """
    # A parameter without a value counts as missing (RFC 6749 §3.2).
    given = {name: value for name, value in form.items() if value}
    match given:
        case {"grant_type": "password", "username": username, "password": password}:
            user = authenticate(password, username=username)
            return tokens_of(login.start(user, by_password(given)))
        case {"grant_type": "refresh_token", "refresh_token": refresh_token}:
            return refreshing.refresh(refresh_token)
        case {"grant_type": "password"}:
            raise missing_in(given, "username", "password")
        case {"grant_type": "refresh_token"}:
            raise InvalidRequest("refresh_token")
        case {"grant_type": other}:
            return _of_feature(other, given)
    raise InvalidRequest("grant_type")


def missing_in(form: Mapping[str, Any], *fields: str) -> "InvalidRequest":
    """The refusal of a form that must have these fields."""
    return InvalidRequest(*(field for field in fields if field not in form))


def _of_feature(grant_type: str, given: dict[str, Any]) -> TokenPair:
    for feature in features.active():
        if grant_type in feature.grants:
            return feature.grants[grant_type](given)
    raise UnsupportedGrantType


def metadata() -> dict[str, Any]:
    """What the two calls can do (RFC 8414 §2). Clients are not registered, so none has a secret."""
    calls = f"{settings.public_url}/api/v1/auth"
    of_features = [name for feature in features.active() for name in feature.grants]
    return {
        "issuer": settings.public_url,
        "token_endpoint": f"{calls}/token",
        "revocation_endpoint": f"{calls}/revoke",
        "jwks_uri": f"{settings.public_url}/.well-known/jwks.json",
        "grant_types_supported": ["password", "refresh_token", *of_features],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "ui_locales_supported": list(LOCALES),
        "service_documentation": f"{settings.public_url}/docs",
    }


def revoke(token: str) -> None:
    """End the session of an access or a refresh token, or an API key. Commits.

    Any other token is not an error.
    """
    if not token:
        raise InvalidRequest("token")
    if keys.revoke(token):
        return
    origin = tokens.origin_of(token)
    if origin is not None:
        # A token from before a change of the password is not valid any more, and ends nothing.
        with suppress(InvalidRefreshToken):
            sessions.end(*origin)


class OAuthError(AppError):
    """An error in the form of OAuth 2 (RFC 6749 §5.2), inside the problem document."""

    status = 400

    def __init__(self) -> None:
        super().__init__(error=self.code, error_description=gettext(self.detail))


class InvalidGrant(OAuthError):
    code, detail = "invalid_grant", "The credentials or the refresh token are not accepted."


class InvalidRequest(OAuthError):
    """It names the fields, if they are known."""

    code, detail = "invalid_request", "A field is missing, repeated or not acceptable."

    def __init__(self, *fields: str) -> None:
        if fields:
            self.detail = gettext(
                "These fields are missing, repeated or not acceptable: %(fields)s.",
                fields=", ".join(fields),
            )
        super().__init__()


class UnsupportedGrantType(OAuthError):
    code, detail = "unsupported_grant_type", "This grant_type is not supported."
