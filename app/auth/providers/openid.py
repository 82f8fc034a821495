"""A client of OpenID Connect: sends people to a provider, and reads who they are there.

It uses the code flow with PKCE, and nothing else (OpenID Connect Core 1.0 §3.1,
RFC 6749, RFC 7636, RFC 9207). ``id_tokens.py`` checks what the provider signs.
"""

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote_plus, urlencode

from app.auth.providers import calls
from app.auth.providers.attempts import Secrets
from app.auth.providers.discovery import metadata
from app.auth.providers.errors import AttemptInvalid, ProviderFailed
from app.auth.providers.settings import Provider
from app.auth.providers.visitor import Visitor, described_by

# The second one is GitHub's.
CLIENT_REFUSED = ("invalid_client", "incorrect_client_credentials")


def authorization_url(provider: Provider, secrets: Secrets, *, again: bool) -> str:
    """Where the browser goes. ``again`` asks the provider for a new proof.

    Raises ``ProviderFailed``.
    """
    parameters = {
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": provider.callback,
        "scope": provider.scope,
        "state": secrets.state,
        "nonce": secrets.nonce,
        "code_challenge": secrets.challenge,
        "code_challenge_method": "S256",
    }
    if provider.answers_by_form:
        parameters["response_mode"] = "form_post"
    if again:
        parameters |= {"prompt": "login", "max_age": "0"}
    return with_query(metadata(provider).authorization_endpoint, parameters)


def with_query(endpoint: str, parameters: Mapping[str, str]) -> str:
    """An endpoint may have a query of its own, which stays (RFC 6749 §3.1)."""
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(parameters)}"


def refuse_other_issuer(provider: Provider, said: str | None) -> None:
    """Refuse an answer that another provider gave (RFC 9207). Raises ``AttemptInvalid``."""
    if said is None and not metadata(provider).says_who_answers:
        return
    if said != provider.issuer:
        raise AttemptInvalid


def identify(
    provider: Provider, code: str, secrets: Secrets, *, proved_since: datetime | None
) -> Visitor:
    """Swap the code for the person who stood behind it.

    The provider must have seen a proof of theirs after ``proved_since``.
    Raises ``OtherIdentity`` or ``ProviderFailed``.
    """
    from app.auth.providers import id_tokens

    answer = _swap(provider, code, secrets)
    claims = id_tokens.verified(calls.text_in(answer, "id_token"), provider, nonce=secrets.nonce)
    if proved_since is not None:
        id_tokens.refuse_older_proof(claims, proved_since)
    visitor = described_by(provider, claims)
    if "email" in claims:
        return visitor
    said = _userinfo(provider, answer, visitor)
    # The address and whether it is verified belong together.
    pair = {name: said.get(name) for name in ("email", "email_verified")}
    return described_by(provider, {**said, **claims, **pair})


def identify_by_token(provider: Provider, id_token: str, nonce: str) -> Visitor:
    """The person whom a native application of ours names. Raises ``ProviderFailed``."""
    from app.auth.providers import id_tokens

    return described_by(provider, id_tokens.verified(id_token, provider, nonce=nonce, native=True))


def _swap(provider: Provider, code: str, secrets: Secrets) -> Any:
    known = metadata(provider)
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": provider.callback,
        "code_verifier": secrets.verifier,
    }
    headers = {}
    if provider.client_key is None and known.takes_secret_in_header:
        # RFC 6749 §2.3.1: each half is encoded by itself.
        pair = f"{quote_plus(provider.client_id)}:{quote_plus(provider.client_secret)}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    else:
        form |= {"client_id": provider.client_id, "client_secret": _secret(provider)}
    answer = calls.post(known.token_endpoint, form, headers)
    refuse_error(answer)
    return answer


def refuse_error(answer: Any) -> None:
    """Raises ``ProviderFailed``. GitHub answers errors with the status 200."""
    error = answer.get("error") if isinstance(answer, dict) else None
    if error is None and isinstance(answer, dict):
        return
    reason = f"its token endpoint refused: {str(error)[:100]!r}"
    # RFC 6749 §5.2: a sentence for the developer of the client.
    if isinstance(answer, dict) and "error_description" in answer:
        reason += f", {str(answer['error_description'])[:200]!r}"
    if error in CLIENT_REFUSED:
        reason += "; compare the client id and the secret with those at the provider"
    raise ProviderFailed(reason)


def _secret(provider: Provider) -> str:
    if provider.client_key is None:
        return provider.client_secret
    from app.auth.providers import id_tokens

    return id_tokens.signed_client_secret(provider, provider.client_key)


def _userinfo(provider: Provider, answer: Any, visitor: Visitor) -> Mapping[str, Any]:
    """The claims at the userinfo endpoint, of the same person. Raises ``ProviderFailed``."""
    endpoint = metadata(provider).userinfo_endpoint
    if endpoint is None:
        return {}
    found = calls.get(endpoint, access_token=calls.text_in(answer, "access_token"))
    if calls.text_in(found, "sub") != visitor.subject:
        # OpenID Connect Core 1.0 §5.3.2: it belongs to somebody else.
        raise ProviderFailed("its userinfo is about another person")
    said: Mapping[str, Any] = found
    return said
