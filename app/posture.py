"""How well this deployment is protected: each check a function, and why, and what to do about it.

``flask doctor`` prints what they find. A check takes the settings and says in
a sentence what is wrong, or nothing. All are held against what production
should be, whatever ``APP_ENV`` says.
"""

import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError

from app import clock, fitness, migration_state
from app.extensions import db
from app.mail import outbox
from app.models import OutboxMessage, User
from app.security import sightings
from config import INSTANCE, ROOT, Settings
from config_mail import mail_server
from config_servers import database_hosts

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
OLDEST_SIGNING_KEY = timedelta(days=365)
OLDEST_MAIL = timedelta(minutes=15)
# docs/deploying.md asks for less than ten seconds between any two.
LARGEST_CLOCK_SKEW = timedelta(seconds=5)

READABLE_BY_OTHERS = stat.S_IRGRP | stat.S_IROTH
HERE = ("localhost", "127.0.0.1", "::1")


class Weight(StrEnum):
    """How bad it is. The first makes ``flask doctor`` fail."""

    DANGEROUS = "dangerous"
    WEAK = "weak"
    GOOD_TO_KNOW = "good to know"


Test = Callable[[Settings], str | None]


@dataclass(frozen=True)
class Check:
    """One thing to look at. Where one that ``stops`` finds something, no later one is asked."""

    name: str
    weight: Weight
    cure: str
    test: Test
    stops: bool


@dataclass(frozen=True)
class Finding:
    """What a check found: the reason, and the cure."""

    check: str
    weight: Weight
    reason: str
    cure: str


CHECKS: list[Check] = []


def findings(settings: Settings) -> Iterator[Finding]:
    """What is weaker than it should be."""
    for check in CHECKS:
        reason = check.test(settings)
        if reason is None:
            continue
        yield Finding(check.name, check.weight, reason, check.cure)
        if check.stops:
            return


def checks(weight: Weight, cure: str, *, stops: bool = False) -> Callable[[Test], Test]:
    """Add a function to the checks."""

    def register(test: Test) -> Test:
        CHECKS.append(Check(test.__name__, weight, cure, test, stops))
        return test

    return register


# The settings


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


# Files


@checks(Weight.DANGEROUS, "Run chmod 700 on the folder and 600 on the private keys.")
def signing_keys_are_private(settings: Settings) -> str | None:
    folder = settings.signing_keys_dir
    if folder is None:
        return None
    private = [path for path in sorted(folder.glob("*.pem")) if ".until-" not in path.name]
    open_to_others = [path.name for path in private if _others_may_read(path)]
    if open_to_others:
        return f"Other accounts of this host can read {', '.join(open_to_others)} in {folder}."
    return None


@checks(Weight.DANGEROUS, "Run chmod 600 .env.")
def env_file_is_private(settings: Settings) -> str | None:
    path = ROOT / ".env"
    if path.is_file() and _others_may_read(path):
        return f"Other accounts of this host can read {path}, where secrets are."
    return None


@checks(Weight.GOOD_TO_KNOW, "Change keys in three steps; docs/keys.md has them.")
def signing_key_is_young(settings: Settings) -> str | None:
    if settings.signing_keys_dir is None or settings.algorithm == "HS256":
        return None
    path = settings.signing_keys_dir / f"{settings.signing_key_id}.pem"
    made = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    if clock.now() - made > OLDEST_SIGNING_KEY:
        return f"The key {settings.signing_key_id} has been signing since {made:%Y-%m-%d}."
    return None


def _others_may_read(path: Path) -> bool:
    """Whether its mode lets others read it, in a folder that lets them in."""
    folder = path.parent.stat().st_mode & (stat.S_IXGRP | stat.S_IXOTH)
    return bool(folder and path.stat().st_mode & READABLE_BY_OTHERS)


# The database


@checks(
    Weight.DANGEROUS,
    "Look at DATABASE_URL, and whether the server runs and lets this host in.",
    stops=True,
)
def database_answers(_settings: Settings) -> str | None:
    try:
        with db.engine.connect():
            return None
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error)).partition("\n")[0]
        return f"The database does not answer: {reason}."


