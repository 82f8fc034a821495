"""Minting and reading tokens. The only module that knows the claims.

A token says who (``sub``), in which session (``sid``) and until when
(``exp``), and nothing that could change meanwhile: no address, no right.
Whether it is still good is the session's to say.
"""

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from flask_jwt_extended import create_access_token, create_refresh_token
from jwt import decode
from jwt.exceptions import ExpiredSignatureError, InvalidTokenError, PyJWTError
from jwt.utils import base64url_decode

from app import clock
from app.errors import InvalidRefreshToken, InvalidToken, TokenExpired
from app.models import Session
from app.security import signing_keys
from app.security.signing_keys import KeyRing
from config import settings

CLOCK_SKEW = timedelta(seconds=10)
# As many access tokens as a process remembers to have found genuine, a kilobyte each.
REMEMBERED_TOKENS = 1000
# Ours have 500 to 1,200 characters, by the algorithm. A longer text is not looked at.
MAX_LENGTH = 4000
# A user's id, well within what a database can compare.
SUBJECT = re.compile("[1-9][0-9]{0,17}")
# Private to us (RFC 7519 §4.3). A change of the password begins a new generation.
GENERATION = "gen"
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
    generation: int
    jti: UUID


class Origin(NamedTuple):
    """The session that a token belongs to, and which generation of its tokens."""

    session_id: UUID
    generation: int


def pair_for(session: Session, *, fresh: bool = False) -> TokenPair:
    """A new access token, and the session's one refresh token.

    The refresh token is made of the row alone, so that the same row gives the
    same token again. ``fresh`` marks an access token that follows a password.
    """
    refresh_token = create_refresh_token(
        session.user_id,
        additional_claims={
            **_origin_claims(session),
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


def origin_of(token: str) -> Origin | None:
    """That of a genuine token of either kind, expired or not; ``None`` for any other."""
    try:
        claims = read(token, allow_expired=True)
    except PyJWTError:
        return None
    return Origin(UUID(claims["sid"]), generation_of(claims))


def generation_of(claims: Mapping[str, Any]) -> int:
    """Which generation of its session's tokens a token belongs to.

    The first one goes without saying: few sessions ever have another.
    """
    return int(claims.get(GENERATION, 0))


def _origin_claims(session: Session) -> dict[str, Any]:
    claims = {"sid": str(session.id)}
    return claims | {GENERATION: session.generation} if session.generation else claims


def _access_token_for(session: Session, *, fresh: bool) -> tuple[str, int]:
    """An access token and the seconds it lasts; never longer than its session."""
    lifetime = min(settings.access_token_lifetime, session.expires_at - clock.now())
    seconds = max(1, int(lifetime.total_seconds()))
    token = create_access_token(
        session.user_id,
        fresh=settings.fresh_token_lifetime if fresh else False,
        expires_delta=timedelta(seconds=seconds),
        additional_claims=_origin_claims(session),
        # RFC 9068 §2.1.
        additional_headers={"typ": "at+jwt"},
    )
    return token, seconds


def read_access_token(token: str) -> dict[str, Any]:
    """The claims of a good access token. Raises ``InvalidToken``, or ``TokenExpired``."""
    try:
        claims = _in_force(_take_apart_once(token, signing_keys.current()))
    except ExpiredSignatureError:
        raise TokenExpired from None
    except PyJWTError:
        raise InvalidToken from None
    if claims["type"] != "access":
        raise InvalidToken
    return claims


def read_refresh_token(token: str, *, allow_expired: bool = False) -> RefreshClaims:
    """What a genuine refresh token says, else ``InvalidRefreshToken``, whatever is wrong."""
    try:
        claims = read(token, allow_expired=allow_expired)
    except PyJWTError:
        raise InvalidRefreshToken from None
    if claims["type"] != "refresh":
        raise InvalidRefreshToken
    return RefreshClaims(
        int(claims["sub"]), UUID(claims["sid"]), generation_of(claims), UUID(claims["jti"])
    )


def read(token: str, *, allow_expired: bool = False) -> dict[str, Any]:
    """The claims of a genuine token of either kind. Raises as PyJWT does, whatever is wrong.

    Flask-JWT-Extended reads tokens by this alone. It would fill in a missing
    ``type`` with ``access``, a missing ``jti`` with nothing, and take a token
    without ``exp`` for one that never expires.
    """
    return _in_force(_take_apart(token, signing_keys.current()), allow_expired=allow_expired)


class Genuine(NamedTuple):
    """What a token says whose signature was verified."""

    key_id: str | None
    claims: Mapping[str, Any]


def _take_apart(token: str, keys: KeyRing) -> Genuine:
    if len(token) > MAX_LENGTH:
        raise InvalidTokenError("too long")
    key_id = _key_id(token.partition(".")[0])
    key = keys.verifying_key(key_id)
    if key is None:
        raise InvalidTokenError("no such key")
    claims: dict[str, Any] = decode(
        token,
        key,
        # One algorithm in all: a key is never taken for one of another kind.
        algorithms=[keys.algorithm],
        audience=settings.public_url,
        issuer=settings.public_url,
        # Hosts whose clocks differ a little must not refuse each other's tokens as made in
        # the future; nothing lives longer for it.
        leeway=CLOCK_SKEW,
        options={"verify_exp": False},
    )
    if not has_every_claim(claims):
        raise InvalidTokenError("a claim is missing or of another kind")
    return Genuine(key_id, claims)


# A client sends its access token with every request, and what was genuine once stays genuine.
# Refresh tokens come once.
_take_apart_once = lru_cache(maxsize=REMEMBERED_TOKENS)(_take_apart)


def _in_force(token: Genuine, *, allow_expired: bool = False) -> dict[str, Any]:
    """The claims, of which each caller has its own. Here is asked what changes with time."""
    if signing_keys.current().verifying_key(token.key_id) is None:
        raise InvalidTokenError("no such key")
    if not allow_expired and token.claims["exp"] <= clock.now().timestamp():
        raise ExpiredSignatureError
    return dict(token.claims)


# All tokens of one kind and one key begin alike.
@lru_cache(maxsize=16)
def _key_id(header: str) -> Any:
    """What the header calls its key. Nothing vouches for it yet, so it is only looked up."""
    try:
        return json.loads(base64url_decode(header)).get("kid")
    except (ValueError, AttributeError, RecursionError):
        # PyJWT will say what is wrong with the token.
        return None


def has_every_claim(claims: dict[str, Any]) -> bool:
    """Whether every claim of the contract is there, and of its kind."""
    return (
        claims.keys() >= REQUIRED_CLAIMS
        and claims["type"] in ("access", "refresh")
        and (claims["type"] == "refresh" or _is_freshness(claims.get("fresh")))
        and all(type(claims[name]) is int for name in ("iat", "exp"))
        and type(claims.get(GENERATION, 0)) is int
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
