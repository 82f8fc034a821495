"""The settings of the core, one line each: the variable, its default, and what reads its text.

The name and the looks of the product are in ``configuration/brand.py``.
``create_app`` calls ``Settings.from_environment()``. A wrong value stops the
start. Each message names the variable and says what is wrong and what to write
instead. ``docs/settings.md`` explains each setting to operators.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar, cast

from flask import current_app
from limits import RateLimitItem
from sqlalchemy.engine import URL
from werkzeug.local import LocalProxy

from configuration import cores, env_file, required, unknown
from configuration.brand import BrandSettings
from configuration.database_url import database_url, in_folder, replica_url
from configuration.hosts import Network, called_network, header, host, is_secure, origin, proxy
from configuration.kept_secret import kept_secret
from configuration.mail import mail_from, mail_url
from configuration.refusals import SettingsRefused as SettingsRefused
from configuration.table import Reading, variable
from configuration.values import (
    boolean,
    days,
    days_or_zero,
    feature_name,
    file,
    firebase_signer_key,
    folder,
    hours,
    hours_or_zero,
    integer,
    key_id,
    list_of,
    metrics_token,
    minutes,
    one_of,
    public_url,
    rate_limits,
    redis_url,
    seconds_or_zero,
    secret_key,
    secrets_by_id,
    server_url,
)

ROOT = Path(__file__).resolve().parent
INSTANCE = ROOT / "instance"
CORES = cores.usable()

Limits = list[RateLimitItem]
T = TypeVar("T")


def in_production(text: str, *, elsewhere: str) -> Callable[[Any], str]:
    """A default that production has, and another one for development and tests."""
    return lambda above: text if above.app_env == "production" else elsewhere


@dataclass(frozen=True, kw_only=True)
class Settings(BrandSettings):
    """How this process runs. Times are ``timedelta``; nothing here changes after the start.

    A default that is a function depends on settings above it.
    """

    # What this server is for, and how it is served
    app_env: str = variable(
        "APP_ENV", "development", one_of("development", "testing", "production")
    )
    port: int = variable("PORT", "8000", integer(1, 65535))
    web_concurrency: int = variable("WEB_CONCURRENCY", str(CORES), integer(1, 1024))
    web_threads: int = variable("WEB_THREADS", "32", integer(1, 1024))
    public_url: str = variable(
        "PUBLIC_URL", lambda above: f"http://localhost:{above.port}", public_url
    )
    log_level: str = variable(
        "LOG_LEVEL", "INFO", one_of("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
    )
    log_format: str = variable(
        "LOG_FORMAT", in_production("json", elsewhere="console"), one_of("json", "console")
    )
    metrics_token: str = variable("METRICS_TOKEN", "", metrics_token)

    # The database. A relative path of SQLite begins in instance/.
    database_url: URL = variable("DATABASE_URL", "sqlite:///app.db", database_url)
    database_replica_url: URL | None = variable("DATABASE_REPLICA_URL", "", replica_url)
    database_prepared_statements: str = variable(
        "DATABASE_PREPARED_STATEMENTS", "auto", one_of("auto", "always", "never")
    )
    allow_sqlite: bool = variable("ALLOW_SQLITE", "false", boolean)

    # Features of other packages
    features: list[str] = variable("FEATURES", "", list_of(feature_name))

    # Keys
    secret_key: str = variable("SECRET_KEY", "", secret_key)
    algorithm: str = variable("ALGORITHM", "HS256", one_of("HS256", "ES256", "RS256", "EdDSA"))
    signing_keys_dir: Path | None = variable("SIGNING_KEYS_DIR", "", folder)
    signing_key_id: str = variable("SIGNING_KEY_ID", "", key_id)
    data_keys: dict[str, str] = variable("DATA_KEYS", "", secrets_by_id)

    # Sessions and tokens
    access_token_lifetime: timedelta = variable("ACCESS_TOKEN_EXPIRE_MINUTES", "15", minutes)
    refresh_token_lifetime: timedelta = variable("REFRESH_TOKEN_EXPIRE_DAYS", "14", days)
    session_max_age: timedelta = variable("SESSION_MAX_AGE_DAYS", "30", days)
    refresh_retry_window: timedelta = variable(
        "REFRESH_RETRY_WINDOW_SECONDS", "10", seconds_or_zero
    )
    refresh_late_retry: timedelta = variable("REFRESH_LATE_RETRY_HOURS", "24", hours_or_zero)
    fresh_token_lifetime: timedelta = variable("FRESH_TOKEN_EXPIRE_MINUTES", "10", minutes)
    cookie_idle: timedelta = variable("COOKIE_IDLE_HOURS", "12", hours)
    stay_signed_in: timedelta = variable("STAY_SIGNED_IN_DAYS", "14", days)
    max_sessions_per_user: int = variable("MAX_SESSIONS_PER_USER", "20", integer(1, 10_000))

    # Passwords. Only tests may use a BCRYPT_ROUNDS of 4.
    password_min_length: int = variable("PASSWORD_MIN_LENGTH", "8", integer(8, 100))
    password_reject_common: bool = variable(
        "PASSWORD_REJECT_COMMON", in_production("true", elsewhere="false"), boolean
    )
    breached_passwords: str = variable(
        "PASSWORD_BREACHED", in_production("local", elsewhere="off"), one_of("off", "local", "hibp")
    )
    breached_passwords_file: Path | None = variable("PASSWORD_BREACHED_FILE", "", file)
    breached_passwords_url: str = variable(
        "PASSWORD_BREACHED_URL", "https://api.pwnedpasswords.com/range", server_url
    )
    password_peppers: dict[str, str] = variable("PASSWORD_PEPPERS", "", secrets_by_id)
    security_password_salt: str = variable("SECURITY_PASSWORD_SALT", "", str)
    firebase_signer_key: str = variable("FIREBASE_SIGNER_KEY", "", firebase_signer_key)
    bcrypt_rounds: int = variable("BCRYPT_ROUNDS", "12", integer(10, 15, also=(4,)))
    hash_concurrency: int = variable("HASH_CONCURRENCY", str(CORES), integer(1, 1024))
    hash_queue_limit: int = variable("HASH_QUEUE_LIMIT", "32", integer(0, 1024))

    # Accounts
    require_verified_email: bool = variable("REQUIRE_VERIFIED_EMAIL", "false", boolean)
    hide_account_existence: bool = variable("HIDE_ACCOUNT_EXISTENCE", "false", boolean)
    reset_token_lifetime: timedelta = variable("RESET_TOKEN_EXPIRE_MINUTES", "30", minutes)
    account_deletion_grace: timedelta = variable("ACCOUNT_DELETION_GRACE_DAYS", "14", days_or_zero)
    unverified_account_lifetime: timedelta = variable(
        "UNVERIFIED_ACCOUNT_EXPIRE_DAYS", "0", days_or_zero
    )
    audit_retention: timedelta = variable("AUDIT_RETENTION_DAYS", "0", days_or_zero)

    # Pages for people
    pages: bool = variable("PAGES", "true", boolean)
    pages_registration: bool = variable("PAGES_REGISTRATION", "true", boolean)

    # Who must have a second factor
    mfa_required: str = variable("MFA_REQUIRED", "none", one_of("none", "superusers", "all"))

    # Mail
    mail_url: str = variable("MAIL_URL", "console://", mail_url)
    mail_from: str = variable("MAIL_FROM", "no-reply@localhost", mail_from)

    # Limits
    redis_url: str = variable("REDIS_URL", "", redis_url)
    ratelimit_enabled: bool = variable("RATELIMIT_ENABLED", "true", boolean)
    ratelimit_login: Limits = variable(
        "RATELIMIT_LOGIN", "60 per minute; 600 per hour", rate_limits
    )
    ratelimit_login_failures: Limits = variable(
        "RATELIMIT_LOGIN_FAILURES", "100 per hour", rate_limits
    )
    ratelimit_register: Limits = variable("RATELIMIT_REGISTER", "30 per hour", rate_limits)
    ratelimit_mail: Limits = variable("RATELIMIT_MAIL", "30 per hour", rate_limits)
    ratelimit_mail_per_address: Limits = variable(
        "RATELIMIT_MAIL_PER_ADDRESS", "5 per hour", rate_limits
    )
    ratelimit_token: Limits = variable("RATELIMIT_TOKEN", "120 per minute", rate_limits)
    ratelimit_writes: Limits = variable("RATELIMIT_WRITES", "120 per minute", rate_limits)

    # Who may call, and through which proxies
    trusted_proxies: list[Network | str] = variable("TRUSTED_PROXIES", "", list_of(proxy))
    trusted_proxy_count: int = variable("TRUSTED_PROXY_COUNT", "0", integer(0, 16))
    trusted_hosts: list[str] = variable("TRUSTED_HOSTS", "", list_of(host))
    cors_origins: list[str] = variable("CORS_ORIGINS", "", list_of(origin))
    cors_headers: list[str] = variable("CORS_HEADERS", "", list_of(header))

    # Calls to other servers
    outbound_allow: list[Network] = variable("OUTBOUND_ALLOW", "", list_of(called_network))

    # The tables of features, by their class; ``of`` returns them.
    tables: Mapping[type, Any] = field(default_factory=dict)
    # The settings whose names depend on another setting, by their variables.
    dynamic: Mapping[str, Any] = field(default_factory=dict)
    # A sentence for each variable that looks like a setting, and is not one.
    warnings: tuple[str, ...] = ()

    @property
    def is_production(self) -> bool:
        return self.app_env == "production"

    @property
    def uses_sqlite(self) -> bool:
        return self.database_url.get_backend_name() == "sqlite"

    def of(self, table: type[T]) -> T:
        """The settings of a feature, which ``from_environment`` read with these."""
        if table not in self.tables:
            raise LookupError(
                f"{table.__qualname__} was not read with these settings. Name it as settings=… of "
                "a Feature, and make the settings with read_settings(…), from app."
            )
        return cast(T, self.tables[table])

    @classmethod
    def from_environment(
        cls,
        environment: Mapping[str, str] | None = None,
        *,
        instance: Path = INSTANCE,
        tables: "Callable[[Settings], Iterable[type]]" = lambda core: (),
        port: int | None = None,
    ) -> "Settings":
        """Read the settings from ``environment``, by default the process's and ``.env``.

        A variable of the process wins over the same one in ``.env``; an empty
        one counts as not set, and ``port`` wins over PORT. ``tables`` is called
        with the settings of the core and returns the tables of the features
        (``configuration/table.py``). Raises ``SettingsRefused`` with all reasons at
        once. Outside production, a missing ``SECRET_KEY`` is made in ``instance``.
        """
        dotenv = env_file.of_checkout(ROOT) if environment is None else {}
        given = env_file.with_process(dotenv) if environment is None else environment
        reading = Reading({**given, "PORT": str(port)} if port else given)
        settings = reading.read(cls)
        of_features: dict[type, Any] = {table: reading.read(table) for table in tables(settings)}
        reading.finish()
        return replace(
            settings,
            tables=of_features,
            dynamic=reading.dynamic,
            warnings=unknown.warnings(reading.environment, reading.known, dotenv, reading.warnings),
            database_url=in_folder(settings.database_url, instance),
            secret_key=settings.secret_key or kept_secret(instance),
        )

    def check(self, reading: Reading) -> None:
        """The rules between settings."""
        if self.database_replica_url and self.uses_sqlite:
            reading.refuse(
                "DATABASE_REPLICA_URL",
                "is set, but DATABASE_URL means SQLite, which has no replicas. Write a "
                "DATABASE_URL like postgresql://user:password@host/name, or remove this variable.",
            )
        if self.trusted_proxies and self.trusted_proxy_count:
            reading.refuse(
                "TRUSTED_PROXY_COUNT",
                "is set together with TRUSTED_PROXIES. Set only TRUSTED_PROXIES if you know the "
                "addresses of the proxies, and only TRUSTED_PROXY_COUNT if you do not.",
            )
        if self.bcrypt_rounds == 4 and self.app_env != "testing":
            reading.refuse(
                "BCRYPT_ROUNDS",
                "is 4, which is for APP_ENV=testing alone. Write a number from 10 to 15.",
            )
        if (
            self.breached_passwords == "hibp"
            and self.breached_passwords_url.startswith("http://")
            and not self.outbound_allow
        ):
            reading.refuse(
                "PASSWORD_BREACHED_URL",
                "is not https, which is allowed only for a server in one of the networks of "
                "OUTBOUND_ALLOW. Write an https URL, or name the server's network there.",
            )
        if self.pages and self.is_production and not is_secure(self.public_url):
            reading.refuse(
                "PAGES",
                "is true, but browsers keep the cookies of the pages only on https, and "
                "PUBLIC_URL is http. Write a PUBLIC_URL that begins with https://, or PAGES=false.",
            )
        if self.algorithm != "HS256":
            required.refuse_without_signing_key(reading)
        if self.is_production:
            required.refuse_unfit_for_production(
                reading,
                secret_key=self.secret_key,
                database_is_fit=self.allow_sqlite or not self.uses_sqlite,
            )


def value_of(name: str) -> str:
    """The value of a variable that a command's option names; empty if it is not set."""
    return env_file.with_process(env_file.of_checkout(ROOT)).get(name, "")


# The settings of the current application, for code that runs inside one.
settings: Settings = cast(Settings, LocalProxy(lambda: current_app.config["SETTINGS"]))