@checks(
    Weight.DANGEROUS,
    "Do what the sentence says: nothing is served from this database.",
    stops=True,
)
def database_is_fit(_settings: Settings) -> str | None:
    with db.engine.connect() as connection:
        flaws = migration_state.read(connection).flaws
    if "replica" in db.engines:
        try:
            flaws += fitness.flaws_of_the_replica(db.engines["replica"])
        except SQLAlchemyError as error:
            reason = str(getattr(error, "orig", error)).partition("\n")[0]
            flaws.append(f"The replica does not answer: {reason}.")
    return " ".join(flaws) or None


@checks(
    Weight.DANGEROUS,
    "Run chmod 600 on the file, and on those beside it that end in -wal and -shm.",
)
def database_file_is_private(settings: Settings) -> str | None:
    path = Path(db.engine.url.database or "")
    if settings.uses_sqlite and path.is_file() and _others_may_read(path):
        return f"Other accounts of this host can read {path}, where addresses and hashes are."
    return None


@checks(
    Weight.WEAK,
    "Set sslmode=verify-full in DATABASE_URL; sslrootcert names who signed the certificate.",
)
def database_is_verified(settings: Settings) -> str | None:
    if not _is_remote(settings):
        return None
    mode = settings.database_url.query.get("sslmode", "prefer")
    if mode in ("require", "verify-ca"):
        return f"sslmode is {mode}: another host can pose as the database."
    return None


@checks(Weight.DANGEROUS, "Set sslmode=verify-full in DATABASE_URL.")
def database_is_encrypted(settings: Settings) -> str | None:
    mode = settings.database_url.query.get("sslmode", "prefer")
    if _is_remote(settings) and mode not in ("require", "verify-ca", "verify-full"):
        hosts = " and ".join(database_hosts(settings.database_url))
        return f"Nothing makes the connection to {hosts} use TLS (sslmode is {mode})."
    return None


@checks(
    Weight.DANGEROUS,
    "Serve under a role of its own; docs/deploying.md has the statements.",
)
def role_is_no_superuser(settings: Settings) -> str | None:
    if settings.uses_sqlite:
        return None
    rights = "rolsuper OR rolcreaterole OR rolbypassrls"
    if _scalar(f"SELECT {rights} FROM pg_roles WHERE rolname = current_user"):  # noqa: S608
        return f"The role {settings.database_url.username} may do anything with the whole server."
    return None


@checks(
    Weight.WEAK,
    "Lower WEB_THREADS or WEB_CONCURRENCY, raise max_connections, or put PgBouncer in between.",
)
def connections_fit(settings: Settings) -> str | None:
    if settings.uses_sqlite:
        return None
    wanted = settings.web_concurrency * (settings.web_threads + 2)
    allowed = _scalar(
        "SELECT current_setting('max_connections')::int"
        " - current_setting('superuser_reserved_connections')::int"
    )
    if wanted > allowed:
        return f"This server may open {wanted} connections, and PostgreSQL allows {allowed} to all."
    return None


@checks(Weight.WEAK, "Let NTP keep the clocks of all hosts.")
def clocks_agree(settings: Settings) -> str | None:
    if settings.uses_sqlite:
        return None
    skew = abs(_scalar("SELECT clock_timestamp()") - clock.now())
    if skew > LARGEST_CLOCK_SKEW:
        seconds = round(skew.total_seconds())
        return f"The clocks of this host and of the database differ by {seconds} seconds."
    return None


@checks(Weight.DANGEROUS, "Run flask db upgrade.", stops=True)
def migrations_are_applied(_settings: Settings) -> str | None:
    with db.engine.connect() as connection:
        if not migration_state.read(connection).is_current:
            return "A migration is missing, so /readyz answers 503."
    return None


@checks(
    Weight.DANGEROUS,
    "Let DATABASE_URL lead to the server that writes; look whether its disk is full.",
)
def database_takes_writes(_settings: Settings) -> str | None:
    try:
        with db.engine.connect() as connection:
            migration_state.refuse_unless_writable(connection)
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error)).partition("\n")[0]
        return f"The database takes no writes: {reason}."
    return None


@checks(
    Weight.WEAK,
    "Let another role own the tables and migrate; docs/deploying.md has the statements.",
)
def role_cannot_change_tables(settings: Settings) -> str | None:
    if settings.uses_sqlite:
        return None
    if _scalar(
        "SELECT pg_has_role(relowner, 'USAGE') OR has_schema_privilege(relnamespace, 'CREATE')"
        " FROM pg_class WHERE oid = to_regclass('users')"
    ):
        return "The role that serves may change and drop the tables."
    return None


