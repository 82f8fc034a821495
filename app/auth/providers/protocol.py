"""The protocol that a provider speaks: OpenID Connect, or what GitHub has in its place."""

from collections.abc import Mapping

from app.auth.providers import github, openid
from app.auth.providers.attempts import Purpose, Secrets
from app.auth.providers.errors import AttemptInvalid, ProviderFailed, ProviderRefused
from app.auth.providers.models import Attempt
from app.auth.providers.settings import Provider
from app.auth.providers.visitor import Visitor
from app.extensions import db

# The errors with which a provider says that the person declined, or that its rules forbid it
# (RFC 6749 §4.1.2.1, OpenID Connect Core 1.0 §3.1.2.6). Every other error is a fault of the
# provider, or of these settings.
DECLINED = (
    "access_denied",
    "account_selection_required",
    "consent_required",
    "interaction_required",
    "login_required",
    # Apple and LinkedIn have words of their own.
    "user_cancelled_authorize",
    "user_cancelled_login",
)


def authorization_url(provider: Provider, secrets: Secrets, *, again: bool) -> str:
    """Where the browser goes. ``again`` asks the provider for a new proof.

    Raises ``ProviderFailed``.
    """
    if provider.is_github:
        return github.authorization_url(provider, secrets)
    return openid.authorization_url(provider, secrets, again=again)


def identify(
    provider: Provider, attempt: Attempt, answer: Mapping[str, str], secrets: Secrets
) -> Visitor:
    """The person about whom the provider answers. Raises one of the errors of ``errors.py``.

    The connection is back in the pool while the provider is asked.
    """
    db.session.close()
    if provider.is_github:
        github.refuse_other_issuer(answer.get("iss"))
    else:
        openid.refuse_other_issuer(provider, answer.get("iss"))
    if "error" in answer:
        if answer["error"] in DECLINED:
            raise ProviderRefused
        raise ProviderFailed(f"it answered the error {answer['error'][:100]!r}")
    if "code" not in answer:
        raise AttemptInvalid
    if provider.is_github:
        return github.identify(provider, answer["code"], secrets)
    wants_proof = attempt.purpose == Purpose.REAUTHENTICATE
    proved_since = attempt.created_at if wants_proof else None
    return openid.identify(provider, answer["code"], secrets, proved_since=proved_since)
