"""Read the settings once from the environment, and refuse to start if one is wrong.

``create_app`` calls ``Settings.from_environment()``. A wrong value stops the
start. Each message names the variable and says what is wrong and what to write
instead. ``docs/settings.md`` explains each setting to operators.
"""

import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import cast

from flask import current_app
from limits import RateLimitItem
from sqlalchemy.engine import URL
from werkzeug.local import LocalProxy

import env_file
from config_database import database_url, replica_url
from config_hosts import (
    UNIX as UNIX,
)
from config_hosts import (
    Network as Network,
)
from config_hosts import (
    Wrong,
    header,
    host,
    origin,
    proxy,
)
from config_hosts import (
    is_among as is_among,
)
from config_hosts import (
    origin_of as origin_of,
)
from config_mail import mail_from, mail_url
from config_values import (
    T,
    _is_repetition,
    boolean,
    firebase_signer_key,
    folder,
    integer,
    key_id,
    list_of,
    metrics_token,
    one_of,
    peppers,
    public_url,
    rate_limits,
    redis_url,
    secret_key,
    span,
)

ROOT = Path(__file__).resolve().parent
INSTANCE = ROOT / "instance"


class SettingsRefused(SystemExit):
    """The process cannot start with these settings. It prints the reasons and exits with 1."""

    def __init__(self, *reasons: str) -> None:
        self.reasons = list(reasons)
        super().__init__("\n".join(f"Cannot start: {reason}" for reason in reasons))


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How this process runs. Times are ``timedelta``; nothing here changes after the start."""

    app_env: str
    database_url: URL
    database_replica_url: URL | None
    database_prepared_statements: str
    secret_key: str
    access_token_lifetime: timedelta
    refresh_token_lifetime: timedelta
    session_max_age: timedelta
    refresh_retry_window: timedelta
    refresh_late_retry: timedelta
    fresh_token_lifetime: timedelta
    max_sessions_per_user: int
    algorithm: str
    signing_keys_dir: Path | None
    signing_key_id: str
    password_min_length: int
    password_reject_common: bool
    password_peppers: dict[str, str]
    security_password_salt: str
    firebase_signer_key: str
    bcrypt_rounds: int
    require_verified_email: bool
    hide_account_existence: bool
    reset_token_lifetime: timedelta
    account_deletion_grace: timedelta
    unverified_account_lifetime: timedelta
    audit_retention: timedelta
    hash_concurrency: int
    hash_queue_limit: int
    public_url: str
    mail_url: str
    mail_from: str
    redis_url: str
    ratelimit_enabled: bool
    ratelimit_login: list[RateLimitItem]
    ratelimit_login_failures: list[RateLimitItem]
    ratelimit_register: list[RateLimitItem]
    ratelimit_mail: list[RateLimitItem]
    ratelimit_mail_per_address: list[RateLimitItem]
    ratelimit_token: list[RateLimitItem]
    ratelimit_writes: list[RateLimitItem]
    trusted_proxies: list[Network | str]
    trusted_proxy_count: int
    trusted_hosts: list[str]
    cors_origins: list[str]
    cors_headers: list[str]
    log_level: str
    log_format: str
    metrics_token: str
    port: int
    web_concurrency: int
    web_threads: int

    @property
    def is_production(self) -> bool:
        return self.app_env == "production"

    @property
    def uses_sqlite(self) -> bool:
        return self.database_url.get_backend_name() == "sqlite"

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str] | None = None, *, instance: Path = INSTANCE
    ) -> "Settings":
        """Read the settings from ``environment``, by default the process's and ``.env``.

        A variable of the process wins over the same one in ``.env``; an empty
        one counts as not set. Raises ``SettingsRefused`` with all reasons at
        once. Outside production, a missing ``SECRET_KEY`` is made and stored
        in ``instance``.
        """
        if environment is None:
            environment = _environment()
        read = _Reader(environment)

        app_env = read("APP_ENV", "development", one_of("development", "testing", "production"))
        production = app_env == "production"
        cores = os.cpu_count() or 1
        workers = read("WEB_CONCURRENCY", str(cores), integer(1, 1024))
        port = read("PORT", "8000", integer(1, 65535))
        settings = cls(
            app_env=app_env,
            database_url=read("DATABASE_URL", f"sqlite:///{instance / 'app.db'}", database_url),
            database_replica_url=read("DATABASE_REPLICA_URL", "", replica_url),
            database_prepared_statements=read(
                "DATABASE_PREPARED_STATEMENTS", "auto", one_of("auto", "always", "never")
            ),
            secret_key=read("SECRET_KEY", "", secret_key),
            access_token_lifetime=read("ACCESS_TOKEN_EXPIRE_MINUTES", "15", span("minutes")),
            refresh_token_lifetime=read("REFRESH_TOKEN_EXPIRE_DAYS", "14", span("days")),
            session_max_age=read("SESSION_MAX_AGE_DAYS", "30", span("days")),
            refresh_retry_window=read(
                "REFRESH_RETRY_WINDOW_SECONDS", "10", span("seconds", zero_allowed=True)
            ),
            refresh_late_retry=read(
                "REFRESH_LATE_RETRY_HOURS", "24", span("hours", zero_allowed=True)
            ),
            fresh_token_lifetime=read("FRESH_TOKEN_EXPIRE_MINUTES", "10", span("minutes")),
            max_sessions_per_user=read("MAX_SESSIONS_PER_USER", "20", integer(1, 10_000)),
            algorithm=read("ALGORITHM", "HS256", one_of("HS256", "ES256", "RS256", "EdDSA")),
            signing_keys_dir=read("SIGNING_KEYS_DIR", "", folder),
            signing_key_id=read("SIGNING_KEY_ID", "", key_id),
            password_min_length=read("PASSWORD_MIN_LENGTH", "8", integer(8, 100)),
            password_reject_common=read(
                "PASSWORD_REJECT_COMMON", "true" if production else "false", boolean
            ),
            password_peppers=read("PASSWORD_PEPPERS", "", peppers),
            security_password_salt=read("SECURITY_PASSWORD_SALT", "", str),
            firebase_signer_key=read("FIREBASE_SIGNER_KEY", "", firebase_signer_key),
            bcrypt_rounds=read(
                "BCRYPT_ROUNDS",
                "12",
                integer(10, 15, also=(4,) if app_env == "testing" else ()),
            ),
            hash_concurrency=read(
                "HASH_CONCURRENCY", str(max(1, cores // workers)), integer(1, 1024)
            ),
            hash_queue_limit=read("HASH_QUEUE_LIMIT", "32", integer(0, 1024)),
            public_url=read("PUBLIC_URL", f"http://localhost:{port}", public_url),
            require_verified_email=read("REQUIRE_VERIFIED_EMAIL", "false", boolean),
            hide_account_existence=read("HIDE_ACCOUNT_EXISTENCE", "false", boolean),
            reset_token_lifetime=read("RESET_TOKEN_EXPIRE_MINUTES", "30", span("minutes")),
            account_deletion_grace=read(
                "ACCOUNT_DELETION_GRACE_DAYS", "14", span("days", zero_allowed=True)
            ),
            unverified_account_lifetime=read(
                "UNVERIFIED_ACCOUNT_EXPIRE_DAYS", "0", span("days", zero_allowed=True)
            ),
            audit_retention=read("AUDIT_RETENTION_DAYS", "0", span("days", zero_allowed=True)),
            mail_url=read("MAIL_URL", "console://", mail_url),
            mail_from=read("MAIL_FROM", "no-reply@localhost", mail_from),
            redis_url=read("REDIS_URL", "", redis_url),
            ratelimit_enabled=read("RATELIMIT_ENABLED", "true", boolean),
            ratelimit_login=read("RATELIMIT_LOGIN", "60 per minute; 600 per hour", rate_limits),
            ratelimit_login_failures=read("RATELIMIT_LOGIN_FAILURES", "100 per hour", rate_limits),
            ratelimit_register=read("RATELIMIT_REGISTER", "30 per hour", rate_limits),
            ratelimit_mail=read("RATELIMIT_MAIL", "30 per hour", rate_limits),
            ratelimit_mail_per_address=read(
                "RATELIMIT_MAIL_PER_ADDRESS", "5 per hour", rate_limits
            ),
            ratelimit_token=read("RATELIMIT_TOKEN", "120 per minute", rate_limits),
            ratelimit_writes=read("RATELIMIT_WRITES", "120 per minute", rate_limits),
            trusted_proxies=read("TRUSTED_PROXIES", "", list_of(proxy)),
            trusted_proxy_count=read("TRUSTED_PROXY_COUNT", "0", integer(0, 16)),
            trusted_hosts=read("TRUSTED_HOSTS", "", list_of(host)),
            cors_origins=read("CORS_ORIGINS", "", list_of(origin)),
            cors_headers=read("CORS_HEADERS", "", list_of(header)),
            log_level=read(
                "LOG_LEVEL", "INFO", one_of("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
            ),
            log_format=read(
                "LOG_FORMAT", "json" if production else "console", one_of("json", "console")
            ),
            metrics_token=read("METRICS_TOKEN", "", metrics_token),
            port=port,
            web_concurrency=workers,
            web_threads=read("WEB_THREADS", "32", integer(1, 1024)),
        )
        allow_sqlite = read("ALLOW_SQLITE", "false", boolean)

        if settings.database_replica_url and settings.uses_sqlite:
            read.refuse(
                "DATABASE_REPLICA_URL",
                "is set, but DATABASE_URL means SQLite, which has no replicas. Write a "
                "DATABASE_URL like postgresql://user:password@host/name, or remove this variable.",
            )
        if settings.trusted_proxies and settings.trusted_proxy_count:
            read.refuse(
                "TRUSTED_PROXY_COUNT",
                "is set together with TRUSTED_PROXIES. Set only TRUSTED_PROXIES if you know the "
                "addresses of the proxies, and only TRUSTED_PROXY_COUNT if you do not.",
            )
        if settings.algorithm != "HS256":
            _want_signing_key(read)
        if production:
            _refuse_unfit_for_production(settings, read, allow_sqlite=allow_sqlite)
        if read.reasons:
            raise SettingsRefused(*read.reasons)
        if not settings.secret_key:
            return replace(settings, secret_key=_kept_secret(instance))
        return settings


def _environment() -> dict[str, str]:
    """The variables of this process, and those of ``.env`` that it does not have."""
    try:
        return env_file.with_process(env_file.read(ROOT / ".env"))
    except env_file.Unreadable as flaw:
        raise SettingsRefused(str(flaw)) from None


def _refuse_unfit_for_production(
    settings: Settings, read: "_Reader", *, allow_sqlite: bool
) -> None:
    if not read.has("SECRET_KEY"):
        read.refuse(
            "SECRET_KEY",
            "is not set, and in production the server does not make one itself. Write one made "
            'by `python3 -c "import secrets; print(secrets.token_urlsafe(48))"`.',
        )
    elif _is_repetition(settings.secret_key):
        read.refuse("SECRET_KEY", "repeats a shorter text. Write a random one instead.")
    if settings.uses_sqlite and not allow_sqlite and not read.refused("DATABASE_URL"):
        read.refuse(
            "DATABASE_URL",
            "means SQLite, which production refuses unless you allow it. Write "
            "postgresql://user:password@host/name, or set ALLOW_SQLITE=true if one machine and "
            "one writer at a time are enough.",
        )
    if not read.has("PUBLIC_URL"):
        read.refuse(
            "PUBLIC_URL",
            "is not set. Write the address under which people reach this service, "
            "like https://accounts.example.com.",
        )
    if not read.has("MAIL_FROM"):
        read.refuse(
            "MAIL_FROM",
            "is not set, and mail servers reject mail from no-reply@localhost. Write a sender like "
            "Example <no-reply@example.com>.",
        )


def _want_signing_key(read: "_Reader") -> None:
    for name, meaning in (
        ("SIGNING_KEYS_DIR", "the folder with the keys, each in a file <key id>.pem"),
        ("SIGNING_KEY_ID", "the id of the key that signs"),
    ):
        if not read.has(name):
            read.refuse(
                name,
                f"is not set, but ALGORITHM needs a key. Write {meaning}. "
                "`ALGORITHM=HS256 flask keys generate --help` explains how to make one.",
            )


class _Reader:
    """Reads one variable after the other and collects the reasons not to start."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.reasons: list[str] = []

    def __call__(self, name: str, default: str, parse: Callable[[str], T]) -> T:
        given = self.environment.get(name, "")
        try:
            given.encode()
            return parse(given or default)
        except Wrong as wrong:
            self.refuse(name, str(wrong))
        except UnicodeEncodeError:
            self.refuse(name, "has bytes that are not UTF-8. Write it in UTF-8.")
        return parse(default)

    def has(self, name: str) -> bool:
        return bool(self.environment.get(name))

    def refuse(self, name: str, sentence: str) -> None:
        self.reasons.append(f"{name} {sentence}")

    def refused(self, name: str) -> bool:
        return any(reason.startswith(f"{name} ") for reason in self.reasons)


def variable(name: str) -> str:
    """The value of a variable that a command's option names; empty if it is not set."""
    return _environment().get(name, "")


def _kept_secret(instance: Path) -> str:
    """The secret of this checkout, made at the first start. Several starts may race for it."""
    kept = instance / "secret_key"
    try:
        if not kept.exists():
            _keep_new_secret(kept)
        return secret_key(kept.read_text().strip() or "empty")
    except (OSError, Wrong) as error:
        reason = f"SECRET_KEY is not set, and the one kept in {kept} cannot be used: {error}"
        raise SettingsRefused(reason) from None


def _keep_new_secret(kept: Path) -> None:
    kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = kept.with_name(f"{kept.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(48))
    # The link shows a complete file from the first moment, and only one process can make it.
    try:
        os.link(made, kept)
    except FileExistsError:
        pass
    finally:
        made.unlink()


# The settings of the current application, for code that runs inside one.
settings: Settings = cast(Settings, LocalProxy(lambda: current_app.config["SETTINGS"]))
