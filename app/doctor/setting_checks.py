"""Checks of settings."""

from datetime import timedelta

from app.doctor.checks import checks
from app.features.checks import Reason, Weight
from config import INSTANCE, Settings
from configuration import cores
from configuration.mail import mail_server

# The length is NIST SP 800-63B-4's (§3.1.1.2), for a password that is the only factor. The cost of
# bcrypt is OWASP's, raised for today's hardware. NIST §2.1.3 says how long a session may last.
NIST_PASSWORD_LENGTH = 15
GOOD_BCRYPT_ROUNDS = 12
LONGEST_SESSION = timedelta(days=30)
LONGEST_ACCESS_TOKEN = timedelta(hours=1)
LONGEST_FRESHNESS = timedelta(hours=1)
# NIST §3.1.3.2 limits the life of links and codes that are mailed to give access.
LONGEST_RESET_TOKEN = timedelta(hours=24)
LONGEST_RETRY_WINDOW = timedelta(minutes=1)
LONGEST_LATE_RETRY = timedelta(days=3)


HERE = ("localhost", "127.0.0.1", "::1")


@checks(Weight.DANGEROUS, "Set APP_ENV=production, which also refuses incomplete settings.")
def app_env(settings: Settings) -> str | None:
    if not settings.is_production:
        return Reason(
            "APP_ENV is %(app_env)s, so the server starts even with weak settings.",
            app_env=settings.app_env,
        )
    return None


@checks(Weight.WEAK, "Correct the name, or remove the variable.")
def variables_are_known(settings: Settings) -> str | None:
    if settings.warnings:
        return Reason(
            "%(warnings)s Such a variable has no effect.",
            warnings=" ".join(settings.warnings),
        )
    return None


@checks(Weight.DANGEROUS, "Set SECRET_KEY from your store of secrets, the same on every host.")
def secret_key_is_set(settings: Settings) -> str | None:
    kept = INSTANCE / "secret_key"
    if kept.is_file() and kept.read_text().strip() == settings.secret_key:
        return Reason(
            "SECRET_KEY was made at the first start, and is only in %(kept)s on this host.",
            kept=kept,
        )
    return None


@checks(Weight.WEAK, "Set DATABASE_URL=postgresql://….")
def database_is_postgresql(settings: Settings) -> str | None:
    if settings.uses_sqlite:
        return Reason("The database is SQLite, which serves one machine, and one writer at a time.")
    return None


@checks(Weight.DANGEROUS, "Set PUBLIC_URL=https://…, and let the proxy handle TLS.")
def public_url_is_https(settings: Settings) -> str | None:
    if not settings.public_url.startswith("https://"):
        return Reason(
            "PUBLIC_URL is %(public_url)s: others can read passwords, tokens and links.",
            public_url=settings.public_url,
        )
    return None


@checks(
    Weight.WEAK,
    "Raise BCRYPT_ROUNDS; the next login of each person renews their hash.",
)
def bcrypt_rounds(settings: Settings) -> str | None:
    if settings.bcrypt_rounds < GOOD_BCRYPT_ROUNDS:
        times = 2 ** (GOOD_BCRYPT_ROUNDS - settings.bcrypt_rounds)
        return Reason(
            "BCRYPT_ROUNDS is %(bcrypt_rounds)s: with stolen hashes, passwords are guessed "
            "%(times)s × faster than with %(good)s.",
            bcrypt_rounds=settings.bcrypt_rounds,
            times=times,
            good=GOOD_BCRYPT_ROUNDS,
        )
    return None


@checks(
    Weight.GOOD_TO_KNOW,
    "Leave HASH_CONCURRENCY out, unless other programs of this machine need those cores.",
)
def hash_concurrency(settings: Settings) -> str | None:
    usable = cores.usable()
    if settings.hash_concurrency < usable:
        return Reason(
            "HASH_CONCURRENCY is %(hash_concurrency)s: all workers together use "
            "%(hash_concurrency)s of %(usable)s cores for the passwords of logins.",
            hash_concurrency=settings.hash_concurrency,
            usable=usable,
        )
    return None


@checks(Weight.WEAK, "Raise PASSWORD_MIN_LENGTH; older passwords stay valid.")
def password_min_length(settings: Settings) -> str | None:
    if settings.password_min_length < NIST_PASSWORD_LENGTH:
        return Reason(
            "PASSWORD_MIN_LENGTH is %(password_min_length)s; NIST SP 800-63B-4 asks for "
            "%(least)s where the password is the only factor.",
            password_min_length=settings.password_min_length,
            least=NIST_PASSWORD_LENGTH,
        )
    return None


@checks(Weight.WEAK, "Set PASSWORD_REJECT_COMMON=true.")
def common_passwords_are_rejected(settings: Settings) -> str | None:
    if not settings.password_reject_common:
        return Reason("PASSWORD_REJECT_COMMON is off: people may choose what attackers try first.")
    return None


