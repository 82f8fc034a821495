"""Checks of settings."""

from datetime import timedelta

from app.doctor.checks import Weight, checks
from config import INSTANCE, Settings
from config_mail import mail_server

# NIST SP 800-63B-4 §3.1.1.2, where the password is the only factor; OWASP's cost of bcrypt with
# today's hardware in mind; §2.1.3 for how long a session may last.
NIST_PASSWORD_LENGTH = 15
GOOD_BCRYPT_ROUNDS = 12
LONGEST_SESSION = timedelta(days=30)
LONGEST_ACCESS_TOKEN = timedelta(hours=1)
LONGEST_FRESHNESS = timedelta(hours=1)
# §3.1.3.2 of the same: what is mailed to give access.
LONGEST_RESET_TOKEN = timedelta(hours=24)
LONGEST_RETRY_WINDOW = timedelta(minutes=1)
LONGEST_LATE_RETRY = timedelta(days=3)


HERE = ("localhost", "127.0.0.1", "::1")


@checks(Weight.DANGEROUS, "Set APP_ENV=production, which also refuses what is half configured.")
def app_env(settings: Settings) -> str | None:
    if not settings.is_production:
        return f"APP_ENV is {settings.app_env}, so weak settings start without a word."
    return None


@checks(Weight.DANGEROUS, "Set SECRET_KEY, from where secrets are kept, the same on every host.")
def secret_key_is_set(settings: Settings) -> str | None:
    kept = INSTANCE / "secret_key"
    if kept.is_file() and kept.read_text().strip() == settings.secret_key:
        return f"SECRET_KEY was made up at the first start and lies in {kept}, on this host alone."
    return None


@checks(Weight.WEAK, "Set DATABASE_URL=postgresql://….")
def database_is_postgresql(settings: Settings) -> str | None:
    if settings.uses_sqlite:
        return "The database is SQLite: one machine, and one writer at a time."
    return None


@checks(Weight.DANGEROUS, "Write PUBLIC_URL=https://…, and end TLS at the proxy.")
def public_url_is_https(settings: Settings) -> str | None:
    if not settings.public_url.startswith("https://"):
        return f"PUBLIC_URL is {settings.public_url}: passwords, tokens and links travel readable."
    return None


@checks(Weight.WEAK, f"Set BCRYPT_ROUNDS={GOOD_BCRYPT_ROUNDS}; hashes follow at each login.")
def bcrypt_rounds(settings: Settings) -> str | None:
    if settings.bcrypt_rounds < GOOD_BCRYPT_ROUNDS:
        times = 2 ** (GOOD_BCRYPT_ROUNDS - settings.bcrypt_rounds)
        return f"BCRYPT_ROUNDS is {settings.bcrypt_rounds}: hashes are guessed {times} × faster."
    return None


@checks(Weight.WEAK, f"Set PASSWORD_MIN_LENGTH={NIST_PASSWORD_LENGTH}; older passwords stay good.")
def password_min_length(settings: Settings) -> str | None:
    if settings.password_min_length < NIST_PASSWORD_LENGTH:
        return (
            f"PASSWORD_MIN_LENGTH is {settings.password_min_length}; NIST SP 800-63B-4 asks for "
            f"{NIST_PASSWORD_LENGTH} where the password is the only factor."
        )
    return None


@checks(Weight.WEAK, "Set PASSWORD_REJECT_COMMON=true.")
def common_passwords_are_rejected(settings: Settings) -> str | None:
    if not settings.password_reject_common:
        return "PASSWORD_REJECT_COMMON is off: people may choose what attackers try first."
    return None


@checks(Weight.GOOD_TO_KNOW, "Set PASSWORD_PEPPERS=id:secret, and keep it for good.")
def peppers(settings: Settings) -> str | None:
    if not settings.password_peppers:
        return "There is no pepper: a copy of the database is enough to guess passwords at leisure."
    return None


@checks(Weight.GOOD_TO_KNOW, "Set REQUIRE_VERIFIED_EMAIL=true if addresses must belong to people.")
def verified_email_is_required(settings: Settings) -> str | None:
    if not settings.require_verified_email:
        return "REQUIRE_VERIFIED_EMAIL is off: people log in with addresses that nobody confirmed."
    return None


@checks(Weight.GOOD_TO_KNOW, "Set HIDE_ACCOUNT_EXISTENCE=true if that is confidential.")
def account_existence_is_hidden(settings: Settings) -> str | None:
    if not settings.hide_account_existence:
        return "HIDE_ACCOUNT_EXISTENCE is off: registration tells whose address has an account."
    return None


@checks(Weight.DANGEROUS, "Set MAIL_URL=smtp://….")
def mail_is_sent(settings: Settings) -> str | None:
    scheme = settings.mail_url.partition("://")[0].lower()
    if scheme == "console":
        return "MAIL_URL is console://: links that give access are in the log, and nowhere else."
    if scheme == "file":
        return "MAIL_URL is a folder: nobody gets the mails, and whoever reads it has the links."
    return None


