"""Operators learn of sign-ins with providers here: a metric, and in the log why one failed."""

import logging

from app.auth.providers.errors import ProviderFailed
from app.auth.providers.settings import Provider
from app.errors import AppError
from app.observability import metrics

log = logging.getLogger(__name__)


def count(provider: Provider, result: str) -> None:
    metrics.PROVIDER_SIGN_INS.labels(provider.name, result).inc()


def count_refusal(provider: Provider, refusal: AppError) -> None:
    """Count a refusal. If the provider failed, the log says why, and the answer does not."""
    count(provider, refusal.code)
    if isinstance(refusal, ProviderFailed):
        log.warning(
            "a sign-in with a provider failed",
            extra={"provider": provider.name, "reason": refusal.reason},
        )