@checks(Weight.WEAK, "Set PASSWORD_BREACHED=local, or hibp to ask Have I Been Pwned too.")
def breached_passwords_are_rejected(settings: Settings) -> str | None:
    if settings.breached_passwords == "off":
        return Reason(
            "PASSWORD_BREACHED is off: people may choose passwords that were stolen elsewhere.",
        )
    return None


@checks(
    Weight.GOOD_TO_KNOW,
    "Set PASSWORD_PEPPERS=id:secret, and never lose it: no password can be verified without it.",
)
def peppers(settings: Settings) -> str | None:
    if not settings.password_peppers:
        return Reason(
            "PASSWORD_PEPPERS is empty: a copy of the database is enough to guess passwords.",
        )
    return None


@checks(
    Weight.GOOD_TO_KNOW,
    "Set REQUIRE_VERIFIED_EMAIL=true if people must prove that an address is theirs.",
)
def verified_email_is_required(settings: Settings) -> str | None:
    if not settings.require_verified_email:
        return Reason(
            "REQUIRE_VERIFIED_EMAIL is off: people can log in with an unconfirmed address.",
        )
    return None


@checks(
    Weight.GOOD_TO_KNOW,
    "Set HIDE_ACCOUNT_EXISTENCE=true if strangers must not learn which addresses have an account.",
)
def account_existence_is_hidden(settings: Settings) -> str | None:
    if not settings.hide_account_existence:
        return Reason(
            "HIDE_ACCOUNT_EXISTENCE is off: registration shows whether an address has an account.",
        )
    return None


@checks(Weight.DANGEROUS, "Set MAIL_URL=smtp://….")
def mail_is_sent(settings: Settings) -> str | None:
    scheme = settings.mail_url.partition("://")[0].lower()
    if scheme == "console":
        return Reason("MAIL_URL is console://: nobody gets the mails, and the log has their links.")
    if scheme == "file":
        return Reason(
            "MAIL_URL is a folder: nobody gets the mails, and the folder has their links.",
        )
    return None


@checks(Weight.DANGEROUS, "Add ?tls=starttls or ?tls=tls to MAIL_URL.")
def mail_is_encrypted(settings: Settings) -> str | None:
    if not settings.mail_url.lower().startswith("smtp://"):
        return None
    server = mail_server(settings.mail_url)
    if not server.tls and server.host not in HERE:
        return Reason(
            "Mail goes to %(host)s without TLS, and its links give access to accounts.",
            host=server.host,
        )
    return None


@checks(Weight.WEAK, "Name only https:// origins in CORS_ORIGINS.")
def cors_origins_are_https(settings: Settings) -> str | None:
    plain = [origin for origin in settings.cors_origins if origin.startswith("http://")]
    if plain:
        return Reason(
            "CORS_ORIGINS has %(origins)s: pages without TLS can be changed on the way.",
            origins=", ".join(plain),
        )
    return None


@checks(Weight.WEAK, "Name the hosts of your URLs in TRUSTED_HOSTS.")
def trusted_hosts(settings: Settings) -> str | None:
    if not settings.trusted_hosts:
        return Reason("TRUSTED_HOSTS is empty: the server accepts any Host header.")
    return None


@checks(Weight.WEAK, "Set LOG_LEVEL=INFO.")
def log_level(settings: Settings) -> str | None:
    if settings.log_level == "DEBUG":
        return Reason("LOG_LEVEL is DEBUG: libraries write lines that may hold secrets.")
    return None


@checks(Weight.WEAK, "Set REFRESH_RETRY_WINDOW_SECONDS=10.")
def retry_window(settings: Settings) -> str | None:
    if settings.refresh_retry_window > LONGEST_RETRY_WINDOW:
        return Reason(
            "REFRESH_RETRY_WINDOW_SECONDS is over a minute: during that time a copied token "
            "is not detected.",
        )
    return None


@checks(Weight.WEAK, "Set REFRESH_LATE_RETRY_HOURS=24.")
def late_retry(settings: Settings) -> str | None:
    if settings.refresh_late_retry > LONGEST_LATE_RETRY:
        return Reason(
            "REFRESH_LATE_RETRY_HOURS is over three days: a copied token that was "
            "superseded can be used for that long.",
        )
    return None


@checks(Weight.WEAK, "Shorten them; docs/security.md gives the reason for each default.")
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
    if not long:
        return None
    return Reason("These lifetimes are longer than usual: %(settings)s.", settings=", ".join(long))


@checks(Weight.WEAK, "Set METRICS_TOKEN, and let Prometheus send it as a bearer token.")
def metrics_are_guarded(settings: Settings) -> str | None:
    if settings.metrics_token:
        return None
    if settings.is_production:
        return Reason("METRICS_TOKEN is not set, so /metrics answers 404 and nothing is monitored.")
    return Reason("METRICS_TOKEN is not set: outside production, anybody can read /metrics.")
