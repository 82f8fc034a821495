"""Is an ID token what OpenID Connect Core 1.0 §3.1.3.7 asks for?

joserfc compares the signature. Everything else stands here. It takes a few
MiB, so this module is imported when somebody first signs in with a provider.
"""

import base64
import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry

from app import clock
from app.auth.providers import discovery
from app.auth.providers.errors import OtherIdentity, ProviderFailed
from app.auth.providers.settings import ClientKey, Provider

# The algorithms that are accepted, and the kind of key of each. `none` and those of shared secrets
# are not among them.
KEY_TYPES = {"RS256": "RSA", "PS256": "RSA", "ES256": "EC", "EdDSA": "OKP", "Ed25519": "OKP"}
# An old name, under which joserfc warns, and the new one (RFC 9864).
NEW_NAMES = {"EdDSA": "Ed25519"}
# Shorter keys are weak, and longer ones are slow.
RSA_BITS = range(2048, 8193)
# Clocks differ.
LEEWAY = timedelta(seconds=60)
MAX_LENGTH = 16 * 1024
# Apple allows six months. It is made for one call.
SECRET_LIFETIME = timedelta(minutes=5)


def verified(
    token: str, provider: Provider, *, nonce: str, native: bool = False
) -> Mapping[str, Any]:
    """The claims of a genuine token that is for us and for this sign-in.

    A ``native`` application of ours may have its own client id. Raises ``ProviderFailed``.
    """
    if len(token) > MAX_LENGTH or not token.isascii():
        raise ProviderFailed("its ID token is too long")
    header = _header(token)
    # A token may have a list there, which cannot be looked up.
    algorithm = str(header.get("alg"))
    advertised = discovery.metadata(provider).algorithms
    if algorithm not in KEY_TYPES or (advertised is not None and algorithm not in advertised):
        raise ProviderFailed("its ID token has an algorithm that is not accepted")
    if "crit" in header or "b64" in header:
        raise ProviderFailed("its ID token has a header that is not understood")
    claims = _claims(token, _key(provider, header), algorithm)
    if claims.get("iss") != provider.issuer:
        raise ProviderFailed("its ID token is of another issuer")
    _refuse_unless_for(claims, provider, native=native)
    _refuse_unless_now(claims)
    said = claims.get("nonce")
    # It ties the token to the browser that began.
    if not isinstance(said, str) or not secrets.compare_digest(
        said.encode(errors="replace"), nonce.encode()
    ):
        raise ProviderFailed("its ID token is for another sign-in")
    return claims


def refuse_older_proof(claims: Mapping[str, Any], since: datetime) -> None:
    """Refuse a token that names no proof after ``since``: the provider did not ask the person.

    Raises ``OtherIdentity``.
    """
    try:
        proved_at = _instant(claims, "auth_time")
    except ProviderFailed:
        raise OtherIdentity from None
    if proved_at < since - LEEWAY:
        raise OtherIdentity


def signed_client_secret(provider: Provider, key: ClientKey) -> str:
    """What Apple takes as the secret of a client: a token that the client's key signed."""
    now = int(clock.now().timestamp())
    claims = {
        "iss": key.team_id,
        "sub": provider.client_id,
        "aud": provider.issuer,
        "iat": now,
        "exp": now + int(SECRET_LIFETIME.total_seconds()),
    }
    header = {"alg": "ES256", "kid": key.key_id}
    try:
        signing = ECKey.import_key(key.file.read_bytes())
        return jws.serialize_compact(header, json.dumps(claims), signing, algorithms=["ES256"])
    except (OSError, ValueError, JoseError) as error:
        raise ProviderFailed(f"the key of this server cannot be used: {error}") from None


def _header(token: str) -> dict[str, Any]:
    try:
        first, _, _ = token.split(".")
        header = json.loads(base64.urlsafe_b64decode(first + "=" * (-len(first) % 4)))
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise ProviderFailed("its ID token is not a signed token")
    return header


