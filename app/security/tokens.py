"""Making and reading tokens. The only module that knows the claims.

A token names the user (``sub``), the session (``sid``) and the moment at which
it expires (``exp``). It says nothing that could change meanwhile: no address
and no right. Whether a token is still accepted depends on its session.
"""

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from jwt.exceptions import ExpiredSignatureError, InvalidTokenError, PyJWTError
from jwt.utils import base64url_decode

from app import clock
from app.errors import InvalidRefreshToken, InvalidToken, TokenExpired
from app.models import Session
from app.security import signing_keys
from app.security.signing_keys import KeyRing, signatures
from config import settings

CLOCK_SKEW = timedelta(seconds=10)
# A process remembers this many access tokens as genuine. Each takes about a kilobyte.
REMEMBERED_TOKENS = 1000
# Our tokens have 500 to 1,200 characters, depending on the algorithm. A text that is longer than
# this is refused without a look at it.
MAX_LENGTH = 4000
# The id of a user. Every number of this form fits into the column of the database.
SUBJECT = re.compile("[1-9][0-9]{0,17}")
# A private claim (RFC 7519 §4.3). A change of the password begins a new generation of tokens.
GENERATION = "gen"
REQUIRED_CLAIMS = frozenset(("iss", "aud", "sub", "sid", "jti", "iat", "exp", "type"))


class TokenPair(NamedTuple):
    access_token: str
    refresh_token: str
    expires_in: int
    token_type: str = "bearer"


class TokenPairForDevice(TokenPair):
    """A pair, and the token with which the device skips the second step from now on."""

    device_token: str


class FreshAccess(NamedTuple):
    access_token: str
    expires_in: int
    token_type: str = "bearer"


class RefreshClaims(NamedTuple):
    """The claims of a genuine refresh token."""

    user_id: int
    session_id: UUID
    generation: int
    jti: UUID


class Origin(NamedTuple):
    """The session to which a token belongs, and the generation of the token."""

    session_id: UUID
    generation: int


def pair_for(session: Session, *, fresh: bool = False) -> TokenPair:
    """Make a new access token, and the session's one refresh token.

    The refresh token is made from the session's row only, so the same row
    always gives the same token. ``fresh`` marks an access token that is made
    right after the user gave the password.
    """
    refresh_token = _sign(
        session,
        {
            "fresh": False,
            "iat": int(session.refreshed_at.timestamp()),
            "jti": str(session.refresh_jti),
            "type": "refresh",
            "exp": int(session.expires_at.timestamp()),
        },
    )
    access_token, expires_in = _access_token_for(session, fresh=fresh)
    return TokenPair(access_token, refresh_token, expires_in)


def fresh_access_for(session: Session) -> FreshAccess:
    """Make an access token right after the user gave the password. The session does not change."""
    return FreshAccess(*_access_token_for(session, fresh=True))


def origin_of(token: str) -> Origin | None:
    """Return the origin of a genuine token of either kind, even of an expired one.

    Returns ``None`` for any other text.
    """
    try:
        claims = read(token, allow_expired=True)
    except PyJWTError:
        return None
    return Origin(UUID(claims["sid"]), generation_of(claims))


def generation_of(claims: Mapping[str, Any]) -> int:
    """Return to which generation of its session's tokens a token belongs.

    A token of the first generation does not have this claim, because most
    sessions never have another generation.
    """
    return int(claims.get(GENERATION, 0))


def _authentication_claims(session: Session) -> dict[str, Any]:
    """How the user proved who they are (RFC 9068 §2.2.1), for services that read only tokens."""
    claims: dict[str, Any] = {"acr": f"aal{session.aal}", "amr": session.amr.split()}
    if session.authenticated_at:
        claims["auth_time"] = int(session.authenticated_at.timestamp())
    return claims


def _access_token_for(session: Session, *, fresh: bool) -> tuple[str, int]:
    """Make an access token, and say for how many seconds it works.

    It never works longer than its session.
    """
    now = clock.now()
    lifetime = min(settings.access_token_lifetime, session.expires_at - now)
    seconds = max(1, int(lifetime.total_seconds()))
    token = _sign(
        session,
        {
            "fresh": (now + settings.fresh_token_lifetime).timestamp() if fresh else False,
            "iat": int(now.timestamp()),
            "jti": str(uuid4()),
            "type": "access",
            "exp": int(now.timestamp()) + seconds,
            **_authentication_claims(session),
        },
        # RFC 9068 §2.1.
        typ="at+jwt",
    )
    return token, seconds


