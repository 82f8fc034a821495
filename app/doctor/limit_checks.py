"""Checks of the limits, and of the proxies by which they know the clients."""

from app.doctor.checks import checks
from app.features.checks import Reason, Weight
from config import Settings


@checks(Weight.DANGEROUS, "Set RATELIMIT_ENABLED=true.")
def limits_are_on(settings: Settings) -> str | None:
    if not settings.ratelimit_enabled:
        return Reason("RATELIMIT_ENABLED is off: attackers may guess passwords at any speed.")
    return None


@checks(Weight.WEAK, "Set REDIS_URL, the same on every host.")
def limits_are_shared(settings: Settings) -> str | None:
    if not settings.redis_url and settings.web_concurrency > 1:
        return Reason(
            "REDIS_URL is not set: each of %(web_concurrency)s workers counts alone.",
            web_concurrency=settings.web_concurrency,
        )
    return None


@checks(Weight.WEAK, "Leave the limit out of the settings, or lower it.")
def limits_are_tight(settings: Settings) -> str | None:
    loose = [
        name
        for name, limits, most_an_hour in (
            ("RATELIMIT_LOGIN", settings.ratelimit_login, 600),
            ("RATELIMIT_LOGIN_FAILURES", settings.ratelimit_login_failures, 100),
            ("RATELIMIT_REGISTER", settings.ratelimit_register, 30),
            ("RATELIMIT_MAIL", settings.ratelimit_mail, 30),
            ("RATELIMIT_MAIL_PER_ADDRESS", settings.ratelimit_mail_per_address, 5),
            ("RATELIMIT_TOKEN", settings.ratelimit_token, 7200),
            ("RATELIMIT_WRITES", settings.ratelimit_writes, 7200),
        )
        if min(limit.amount * 3600 / limit.get_expiry() for limit in limits) > most_an_hour
    ]
    if not loose:
        return None
    return Reason("These limits are looser than by default: %(limits)s.", limits=", ".join(loose))


@checks(Weight.GOOD_TO_KNOW, "Name the proxy's addresses in TRUSTED_PROXIES, if there is one.")
def trusted_proxies(settings: Settings) -> str | None:
    if not settings.trusted_proxies and not settings.trusted_proxy_count:
        return Reason(
            "TRUSTED_PROXIES is empty: behind a proxy, all clients count as one for the limits.",
        )
    return None


@checks(Weight.DANGEROUS, "Name only the proxies in TRUSTED_PROXIES.")
def trusted_proxies_are_few(settings: Settings) -> str | None:
    wide = [
        str(network)
        for network in settings.trusted_proxies
        if not isinstance(network, str) and network.prefixlen < (16 if network.version == 4 else 48)
    ]
    if wide:
        return Reason(
            "TRUSTED_PROXIES has %(networks)s: too many hosts can claim any address.",
            networks=", ".join(wide),
        )
    return None


@checks(
    Weight.GOOD_TO_KNOW,
    "Let only the proxies reach the port, or name their addresses in TRUSTED_PROXIES.",
)
def proxies_are_known(settings: Settings) -> str | None:
    if settings.trusted_proxy_count:
        return Reason(
            "TRUSTED_PROXY_COUNT is set: a client that reaches the server without a proxy "
            "can claim any address.",
        )
    return None