# What `flask db upgrade` leaves to a role that serves, and docs/audit.md lists.
RIGHTS_TO_EDIT_THE_LOG = """
SELECT string_agg(DISTINCT held.name || ' on ' || log.name, ', ')
  FROM (VALUES ('audit_events', '{ip,user_agent,personal}'::text[], 'DELETE,TRUNCATE'),
               ('audit_seals', '{salt}', 'DELETE,TRUNCATE'),
               ('audit_prunings', '{}', 'INSERT,DELETE,TRUNCATE')) AS log (name, erasable, rights)
 CROSS JOIN LATERAL (
    SELECT wanted FROM unnest(string_to_array(log.rights, ',')) AS wanted
     WHERE has_table_privilege(log.name, wanted)
    UNION ALL
    SELECT 'UPDATE' FROM pg_attribute
     WHERE attrelid = log.name::regclass AND attnum > 0 AND NOT attisdropped
       AND attname <> ALL (log.erasable) AND has_column_privilege(attrelid, attnum, 'UPDATE')
 ) AS held (name)
"""


@checks(
    Weight.WEAK,
    "Serve under a role that does not own the tables, and run the statements of docs/audit.md.",
)
def role_cannot_edit_the_audit_log(settings: Settings) -> str | None:
    if settings.uses_sqlite:
        return None
    rights = _scalar(RIGHTS_TO_EDIT_THE_LOG)
    if rights:
        return f"The role that serves can remove events from the audit log ({rights})."
    return None


# Both databases have three on each table.
TRIGGERS_OF_THE_LOG = 6


@checks(Weight.WEAK, "Make the triggers again; docs/audit.md has the statements.")
def audit_log_is_append_only(settings: Settings) -> str | None:
    enabled = (
        "SELECT count(*) FROM sqlite_master WHERE type = 'trigger'"
        " AND tbl_name IN ('audit_events', 'audit_seals')"
        if settings.uses_sqlite
        else "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal AND tgenabled IN ('O', 'A')"
        " AND tgrelid IN ('audit_events'::regclass, 'audit_seals'::regclass)"
    )
    missing = TRIGGERS_OF_THE_LOG - _scalar(enabled)
    if missing > 0:
        return f"{missing} of the triggers that keep the audit log append-only are missing."
    return None


@checks(Weight.GOOD_TO_KNOW, "Run flask users create … --superuser.")
def somebody_is_superuser(_settings: Settings) -> str | None:
    with db.engine.connect() as connection:
        some = select(User.id).where(User.is_superuser, User.is_active).limit(1)
        if connection.scalar(some) is None:
            return "There is no active superuser."
    return None


@checks(
    Weight.WEAK,
    "See flask outbox list, and whether the mail server takes mail.",
)
def mail_is_delivered(_settings: Settings) -> str | None:
    backlog = outbox.backlog()
    if backlog.oldest and clock.now() - backlog.oldest > OLDEST_MAIL:
        since = f"{backlog.oldest:%Y-%m-%d %H:%M}"
        return f"Waiting mails: {backlog.waiting}, the oldest since {since} UTC."
    return None


@checks(Weight.GOOD_TO_KNOW, "See flask outbox list; retry or drop them.")
def no_mail_was_set_aside(_settings: Settings) -> str | None:
    with db.engine.connect() as connection:
        aside = select(func.count()).where(OutboxMessage.set_aside_at.is_not(None))
        number = connection.scalar(aside)
    return f"Mails set aside, which nobody tries again: {number}." if number else None


@checks(Weight.WEAK, "See TRUSTED_PROXIES in docs/deploying.md.")
def nothing_odd_was_seen(_settings: Settings) -> str | None:
    told = [
        f"{sightings.Kind(seen.kind).meaning} (Last: {seen.detail}, {seen.seen_at:%Y-%m-%d}.)"
        for seen in sightings.what_was_seen()
    ]
    return " ".join(told) or None


@checks(Weight.WEAK, "Name the proxy in TRUSTED_PROXIES.")
def logins_come_from_several_addresses(_settings: Settings) -> str | None:
    address = sightings.only_address()
    return f"All recent logins come from {address}." if address else None


def _is_remote(settings: Settings) -> bool:
    hosts = database_hosts(settings.database_url)
    return any(host not in HERE and not host.startswith("/") for host in hosts)


def _scalar(statement: str) -> Any:
    with db.engine.connect() as connection:
        return connection.scalar(text(statement))