def _sign(session: Session, claims: dict[str, Any], **header: str) -> str:
    keys = signing_keys.current()
    claims = claims | {
        "sub": str(session.user_id),
        "sid": str(session.id),
        "iss": settings.public_url,
        "aud": settings.public_url,
    }
    if session.generation:
        claims[GENERATION] = session.generation
    payload = json.dumps(claims, separators=(",", ":")).encode()
    return signatures.encode(payload, keys.signing_key, keys.algorithm, keys.header | header)


def read_access_token(token: str) -> dict[str, Any]:
    """Return the claims of a valid access token. Raises ``InvalidToken`` or ``TokenExpired``."""
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
    """Return the claims of a genuine refresh token.

    Raises ``InvalidRefreshToken``, whatever is wrong with it.
    """
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
    """Return the claims of a genuine token of either kind. Raises ``PyJWTError`` for any other.

    ``jwt_required()`` reads tokens only by this function. Flask-JWT-Extended's
    own function would read a missing ``type`` as ``access`` and a missing
    ``jti`` as ``None``, and a token without ``exp`` would never expire.
    """
    return _in_force(_take_apart(token, signing_keys.current()), allow_expired=allow_expired)


class Genuine(NamedTuple):
    """A token whose signature was verified."""

    key_id: str | None
    claims: Mapping[str, Any]


def _take_apart(token: str, keys: KeyRing) -> Genuine:
    if len(token) > MAX_LENGTH:
        raise InvalidTokenError("too long")
    key_id = _key_id(token.partition(".")[0])
    key = keys.verifying_key(key_id)
    if key is None:
        raise InvalidTokenError("no such key")
    # Only one algorithm is allowed, so a key is never used as a key of another kind.
    payload = signatures.decode(token, key, algorithms=[keys.algorithm])
    try:
        claims = json.loads(payload)
    except (ValueError, RecursionError):
        raise InvalidTokenError("not JSON") from None
    if not isinstance(claims, dict) or not has_every_claim(claims) or not _is_ours(claims):
        raise InvalidTokenError("a claim is missing or of another kind")
    return Genuine(key_id, claims)


# A client sends its access token with every request, and a token that was genuine once stays
# genuine. A refresh token is sent once, so it is not remembered.
_take_apart_once = lru_cache(maxsize=REMEMBERED_TOKENS)(_take_apart)


def _in_force(token: Genuine, *, allow_expired: bool = False) -> dict[str, Any]:
    """Check what changes with time, and return a copy of the claims for the caller."""
    if signing_keys.current().verifying_key(token.key_id) is None:
        raise InvalidTokenError("no such key")
    if not allow_expired and token.claims["exp"] <= clock.now().timestamp():
        raise ExpiredSignatureError
    return dict(token.claims)


# All tokens of one kind that were signed with one key have the same header.
@lru_cache(maxsize=16)
def _key_id(header: str) -> Any:
    """Return the key id in the header. It is not verified yet, so it is only used to find a key."""
    try:
        return json.loads(base64url_decode(header)).get("kid")
    except (ValueError, AttributeError, RecursionError):
        # PyJWT will say what is wrong with the token.
        return None


def has_every_claim(claims: dict[str, Any]) -> bool:
    """Whether every required claim is there and has the right type."""
    return (
        claims.keys() >= REQUIRED_CLAIMS
        and claims["type"] in ("access", "refresh")
        and (claims["type"] == "refresh" or _is_freshness(claims.get("fresh")))
        and all(type(claims[name]) is int for name in ("iat", "exp"))
        and all(type(claims.get(name, 0)) is int for name in ("nbf", GENERATION))
        and isinstance(claims["sub"], str)
        and SUBJECT.fullmatch(claims["sub"]) is not None
        and all(_is_uuid(claims[name]) for name in ("sid", "jti"))
    )


def _is_ours(claims: dict[str, Any]) -> bool:
    """Whether this deployment made the token for itself, and not in the future.

    The clocks of two hosts may differ a little. A host must not refuse a token
    of another host because it seems to be made in the future. This does not
    make tokens last longer.
    """
    latest = (clock.now() + CLOCK_SKEW).timestamp()
    return (
        claims["iss"] == settings.public_url
        and claims["aud"] == settings.public_url
        and all(claims.get(name, 0) <= latest for name in ("iat", "nbf"))
    )


def _is_freshness(fresh: Any) -> bool:
    """Whether it is ``False``, or the time until which the login counts as recent.

    ``True`` is refused: it would make the token fresh until its end.
    """
    return fresh is False or type(fresh) in (int, float)


def _is_uuid(text: Any) -> bool:
    try:
        return isinstance(text, str) and str(UUID(text)) == text
    except ValueError:
        return False
