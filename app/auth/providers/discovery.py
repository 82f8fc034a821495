"""The metadata of a provider, and its keys (OpenID Connect Discovery 1.0)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from app.auth.providers import calls
from app.auth.providers.errors import ProviderFailed
from app.auth.providers.settings import Provider

# How long the documents of a provider are kept. The keys are read sooner where a token names an
# unknown one, but not more often than once a minute.
KEPT = timedelta(hours=1)
KEYS_READ_AGAIN = timedelta(minutes=1)

PATH = "/.well-known/openid-configuration"
# A URL that every program reads in the same way, without a fragment (RFC 6749 §3.1).
ENDPOINT = re.compile(r"https?://[!$&'()*+,\-./0-9:;=?@A-Z\[\]_a-z~%]{1,2000}")


@dataclass(frozen=True)
class Metadata:
    """Where the provider is called, and how (OpenID Connect Discovery 1.0 §3)."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    says_who_answers: bool
    takes_secret_in_header: bool
    algorithms: frozenset[str] | None


def metadata(provider: Provider) -> Metadata:
    """Raises ``ProviderFailed``, also if the document is that of another issuer."""
    url = provider.issuer.rstrip("/") + PATH
    found = calls.documents().read(url, younger_than=KEPT)
    said = calls.text_in(found, "issuer")
    if said != provider.issuer:
        raise ProviderFailed(
            f"its configuration names the issuer {said[:200]!r}, and the setting names "
            f"{provider.issuer!r}; they must be the same, character by character"
        )
    methods = found.get("token_endpoint_auth_methods_supported")
    algorithms = found.get("id_token_signing_alg_values_supported")
    return Metadata(
        authorization_endpoint=_endpoint(provider, found, "authorization_endpoint"),
        token_endpoint=_endpoint(provider, found, "token_endpoint"),
        jwks_uri=_endpoint(provider, found, "jwks_uri"),
        userinfo_endpoint=(
            _endpoint(provider, found, "userinfo_endpoint")
            if "userinfo_endpoint" in found
            else None
        ),
        says_who_answers=found.get("authorization_response_iss_parameter_supported") is True,
        takes_secret_in_header=not isinstance(methods, list) or "client_secret_basic" in methods,
        algorithms=_texts(algorithms) if isinstance(algorithms, list) else None,
    )


def keys(provider: Provider, *, younger_than: timedelta = KEPT) -> list[dict[str, Any]]:
    """The provider's keys as it publishes them. Raises ``ProviderFailed``."""
    found = calls.documents().read(metadata(provider).jwks_uri, younger_than=younger_than)
    listed = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(listed, list):
        raise ProviderFailed("its JWK Set has no keys")
    return [key for key in listed if isinstance(key, dict)]


def _endpoint(provider: Provider, document: Mapping[str, Any], name: str) -> str:
    url = calls.text_in(document, name)
    is_secure = url.startswith("https://") or provider.issuer.startswith("http://")
    if not ENDPOINT.fullmatch(url) or not is_secure:
        raise ProviderFailed(f"its {name} is not an https URL")
    return url


def _texts(values: list[Any]) -> frozenset[str]:
    return frozenset(value for value in values if isinstance(value, str))