@checks(Weight.DANGEROUS, "Add ?tls=starttls or ?tls=tls to MAIL_URL.")
def mail_is_encrypted(settings: Settings) -> str | None:
    if not settings.mail_url.lower().startswith("smtp://"):
        return None
    server = mail_server(settings.mail_url)
    if not server.tls and server.host not in HERE:
        return f"Mail goes to {server.host} without TLS, with links in it that give access."
    return None


@checks(Weight.WEAK, "Name https:// origins alone in CORS_ORIGINS.")
def cors_origins_are_https(settings: Settings) -> str | None:
    plain = [origin for origin in settings.cors_origins if origin.startswith("http://")]
    if plain:
        return f"CORS_ORIGINS has {', '.join(plain)}, whose pages anybody on the way can change."
    return None


@checks(Weight.WEAK, "Name the hosts to answer to in TRUSTED_HOSTS.")
def trusted_hosts(settings: Settings) -> str | None:
    if not settings.trusted_hosts:
        return "TRUSTED_HOSTS is empty: any Host header is answered."
    return None


@checks(Weight.WEAK, "Set LOG_LEVEL=INFO.")
def log_level(settings: Settings) -> str | None:
    if settings.log_level == "DEBUG":
        return "LOG_LEVEL is DEBUG: libraries log what nobody has looked through for secrets."
    return None


@checks(Weight.WEAK, "Set REFRESH_RETRY_WINDOW_SECONDS=10.")
def retry_window(settings: Settings) -> str | None:
    if settings.refresh_retry_window > LONGEST_RETRY_WINDOW:
        return "REFRESH_RETRY_WINDOW_SECONDS is over a minute: so long no copied token is noticed."
    return None


@checks(Weight.WEAK, "Set REFRESH_LATE_RETRY_HOURS=24.")
def late_retry(settings: Settings) -> str | None:
    if settings.refresh_late_retry > LONGEST_LATE_RETRY:
        return (
            "REFRESH_LATE_RETRY_HOURS is over three days: a copied token that was superseded is "
            "good for that long."
        )
    return None


@checks(Weight.WEAK, "Shorten what is named; docs/security.md says why each is as long as it is.")
def lifetimes(settings: Settings) -> str | None:
    session = min(settings.refresh_token_lifetime, settings.session_max_age)
    long = [
        name
        for name, lifetime, longest in (
            ("ACCESS_TOKEN_EXPIRE_MINUTES", settings.access_token_lifetime, LONGEST_ACCESS_TOKEN),
            ("FRESH_TOKEN_EXPIRE_MINUTES", settings.fresh_token_lifetime, LONGEST_FRESHNESS),
            ("RESET_TOKEN_EXPIRE_MINUTES", settings.reset_token_lifetime, LONGEST_RESET_TOKEN),
            ("SESSION_MAX_AGE_DAYS", settings.session_max_age, LONGEST_SESSION),
            ("REFRESH_TOKEN_EXPIRE_DAYS", session, LONGEST_SESSION),
        )
        if lifetime > longest
    ]
    return f"{', '.join(long)}: longer than usual." if long else None


@checks(Weight.WEAK, "Set METRICS_TOKEN, and let Prometheus send it as Bearer.")
def metrics_are_guarded(settings: Settings) -> str | None:
    if settings.metrics_token:
        return None
    if settings.is_production:
        return "METRICS_TOKEN is not set, so /metrics answers 404 and nobody counts anything."
    return "METRICS_TOKEN is not set: outside production, anybody who reaches /metrics reads it."


@checks(Weight.DANGEROUS, "Set RATELIMIT_ENABLED=true.")
def limits_are_on(settings: Settings) -> str | None:
    if not settings.ratelimit_enabled:
        return "RATELIMIT_ENABLED is off: passwords may be guessed at any speed."
    return None


@checks(Weight.WEAK, "Set REDIS_URL, the same on every host.")
def limits_are_shared(settings: Settings) -> str | None:
    if not settings.redis_url and settings.web_concurrency > 1:
        return f"There is no REDIS_URL: each of {settings.web_concurrency} workers counts alone."
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
    return f"{', '.join(loose)}: looser than by default." if loose else None


@checks(Weight.GOOD_TO_KNOW, "Name the proxy's addresses in TRUSTED_PROXIES, if there is one.")
def trusted_proxies(settings: Settings) -> str | None:
    if not settings.trusted_proxies and not settings.trusted_proxy_count:
        return "TRUSTED_PROXIES is empty: behind a proxy, everybody shares the limits of one."
    return None


@checks(Weight.DANGEROUS, "Name the proxies alone in TRUSTED_PROXIES.")
def trusted_proxies_are_few(settings: Settings) -> str | None:
    wide = [
        str(network)
        for network in settings.trusted_proxies
        if not isinstance(network, str) and network.prefixlen < (16 if network.version == 4 else 48)
    ]
    return f"TRUSTED_PROXIES has {', '.join(wide)}: many may claim any address." if wide else None


@checks(
    Weight.GOOD_TO_KNOW,
    "Let nobody but the proxies reach the port, or name their addresses in TRUSTED_PROXIES.",
)
def proxies_are_known(settings: Settings) -> str | None:
    if settings.trusted_proxy_count:
        return (
            "TRUSTED_PROXY_COUNT is set: a client that reaches the server past the proxies can "
            "claim any address."
        )
    return None