def _key(provider: Provider, header: Mapping[str, Any]) -> Any:
    """The provider's key that the token names. Only its own keys count, not one in the token."""
    found = _fitting(discovery.keys(provider), header)
    if not found:
        found = _fitting(discovery.keys(provider, younger_than=discovery.KEYS_READ_AGAIN), header)
    if len(found) != 1:
        raise ProviderFailed("its ID token names no key of its own")
    try:
        key = JWKRegistry.import_key(found[0])
        raw: Any = key.raw_value
        bits = raw.key_size if found[0]["kty"] == "RSA" else None
    except Exception as error:
        # The parsers of keys raise errors of many kinds for values that are not theirs.
        raise ProviderFailed(f"its key cannot be used: {type(error).__name__}") from None
    if bits is not None and bits not in RSA_BITS:
        raise ProviderFailed("its key is too short or too long")
    return key


def _fitting(keys: list[dict[str, Any]], header: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The keys that may have signed a token with this header. Without ``kid`` it may be several."""
    algorithm = header["alg"]
    names = (algorithm, NEW_NAMES.get(algorithm))
    return [
        key
        for key in keys
        if key.get("kty") == KEY_TYPES[algorithm]
        and key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) in names
        and ("kid" not in header or key.get("kid") == header["kid"])
    ]


def _claims(token: str, key: Any, algorithm: str) -> dict[str, Any]:
    registry = _Registry(algorithms=[algorithm], strict_check_header=False)
    # Microsoft's headers name a certificate too.
    registry.max_header_length = 4096
    try:
        signed = jws.deserialize_compact(token, key, registry=registry)
        claims = json.loads(signed.payload, object_pairs_hook=_each_once)
    except Exception as error:
        # Both libraries raise errors of many kinds for bytes that are not theirs.
        raise ProviderFailed(f"its ID token is not genuine: {type(error).__name__}") from None
    if not isinstance(claims, dict):
        raise ProviderFailed("its ID token has no claims")
    return claims


class _Registry(jws.JWSRegistry):
    def get_alg(self, name: str) -> Any:
        """The algorithm that an accepted name stands for."""
        return self.algorithms[NEW_NAMES[name]] if name in NEW_NAMES else super().get_alg(name)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two claims with one name, another program might read the other one."""
    claims = dict(pairs)
    if len(claims) != len(pairs):
        raise ValueError("a claim stands there twice")
    return claims


def _refuse_unless_for(claims: Mapping[str, Any], provider: Provider, *, native: bool) -> None:
    """Refuse a token for another program, or for another program too."""
    ours = {provider.client_id, *provider.audiences}
    named = claims.get("aud")
    audiences = [named] if isinstance(named, str) else named
    if not isinstance(audiences, list) or not audiences:
        raise ProviderFailed("its ID token is for nobody")
    if not all(isinstance(one, str) and one in ours for one in audiences):
        named = ", ".join(str(one)[:100] for one in audiences[:3])
        raise ProviderFailed(f"its ID token is for another program: {named!r}")
    if not native and provider.client_id not in audiences:
        raise ProviderFailed("its ID token is for another program of ours")
    # With several audiences, `azp` says to which of them the token was given.
    party = claims.get("azp", audiences[0] if len(audiences) == 1 else None)
    # A token may have a list there, which cannot be looked up.
    if not isinstance(party, str) or party not in (ours if native else {provider.client_id}):
        raise ProviderFailed("its ID token was given to another program")


def _refuse_unless_now(claims: Mapping[str, Any]) -> None:
    now = clock.now()
    if _instant(claims, "exp") <= now - LEEWAY:
        raise ProviderFailed("its ID token has expired")
    if _instant(claims, "iat") > now + LEEWAY:
        raise ProviderFailed("its ID token is from the future")
    if "nbf" in claims and _instant(claims, "nbf") > now + LEEWAY:
        raise ProviderFailed("its ID token is not valid yet")


def _instant(claims: Mapping[str, Any], name: str) -> datetime:
    seconds = claims.get(name)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise ProviderFailed(f"its ID token has no {name}")
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise ProviderFailed(f"its ID token has an impossible {name}") from None
