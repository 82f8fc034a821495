"""GitHub speaks OAuth 2 and not OpenID Connect. Its API says who somebody is."""

from typing import Any

from app.auth.providers import calls
from app.auth.providers.attempts import Secrets
from app.auth.providers.errors import AttemptInvalid, ProviderFailed
from app.auth.providers.openid import refuse_error, with_query
from app.auth.providers.settings import Provider
from app.auth.providers.visitor import Visitor, described_by

AUTHORIZATION = "https://github.com/login/oauth/authorize"
TOKEN = "https://github.com/login/oauth/access_token"  # noqa: S105 — an address
API = "https://api.github.com"
SCOPE = "read:user user:email"
# What GitHub may call itself where it answers (RFC 9207).
ISSUERS = (None, "https://github.com", "https://github.com/login/oauth")


def authorization_url(provider: Provider, secrets: Secrets) -> str:
    parameters = {
        "client_id": provider.client_id,
        "redirect_uri": provider.callback,
        "scope": SCOPE,
        "state": secrets.state,
        "code_challenge": secrets.challenge,
        "code_challenge_method": "S256",
    }
    return with_query(AUTHORIZATION, parameters)


def refuse_other_issuer(said: str | None) -> None:
    """Raises ``AttemptInvalid``."""
    if said not in ISSUERS:
        raise AttemptInvalid


def identify(provider: Provider, code: str, secrets: Secrets) -> Visitor:
    """Swap the code for the person. Raises ``ProviderFailed``."""
    form = {
        "client_id": provider.client_id,
        "client_secret": provider.client_secret,
        "code": code,
        "redirect_uri": provider.callback,
        "code_verifier": secrets.verifier,
    }
    answer = calls.post(TOKEN, form, {})
    refuse_error(answer)
    access_token = calls.text_in(answer, "access_token")
    person = calls.get(f"{API}/user", access_token=access_token)
    number = person.get("id") if isinstance(person, dict) else None
    # The login name may be given to somebody else; the number is never given again.
    if not isinstance(number, int) or isinstance(number, bool):
        raise ProviderFailed("its user has no number")
    address = _primary(calls.get(f"{API}/user/emails", access_token=access_token))
    claims = {"sub": str(number), "preferred_username": person.get("login"), **address}
    return described_by(provider, claims)


def _primary(listed: Any) -> dict[str, Any]:
    """The person's first address, if GitHub has verified it."""
    addresses = listed if isinstance(listed, list) else []
    for address in filter(lambda each: isinstance(each, dict), addresses):
        if address.get("primary") is True and address.get("verified") is True:
            return {"email": address.get("email"), "email_verified": True}
    return {}
