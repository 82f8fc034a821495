"""Minting and reading tokens. The only module that knows the claims.

A token says who (``sub``), in which session (``sid``) and until when
(``exp``), and nothing that could change meanwhile: no address, no right.
Whether it is still good is the session's to say.
"""

import re
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from flask_jwt_extended import create_access_token, create_refresh_token, decode_token
from flask_jwt_extended.exceptions import JWTDecodeError, JWTExtendedException
from jwt.exceptions import PyJWTError

from app import clock
from app.errors import InvalidRefreshToken
from app.extensions import jwt
from app.models import Session
from app.security import signing_keys
from config import Settings, settings

CLOCK_SKEW = timedelta(seconds=10)
# A user's id, well within what a database can compare.
SUBJECT = re.compile("[1-9][0-9]{0,17}")
REQUIRED_CLAIMS = frozenset(("iss", "aud", "sub", "sid", "jti", "iat", "exp", "type"))


class TokenPair(NamedTuple):
    access_token: str
    refresh_token: str
    expires_in: int
    token_type: str = "bearer"


class FreshAccess(NamedTuple):
    access_token: str
    expires_in: int
    token_type: str = "bearer"


class RefreshClaims(NamedTuple):
    """What a genuine refresh token says."""

    user_id: int
    session_id: UUID
    jti: UUID


def configuration(settings: Settings) -> dict[str, Any]:
    """Flask-JWT-Extended's own settings."""
    return {
        # One algorithm in all: a key is never taken for one of another kind.
        "JWT_ALGORITHM": settings.algorithm,
        "JWT_DECODE_ALGORITHMS": [settings.algorithm],
        "JWT_TOKEN_LOCATION": ["headers"],
        "JWT_ENCODE_ISSUER": settings.public_url,
        "JWT_DECODE_ISSUER": settings.public_url,
        "JWT_ENCODE_AUDIENCE": settings.public_url,
        "JWT_DECODE_AUDIENCE": settings.public_url,
        "JWT_ENCODE_NBF": False,
        # For tokens in cookies; here it would only add a random claim.
        "JWT_COOKIE_CSRF_PROTECT": False,
        # Hosts whose clocks differ a little must not refuse each other's tokens as made in
        # the future. Expiry is checked again without it.
        "JWT_DECODE_LEEWAY": CLOCK_SKEW,
    }


def pair_for(session: Session, *, fresh: bool = False) -> TokenPair:
    """A new access token, and the session's one refresh token.

    The refresh token is made of the row alone, so that the same row gives the
    same token again. ``fresh`` marks an access token that follows a password.
    """
    refresh_token = create_refresh_token(
        session.user_id,
        additional_claims={
            "sid": str(session.id),
            "jti": str(session.refresh_jti),
            "iat": int(session.refreshed_at.timestamp()),
            "exp": int(session.expires_at.timestamp()),
        },
    )
    access_token, expires_in = _access_token_for(session, fresh=fresh)
    return TokenPair(access_token, refresh_token, expires_in)


def fresh_access_for(session: Session) -> FreshAccess:
    """An access token that follows a password, for the session as it is."""
    return FreshAccess(*_access_token_for(session, fresh=True))


def session_of(token: str) -> UUID | None:
    """The session of a genuine token of either kind, expired or not; ``None`` for any other."""
    try:
        claims = decode_token(token, allow_expired=True)
    except (PyJWTError, JWTExtendedException):
        return None
    return UUID(claims["sid"])


def _access_token_for(session: Session, *, fresh: bool) -> tuple[str, int]:
    """An access token and the seconds it lasts; never longer than its session."""
    lifetime = min(settings.access_token_lifetime, session.expires_at - clock.now())
    seconds = max(1, int(lifetime.total_seconds()))
    token = create_access_token(
        session.user_id,
        fresh=settings.fresh_token_lifetime if fresh else False,
        expires_delta=timedelta(seconds=seconds),
        additional_claims={"sid": str(session.id)},
        # RFC 9068 §2.1.
        additional_headers={"typ": "at+jwt"},
    )
    return token, seconds


def read_refresh_token(token: str, *, allow_expired: bool = False) -> RefreshClaims:
    """What a genuine refresh token says, else ``InvalidRefreshToken``, whatever is wrong."""
    try:
        claims = decode_token(token, allow_expired=allow_expired)
    except (PyJWTError, JWTExtendedException):
        raise InvalidRefreshToken from None
    if claims["type"] != "refresh":
        raise InvalidRefreshToken
    return RefreshClaims(int(claims["sub"]), UUID(claims["sid"]), UUID(claims["jti"]))


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


@jwt.decode_key_loader
def verifying_key(header: dict[str, Any], claims: dict[str, Any]) -> Any:
    """The key to verify a token with; none for a token that lacks a claim.

    This is the last place that sees the claims as they were signed:
    Flask-JWT-Extended then fills in a missing ``type`` with ``access``, a
    missing ``jti`` with nothing, and takes a token without ``exp`` for one
    that never expires.
    """
    if not has_every_claim(claims):
        raise JWTDecodeError("a claim is missing or of another kind")
    key = signing_keys.current().verifying_key(header.get("kid"))
    if key is None:
        raise JWTDecodeError("no such key")
    return key


def has_every_claim(claims: dict[str, Any]) -> bool:
    """Whether every claim of the contract is there, and of its kind."""
    return (
        claims.keys() >= REQUIRED_CLAIMS
        and claims["type"] in ("access", "refresh")
        and (claims["type"] == "refresh" or _is_freshness(claims.get("fresh")))
        and all(type(claims[name]) is int for name in ("iat", "exp"))
        and isinstance(claims["sub"], str)
        and SUBJECT.fullmatch(claims["sub"]) is not None
        and all(_is_uuid(claims[name]) for name in ("sid", "jti"))
    )


def _is_freshness(fresh: Any) -> bool:
    """``False``, or the second until which the login counts as recent; never fresh for good."""
    return fresh is False or type(fresh) in (int, float)


def _is_uuid(text: Any) -> bool:
    try:
        return isinstance(text, str) and str(UUID(text)) == text
    except ValueError:
        return False
