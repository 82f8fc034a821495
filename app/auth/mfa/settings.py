"""The settings of second factors."""

from dataclasses import dataclass
from datetime import timedelta

from config import Limits
from configuration.refusals import Wrong
from configuration.table import variable
from configuration.values import days_or_zero, rate_limits


def totp_issuer(text: str) -> str:
    """An authenticator app separates the issuer from the account by a colon."""
    if ":" in text or not text.isprintable() or len(text) > 60:
        raise Wrong(
            f"is {text!r}, which an authenticator app cannot show. Write at most 60 characters, "
            "and no colon."
        )
    return text


@dataclass(frozen=True, kw_only=True)
class MfaSettings:
    remember_device_lifetime: timedelta = variable("REMEMBER_DEVICE_DAYS", "30", days_or_zero)
    totp_issuer: str = variable("TOTP_ISSUER", "", totp_issuer)
    ratelimit_factor: Limits = variable("RATELIMIT_FACTOR", "30 per hour", rate_limits)
    ratelimit_factor_network: Limits = variable(
        "RATELIMIT_FACTOR_NETWORK", "60 per hour", rate_limits
    )
