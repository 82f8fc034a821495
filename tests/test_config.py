"""Settings, read from the environment."""

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from limits import parse_many
from psycopg.conninfo import make_conninfo
from psycopg.pq import Conninfo

import config
from app import create_app, read_settings
from config import Settings, SettingsRefused
from configuration import cores
from configuration.mail import mail_server
from tests.servers import ROOT, environment_for

GOOD_SECRET = "Zr8vQ2mK5xW1pL9tB4nH7cJ3dF6gS0aYeUiOq"
SIGNER_KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
PRODUCTION = {
    "APP_ENV": "production",
    "SECRET_KEY": GOOD_SECRET,
    "DATABASE_URL": "postgresql://ada:hunter2@db.example.com:5432/accounts",
    "PUBLIC_URL": "https://accounts.example.com",
    "MAIL_FROM": "no-reply@example.com",
}

Read = Callable[..., Settings]
Refusals = Callable[..., list[str]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """The settings of a development machine with these variables."""

    def settings(**variables: str) -> Settings:
        return Settings.from_environment(variables, instance=tmp_path / "instance")

    return settings


@pytest.fixture
def refusals(read: Read) -> Refusals:
    """Why a start with these variables is refused."""

    def reasons(**variables: str) -> list[str]:
        with pytest.raises(SettingsRefused) as refused:
            read(**variables)
        return refused.value.reasons

    return reasons


DEFAULTS: dict[str, Any] = {
    "app_env": "development",
    "database_replica_url": None,
    "allow_sqlite": False,
    "features": [],
    "tables": {},
    "dynamic": {},
    "warnings": (),
    "database_prepared_statements": "auto",
    "access_token_lifetime": timedelta(minutes=15),
    "refresh_token_lifetime": timedelta(days=14),
    "session_max_age": timedelta(days=30),
    "refresh_retry_window": timedelta(seconds=10),
    "refresh_late_retry": timedelta(hours=24),
    "fresh_token_lifetime": timedelta(minutes=10),
    "cookie_idle": timedelta(hours=12),
    "stay_signed_in": timedelta(days=14),
    "max_sessions_per_user": 20,
    "algorithm": "HS256",
    "signing_keys_dir": None,
    "signing_key_id": "",
    "data_keys": {},
    "password_min_length": 8,
    "password_reject_common": False,
    "breached_passwords": "off",
    "breached_passwords_file": None,
    "breached_passwords_url": "https://api.pwnedpasswords.com/range",
    "password_peppers": {},
    "security_password_salt": "",
    "firebase_signer_key": "",
    "bcrypt_rounds": 12,
    "hash_concurrency": cores.usable(),
    "hash_queue_limit": 32,
    "require_verified_email": False,
    "hide_account_existence": False,
    "reset_token_lifetime": timedelta(minutes=30),
    "account_deletion_grace": timedelta(days=14),
    "unverified_account_lifetime": timedelta(0),
    "audit_retention": timedelta(0),
    "pages": True,
    "pages_registration": True,
    "mfa_required": "none",
    "mail_url": "console://",
    "mail_from": "no-reply@localhost",
    "brand_name": "User System",
    "brand_logo": None,
    "brand_color": "#1d4ed8",
    "support_email": "",
    "security_contact": [],
    "templates_dir": None,
    "redis_url": "",
    "ratelimit_enabled": True,
    "ratelimit_login": parse_many("60 per minute; 600 per hour"),
    "ratelimit_login_failures": parse_many("100 per hour"),
    "ratelimit_register": parse_many("30 per hour"),
    "ratelimit_mail": parse_many("30 per hour"),
    "ratelimit_mail_per_address": parse_many("5 per hour"),
    "ratelimit_token": parse_many("120 per minute"),
    "ratelimit_writes": parse_many("120 per minute"),
    "public_url": "http://localhost:8000",
    "trusted_proxies": [],
    "trusted_proxy_count": 0,
    "trusted_hosts": [],
    "cors_origins": [],
    "cors_headers": [],
    "outbound_allow": [],
    "log_level": "INFO",
    "log_format": "console",
    "metrics_token": "",
    "port": 8000,
    "web_concurrency": cores.usable(),
    "web_threads": 32,
}


@pytest.mark.parametrize(("setting", "default"), DEFAULTS.items())
def test_a_setting_that_nobody_wrote_has_its_default(
    read: Read, setting: str, default: object
) -> None:
    assert getattr(read(), setting) == default


def test_links_lead_to_the_port_that_the_server_listens_at(read: Read) -> None:
    assert read(PORT="8231").public_url == "http://localhost:8231"


def test_a_port_that_is_refused_is_refused_once(read: Read) -> None:
    with pytest.raises(SettingsRefused) as refused:
        read(PORT="eighty")

    assert [reason.split()[0] for reason in refused.value.reasons] == ["PORT"]


def test_every_setting_is_known_to_these_tests() -> None:
    assert {field.name for field in fields(Settings)} == {*DEFAULTS, "database_url", "secret_key"}


def test_the_default_database_is_a_file_in_the_instance_folder(read: Read, tmp_path: Path) -> None:
    settings = read()

    assert settings.uses_sqlite
    assert settings.database_url.database == str(tmp_path / "instance" / "app.db")


GOOD: list[tuple[str, str, str, Any]] = [
    ("APP_ENV", "testing", "app_env", "testing"),
    ("SECRET_KEY", GOOD_SECRET, "secret_key", GOOD_SECRET),
    ("ACCESS_TOKEN_EXPIRE_MINUTES", "0.5", "access_token_lifetime", timedelta(seconds=30)),
    ("REFRESH_TOKEN_EXPIRE_DAYS", "1.5", "refresh_token_lifetime", timedelta(hours=36)),
    ("SESSION_MAX_AGE_DAYS", "90", "session_max_age", timedelta(days=90)),
    ("REFRESH_RETRY_WINDOW_SECONDS", "0", "refresh_retry_window", timedelta(0)),
    ("REFRESH_RETRY_WINDOW_SECONDS", "2.5", "refresh_retry_window", timedelta(seconds=2.5)),
    ("REFRESH_LATE_RETRY_HOURS", "0", "refresh_late_retry", timedelta(0)),
    ("REFRESH_LATE_RETRY_HOURS", "0.5", "refresh_late_retry", timedelta(minutes=30)),
    ("FRESH_TOKEN_EXPIRE_MINUTES", "5", "fresh_token_lifetime", timedelta(minutes=5)),
    ("COOKIE_IDLE_HOURS", "0.5", "cookie_idle", timedelta(minutes=30)),
    ("STAY_SIGNED_IN_DAYS", "30", "stay_signed_in", timedelta(days=30)),
    ("MAX_SESSIONS_PER_USER", "1", "max_sessions_per_user", 1),
    ("MAX_SESSIONS_PER_USER", "10000", "max_sessions_per_user", 10_000),
    ("DATABASE_PREPARED_STATEMENTS", "always", "database_prepared_statements", "always"),
    ("DATABASE_PREPARED_STATEMENTS", "never", "database_prepared_statements", "never"),
    ("ALGORITHM", "HS256", "algorithm", "HS256"),
    ("SIGNING_KEYS_DIR", str(ROOT), "signing_keys_dir", ROOT),
    ("SIGNING_KEY_ID", "2026-11_a", "signing_key_id", "2026-11_a"),
    ("SIGNING_KEY_ID", "k" * 64, "signing_key_id", "k" * 64),
    ("PASSWORD_MIN_LENGTH", "8", "password_min_length", 8),
    ("PASSWORD_MIN_LENGTH", "15", "password_min_length", 15),
    ("PASSWORD_REJECT_COMMON", "true", "password_reject_common", True),
    ("PASSWORD_BREACHED", "hibp", "breached_passwords", "hibp"),
    (
        "PASSWORD_BREACHED_FILE",
        str(ROOT / "README.md"),
        "breached_passwords_file",
        ROOT / "README.md",
    ),
    (
        "PASSWORD_BREACHED_URL",
        "https://hashes.example.com/range/",
        "breached_passwords_url",
        "https://hashes.example.com/range",
    ),
    (
        "PASSWORD_PEPPERS",
        f"second:{GOOD_SECRET},first:{GOOD_SECRET[::-1]}",
        "password_peppers",
        {"second": GOOD_SECRET, "first": GOOD_SECRET[::-1]},
    ),
    ("DATA_KEYS", f"new:{GOOD_SECRET}", "data_keys", {"new": GOOD_SECRET}),
    ("PAGES", "false", "pages", False),
    ("PAGES_REGISTRATION", "false", "pages_registration", False),
    ("MFA_REQUIRED", "superusers", "mfa_required", "superusers"),
    ("SECURITY_PASSWORD_SALT", "as it was there", "security_password_salt", "as it was there"),
    ("FIREBASE_SIGNER_KEY", SIGNER_KEY, "firebase_signer_key", SIGNER_KEY),
    ("BCRYPT_ROUNDS", "10", "bcrypt_rounds", 10),
    ("HASH_CONCURRENCY", "4", "hash_concurrency", 4),
    ("HASH_QUEUE_LIMIT", "0", "hash_queue_limit", 0),
    ("BCRYPT_ROUNDS", "15", "bcrypt_rounds", 15),
    ("REQUIRE_VERIFIED_EMAIL", "true", "require_verified_email", True),
    ("HIDE_ACCOUNT_EXISTENCE", "true", "hide_account_existence", True),
    ("RESET_TOKEN_EXPIRE_MINUTES", "7.5", "reset_token_lifetime", timedelta(seconds=450)),
    ("ACCOUNT_DELETION_GRACE_DAYS", "0", "account_deletion_grace", timedelta(0)),
    ("REDIS_URL", "redis://redis.internal", "redis_url", "redis://redis.internal"),
    ("REDIS_URL", "redis://:s3@h:6379/1", "redis_url", "redis://:s3@h:6379/1"),
    ("REDIS_URL", "redis://[::1]:6379/0", "redis_url", "redis://[::1]:6379/0"),
    (
        "REDIS_URL",
        "rediss://a:b@h/0?ssl_ca_certs=/c",
        "redis_url",
        "rediss://a:b@h/0?ssl_ca_certs=/c",
    ),
    ("REDIS_URL", "unix:///run/redis.sock?db=2", "redis_url", "unix:///run/redis.sock?db=2"),
    ("RATELIMIT_ENABLED", "false", "ratelimit_enabled", False),
    ("RATELIMIT_LOGIN", "5/minute", "ratelimit_login", parse_many("5 per minute")),
    ("RATELIMIT_LOGIN_FAILURES", "9 per day", "ratelimit_login_failures", parse_many("9 per day")),
    ("RATELIMIT_REGISTER", "1 per 2 hours", "ratelimit_register", parse_many("1 per 2 hours")),
    ("RATELIMIT_MAIL", "1/hour;2/day", "ratelimit_mail", parse_many("1 per hour; 2 per day")),
    ("RATELIMIT_MAIL_PER_ADDRESS", "1/day", "ratelimit_mail_per_address", parse_many("1 per day")),
    ("RATELIMIT_TOKEN", "1000000 per hour", "ratelimit_token", parse_many("1000000 per hour")),
    ("RATELIMIT_WRITES", "7 per second", "ratelimit_writes", parse_many("7 per second")),
    (
        "TRUSTED_PROXIES",
        "10.0.0.7, 192.168.4.0/24,fd00::/8",
        "trusted_proxies",
        [ip_network("10.0.0.7"), ip_network("192.168.4.0/24"), ip_network("fd00::/8")],
    ),
    (
        "TRUSTED_PROXIES",
        "unix,::ffff:10.0.0.0/104",
        "trusted_proxies",
        ["unix", ip_network("10.0.0.0/8")],
    ),
    ("TRUSTED_PROXIES", "fc00::/7", "trusted_proxies", [ip_network("fc00::/7")]),
    ("TRUSTED_PROXIES", "fe80::1%eth0", "trusted_proxies", [ip_network("fe80::1")]),
    ("TRUSTED_PROXY_COUNT", "2", "trusted_proxy_count", 2),
    ("UNVERIFIED_ACCOUNT_EXPIRE_DAYS", "7", "unverified_account_lifetime", timedelta(days=7)),
    ("AUDIT_RETENTION_DAYS", "365", "audit_retention", timedelta(days=365)),
    *(
        ("MAIL_URL", url, "mail_url", url)
        for url in (
            "console://",
            "file:///var/mail/out",
            "smtp://localhost",
            "smtp://ada:hunter%402@mail.example.com:587?tls=starttls",
            "smtp://[::1]:465?tls=tls",
        )
    ),
    ("MAIL_FROM", "no-reply@example.com", "mail_from", "no-reply@example.com"),
    ("MAIL_FROM", "账户 <no-reply@example.com>", "mail_from", "账户 <no-reply@example.com>"),
    ("MAIL_FROM", "Acme, Inc. <a@example.com>", "mail_from", "Acme, Inc. <a@example.com>"),
    ("MAIL_FROM", "a@bücher.example", "mail_from", "a@bücher.example"),
    ("PUBLIC_URL", "https://example.com/accounts", "public_url", "https://example.com/accounts"),
    ("PUBLIC_URL", "https://example.com/", "public_url", "https://example.com"),
    (
        "TRUSTED_HOSTS",
        "api.example.com, .example.org",
        "trusted_hosts",
        ["api.example.com", ".example.org"],
    ),
    (
        "TRUSTED_HOSTS",
        "API.Example.com.,.Example.ORG:443,::1,[0:0::2]:80,bücher.example,XN--bcher-kva.example",
        "trusted_hosts",
        [
            "api.example.com",
            ".example.org",
            "[::1]",
            "[::2]",
            "xn--bcher-kva.example",
            "xn--bcher-kva.example",
        ],
    ),
    (
        "CORS_ORIGINS",
        "HTTPS://App.Example.com.:443,http://[0::1]:80,app://localhost,https://bücher.example:8443",
        "cors_origins",
        [
            "https://app.example.com",
            "http://[::1]",
            "app://localhost",
            "https://xn--bcher-kva.example:8443",
        ],
    ),
    ("CORS_HEADERS", "X-Client, x-trace", "cors_headers", ["X-Client", "x-trace"]),
    (
        "OUTBOUND_ALLOW",
        "10.0.0.7, ::ffff:192.168.4.0/120",
        "outbound_allow",
        [ip_network("10.0.0.7"), ip_network("192.168.4.0/24")],
    ),
    (
        "CORS_ORIGINS",
        "https://app.example.com,http://localhost:3000",
        "cors_origins",
        ["https://app.example.com", "http://localhost:3000"],
    ),
    ("FEATURES", "acme, other:ONE", "features", ["acme", "other:ONE"]),
    ("ALLOW_SQLITE", "true", "allow_sqlite", True),
    ("LOG_LEVEL", "WARNING", "log_level", "WARNING"),
    ("LOG_FORMAT", "json", "log_format", "json"),
    ("METRICS_TOKEN", "x" * 16, "metrics_token", "x" * 16),
    ("PORT", "65535", "port", 65535),
    ("WEB_CONCURRENCY", "3", "web_concurrency", 3),
    ("WEB_THREADS", "64", "web_threads", 64),
]


@pytest.mark.parametrize(("variable", "text", "setting", "value"), GOOD)
def test_a_variable_sets_its_setting(
    read: Read, variable: str, text: str, setting: str, value: object
) -> None:
    assert getattr(read(**{variable: text}), setting) == value


def test_the_order_of_peppers_is_kept(read: Read) -> None:
    settings = read(PASSWORD_PEPPERS=f"new:{GOOD_SECRET},old:{GOOD_SECRET[::-1]}")

    assert list(settings.password_peppers) == ["new", "old"]


def test_a_postgresql_url_is_spoken_to_by_psycopg_3(read: Read) -> None:
    settings = read(DATABASE_URL="postgresql://ada:hunter2@db.example.com:5432/accounts")

    assert settings.database_url.drivername == "postgresql+psycopg"
    assert settings.database_url.password == "hunter2"
    assert not settings.uses_sqlite


def test_a_sqlite_url_names_a_file(read: Read, tmp_path: Path) -> None:
    settings = read(DATABASE_URL=f"sqlite:///{tmp_path}/other.db")

    assert settings.uses_sqlite
    assert settings.database_url.database == f"{tmp_path}/other.db"


def test_bcrypt_may_be_cheap_when_testing(read: Read) -> None:
    assert read(APP_ENV="testing", BCRYPT_ROUNDS="4").bcrypt_rounds == 4


def test_settings_do_not_change_after_the_start(read: Read) -> None:
    settings = read()

    with pytest.raises(AttributeError):
        settings.port = 1  # type: ignore[misc]


BAD: list[tuple[str, str, str]] = [
    ("APP_ENV", "prod", "development, testing, production"),
    ("APP_ENV", "Production", "development, testing, production"),
    ("DATABASE_URL", "nonsense", "postgresql://user:password@host:5432/name"),
    ("DATABASE_URL", "mysql://ada@localhost/accounts", "postgresql://"),
    ("DATABASE_URL", "postgresql://ada@localhost", "postgresql://user:password@host:5432/name"),
    ("DATABASE_URL", "postgresql://ada@localhost:port/accounts", "postgresql://"),
    ("DATABASE_URL", "postgresql://ada@localhost:99999/accounts", "postgresql://"),
    ("DATABASE_URL", "postgresql://ada@localhost:0/accounts", "postgresql://"),
    ("DATABASE_URL", "sqlite://", "sqlite:////absolute/path.db"),
    ("DATABASE_URL", "sqlite://app.db", "three slashes"),
    ("DATABASE_URL", "sqlite:///app.db?mode=ro", "SQLite takes none here"),
    ("DATABASE_URL", "postgresql://db/a?schema=public", "'schema'"),
    ("DATABASE_URL", "postgresql://db/a?pgbouncer=true", "'pgbouncer'"),
    ("DATABASE_URL", "postgresql://db/a?autocommit=true", "'autocommit'"),
    ("DATABASE_URL", "postgresql://db/a?prepare_threshold=0", "'prepare_threshold'"),
    ("DATABASE_URL", "postgresql://db/a?replication=database", "'replication'"),
    ("DATABASE_URL", "postgresql://db/a?sslmode=on", "'sslmode' with a value"),
    ("DATABASE_URL", "postgresql://db/a?target_session_attrs=rw", "'target_session_attrs' with"),
    ("DATABASE_URL", "postgresql://db/a?sslmode=require&sslmode=disable", "'sslmode' twice"),
    (
        "DATABASE_URL",
        "postgresql://db/a?connect_timeout=soon",
        "'connect_timeout' with a value that is not a number",
    ),
    ("DATABASE_URL", "postgresql://db/a?client_encoding=latin1", "client_encoding other than utf8"),
    ("DATABASE_REPLICA_URL", "postgresql://db/a?schema=public", "'schema'"),
    ("DATABASE_URL", "postgresql://db/a?schema=", "'schema'"),
    ("DATABASE_URL", "postgresql://db/a?port=abc", "a number from 1 to 65535"),
    ("DATABASE_URL", "postgresql://db/a?port=0", "a number from 1 to 65535"),
    ("DATABASE_URL", "postgresql://db/a?port=65536", "a number from 1 to 65535"),
    ("DATABASE_URL", "postgresql:///a?host=h1:x&host=h2:2", "a number from 1 to 65535"),
    ("DATABASE_URL", "postgresql://h1:1,h2:x/a", "a number from 1 to 65535"),
    ("DATABASE_URL", "postgresql:///a?host=h1&host=h2&host=h3&port=1&port=2", "one port for each"),
    ("DATABASE_URL", "postgresql:///a?host=h1,h2,h3&port=1,2", "one port for each"),
    ("DATABASE_URL", "postgresql:///a?host=h1:1&host=h2:2&port=3", "in the option 'port' too"),
    ("DATABASE_URL", "postgresql://h1:1,h2/a?port=3", "in the option 'port' too"),
    ("DATABASE_URL", "postgresql://db/a?port=1,2", "?host=h1&host=h2"),
    ("DATABASE_URL", "postgresql://h1,,h2/a", "?host=h1&host=h2"),
    ("DATABASE_URL", "postgresql:///a?host=h%201", "?host=/var/run/postgresql"),
    ("DATABASE_URL", "postgresql://db/a?hostaddr=nonsense", "not an IP address"),
    ("DATABASE_URL", "postgresql://db/a?hostaddr=10.0.0.300", "not an IP address"),
    ("DATABASE_URL", "postgresql://h1,h2/a?hostaddr=10.0.0.7", "one address in 'hostaddr'"),
    ("DATABASE_URL", "postgresql://db/a?hostaddr=10.0.0.7,10.0.0.8", "one address in 'hostaddr'"),
    ("DATABASE_URL", "postgresql://db/a?gssencmode=on", "'gssencmode'"),
    ("DATABASE_URL", "postgresql://ada:hun%00@db/a", "control character"),
    ("DATABASE_URL", "postgresql://a%0Ada@db/a", "control character"),
    ("DATABASE_URL", "postgresql://db/a%1B", "control character"),
    ("DATABASE_URL", "postgresql:///a?host=%7F", "control character"),
    ("DATABASE_URL", "postgresql://db/a?application_name=%C2%85", "control character"),
    ("DATABASE_URL", "sqlite:////var/a%00.db", "control character"),
    ("DATABASE_URL", "postgresql://ada:hun%FF@db/a", "not UTF-8"),
    ("ACCESS_TOKEN_EXPIRE_MINUTES", "0.000", "must be greater than 0"),
    ("RATELIMIT_LOGIN", "0 per hour", "0 or too large"),
    ("DATABASE_URL", "sqlite:///:memory:", "sqlite:////absolute/path.db"),
    ("SECRET_KEY", "short", "token_urlsafe"),
    ("SECRET_KEY", "abc" * 30, "token_urlsafe"),
    ("ACCESS_TOKEN_EXPIRE_MINUTES", "0", "minutes"),
    ("ACCESS_TOKEN_EXPIRE_MINUTES", "-1", "15 or 0.5"),
    ("ACCESS_TOKEN_EXPIRE_MINUTES", "15m", "15 or 0.5"),
    ("ACCESS_TOKEN_EXPIRE_MINUTES", "nan", "15 or 0.5"),
    ("ACCESS_TOKEN_EXPIRE_MINUTES", "1e3", "15 or 0.5"),
    ("ACCESS_TOKEN_EXPIRE_MINUTES", "١٥", "15 or 0.5"),
    ("REFRESH_TOKEN_EXPIRE_DAYS", "4000", "smaller"),
    ("REFRESH_TOKEN_EXPIRE_DAYS", "999999999.999999999", "smaller"),
    ("REFRESH_TOKEN_EXPIRE_DAYS", "0.0000000001", "15 or 0.5"),
    ("SESSION_MAX_AGE_DAYS", "a month", "15 or 0.5"),
    ("SESSION_MAX_AGE_DAYS", "0", "days"),
    ("REFRESH_RETRY_WINDOW_SECONDS", "-0.1", "15 or 0.5"),
    ("REFRESH_RETRY_WINDOW_SECONDS", "inf", "15 or 0.5"),
    ("REFRESH_LATE_RETRY_HOURS", "-1", "15 or 0.5"),
    ("REFRESH_LATE_RETRY_HOURS", "a day", "15 or 0.5"),
    ("FRESH_TOKEN_EXPIRE_MINUTES", "ten", "15 or 0.5"),
    ("FRESH_TOKEN_EXPIRE_MINUTES", "0", "minutes"),
    ("COOKIE_IDLE_HOURS", "0", "hours"),
    ("STAY_SIGNED_IN_DAYS", "long", "15 or 0.5"),
    ("MAX_SESSIONS_PER_USER", "0", "from 1 to 10000"),
    ("MAX_SESSIONS_PER_USER", "10001", "from 1 to 10000"),
    ("MAX_SESSIONS_PER_USER", "-1", "from 1 to 10000"),
    ("MAX_SESSIONS_PER_USER", "twenty", "from 1 to 10000"),
    ("ALGORITHM", "none", "HS256, ES256, RS256, EdDSA"),
    ("ALGORITHM", "HS512", "HS256, ES256, RS256, EdDSA"),
    ("ALGORITHM", "es256", "HS256, ES256, RS256, EdDSA"),
    ("SIGNING_KEYS_DIR", "/no/such/folder", "one that exists"),
    ("SIGNING_KEYS_DIR", str(ROOT / "README.md"), "one that exists"),
    ("SIGNING_KEY_ID", "../key", "letters, digits, _ and -"),
    ("SIGNING_KEY_ID", "key.pem", "letters, digits, _ and -"),
    ("SIGNING_KEY_ID", "鑰匙", "letters, digits, _ and -"),
    ("SIGNING_KEY_ID", "key\n", "letters, digits, _ and -"),
    ("SIGNING_KEY_ID", "k" * 65, "64 at most"),
    ("DATABASE_PREPARED_STATEMENTS", "true", "auto, always, never"),
    ("DATABASE_REPLICA_URL", "sqlite:///copy.db", "postgresql://user:password@host:5432/name"),
    ("DATABASE_REPLICA_URL", "postgresql://host", "postgresql://user:password@host:5432/name"),
    ("PASSWORD_MIN_LENGTH", "7", "from 8 to 100"),
    ("PASSWORD_MIN_LENGTH", "101", "from 8 to 100"),
    ("PASSWORD_MIN_LENGTH", "8.5", "from 8 to 100"),
    ("PASSWORD_REJECT_COMMON", "yes", "true or false"),
    ("PASSWORD_BREACHED", "true", "off, local, hibp"),
    ("PASSWORD_BREACHED_FILE", "/no/such/file", "one that exists"),
    ("PASSWORD_BREACHED_FILE", str(ROOT / "app"), "one that exists"),
    ("PASSWORD_BREACHED_URL", "api.pwnedpasswords.com", "https://"),
    ("PASSWORD_REJECT_COMMON", "True", "true or false"),
    ("PASSWORD_REJECT_COMMON", "1", "true or false"),
    ("PASSWORD_PEPPERS", GOOD_SECRET, "id:secret,id:secret"),
    ("PASSWORD_PEPPERS", f"no spaces:{GOOD_SECRET}", "id:secret,id:secret"),
    ("PASSWORD_PEPPERS", f"a:{GOOD_SECRET},a:{GOOD_SECRET}", "its own id"),
    ("PASSWORD_PEPPERS", "a:short", "longer"),
    ("DATA_KEYS", GOOD_SECRET, "id:secret,id:secret"),
    ("DATA_KEYS", "a:short", "longer"),
    ("MFA_REQUIRED", "everybody", "none, superusers"),
    ("FIREBASE_SIGNER_KEY", "not base64!", "base64_signer_key"),
    ("FIREBASE_SIGNER_KEY", "c2hvcnQ=", "base64_signer_key"),
    ("BCRYPT_ROUNDS", "9", "from 10 to 15"),
    ("HASH_CONCURRENCY", "0", "from 1 to 1024"),
    ("HASH_QUEUE_LIMIT", "-1", "from 0 to 1024"),
    ("BCRYPT_ROUNDS", "16", "from 10 to 15"),
    ("BCRYPT_ROUNDS", "4", "from 10 to 15"),
    ("BCRYPT_ROUNDS", "twelve", "from 10 to 15"),
    ("REQUIRE_VERIFIED_EMAIL", "yes", "true or false"),
    ("HIDE_ACCOUNT_EXISTENCE", "1", "true or false"),
    ("RESET_TOKEN_EXPIRE_MINUTES", "0", "minutes"),
    ("ACCOUNT_DELETION_GRACE_DAYS", "two weeks", "15 or 0.5"),
    ("UNVERIFIED_ACCOUNT_EXPIRE_DAYS", "-1", "15 or 0.5"),
    ("AUDIT_RETENTION_DAYS", "a year", "15 or 0.5"),
    ("MAIL_URL", "mail.example.com", "smtp://user:password@host:587?tls=starttls"),
    ("MAIL_URL", "https://mail.example.com", "smtp://user:password@host:587?tls=starttls"),
    ("MAIL_URL", "smtp://", "tls=starttls"),
    ("MAIL_URL", "smtp://mail.example.com:99999", "smtp://user:password@host:587"),
    ("MAIL_URL", "smtp://[::1", "smtp://user:password@host:587"),
    ("MAIL_URL", "smtp://mail.example.com?tls=maybe", "tls=starttls and tls=tls"),
    ("MAIL_URL", "smtp://u:12/3", "smtp://user:password@host:587"),
    ("MAIL_URL", "smtp://u:p@mail..example.com", "smtp://user:password@host:587"),
    ("MAIL_URL", "smtp://u:p@" + "m" * 64 + ".example.com", "smtp://user:password@host:587"),
    ("MAIL_URL", "smtp://u:p@mail.example.com:0", "between 1 and 65535"),
    ("MAIL_URL", "smtp://u:%E9t%E9@mail.example.com", "not UTF-8"),
    ("MAIL_URL", "smtp://u:p%00@mail.example.com", "control character"),
    ("MAIL_URL", "smtp://:p@mail.example.com", "without a user"),
    ("MAIL_URL", "file:///folder#1", "file:///folder"),
    ("MAIL_URL", "file:///fol%00der", "file:///folder"),
    ("MAIL_URL", "console:", "console://"),
    ("MAIL_URL", "file://folder", "file:///folder"),
    ("MAIL_URL", "file:", "file:///folder"),
    ("MAIL_FROM", "no address", "no-reply@example.com"),
    ("MAIL_FROM", "Example <no-reply@example.com", "Example <no-reply@example.com>"),
    ("MAIL_FROM", "no-reply@example.com>", "Example <no-reply@example.com>"),
    ("MAIL_FROM", "a@example.com\r\nBcc: b@example.com", "no-reply@example.com"),
    ("MAIL_FROM", "A\nBcc: b <a@example.com>", "a control character"),
    ("MAIL_FROM", "a@example.com, b@example.com", "no-reply@example.com"),
    ("MAIL_FROM", "a@example.com, B <b@example.com>", "no-reply@example.com"),
    ("MAIL_FROM", "=?utf-8?q?A?= <a@example.com>", "encoded word (=?…?=)"),
    ("MAIL_FROM", "=?utf-8?q?a?=@example.com", "no-reply@example.com"),
    ("MAIL_FROM", "ä@example.com", "no-reply@example.com"),
    ("MAIL_FROM", "a..b@example.com", "no-reply@example.com"),
    ("MAIL_FROM", "a@" + "d" * 64 + ".com", "no-reply@example.com"),
    ("MAIL_FROM", "a@" + "d." * 126 + "com", "no-reply@example.com"),
    ("MAIL_FROM", "a@exa_mple.com", "no-reply@example.com"),
    ("MAIL_FROM", '"a b"@example.com', "no-reply@example.com"),
    ("PUBLIC_URL", "accounts.example.com", "https://accounts.example.com"),
    ("PUBLIC_URL", "ftp://example.com", "https://accounts.example.com"),
    ("PUBLIC_URL", "https://example.com?from=here", "https://accounts.example.com"),
    ("PUBLIC_URL", "https://", "https://accounts.example.com"),
    ("PUBLIC_URL", "https://example.com:99999", "https://accounts.example.com"),
    ("REDIS_URL", "redis.internal:6379", "redis://host:6379/0"),
    ("REDIS_URL", "http://redis.internal", "redis://host:6379/0"),
    ("REDIS_URL", "redis://", "redis://host:6379/0"),
    ("REDIS_URL", "redis://host:99999", "redis://host:6379/0"),
    ("REDIS_URL", "redis://host:port", "redis://host:6379/0"),
    ("REDIS_URL", "redis://host/name", "redis://host:6379/0"),
    ("REDIS_URL", "redis://host?socket_timeout=60", "redis://host:6379/0"),
    ("REDIS_URL", "unix://relative", "unix:///path/of/the/socket"),
    ("RATELIMIT_ENABLED", "off", "true or false"),
    ("RATELIMIT_LOGIN", "60", "60 per minute; 600 per hour"),
    ("RATELIMIT_LOGIN", "60 per minute;", "60 per minute; 600 per hour"),
    ("RATELIMIT_LOGIN", "many per minute", "60 per minute; 600 per hour"),
    ("RATELIMIT_LOGIN", "0 per minute", "RATELIMIT_ENABLED=false"),
    ("RATELIMIT_LOGIN", "10000000000 per minute", "60 per minute; 600 per hour"),
    ("RATELIMIT_LOGIN_FAILURES", "5 per fortnight", "60 per minute; 600 per hour"),
    ("RATELIMIT_REGISTER", "none", "60 per minute; 600 per hour"),
    ("RATELIMIT_MAIL", "-1 per hour", "60 per minute; 600 per hour"),
    ("RATELIMIT_MAIL_PER_ADDRESS", "five per hour", "60 per minute; 600 per hour"),
    ("RATELIMIT_TOKEN", "1.5 per hour", "60 per minute; 600 per hour"),
    ("RATELIMIT_WRITES", "often", "60 per minute; 600 per hour"),
    ("TRUSTED_PROXIES", "proxy.internal", "10.0.0.7,192.168.4.0/24"),
    ("TRUSTED_PROXIES", "10.0.0.7:80", "10.0.0.7,192.168.4.0/24"),
    ("TRUSTED_PROXIES", "10.0.0.7/8", "10.0.0.7,192.168.4.0/24"),
    ("TRUSTED_PROXIES", "10.0.0.0/33", "10.0.0.7,192.168.4.0/24"),
    ("TRUSTED_PROXIES", "*", "10.0.0.7,192.168.4.0/24"),
    ("TRUSTED_PROXIES", "0.0.0.0/0", "anybody could claim any address"),
    ("TRUSTED_PROXIES", "0.0.0.0/1,128.0.0.0/1", "no range broader than /8"),
    ("TRUSTED_PROXIES", "10.0.0.0/7", "no range broader than /8"),
    ("TRUSTED_PROXIES", "::/1,8000::/1", "no range broader than /8"),
    ("TRUSTED_PROXIES", "2000::/15", "/16 (IPv6"),
    ("TRUSTED_PROXIES", "::ffff:0.0.0.0/97", "no range broader than /8"),
    ("RATELIMIT_LOGIN", "5/0 minute", "60 per minute"),
    ("RATELIMIT_LOGIN", "5 per 0 minutes", "60 per minute"),
    ("RATELIMIT_LOGIN", "5 per 00 minutes", "60 per minute"),
    ("RATELIMIT_LOGIN", "60 per hour; 5 PER 0 minutes", "60 per minute"),
    ("RATELIMIT_LOGIN", "5per0minutes", "60 per minute"),
    ("RATELIMIT_LOGIN", "5 per 9999999 minutes", "60 per minute"),
    ("RATELIMIT_LOGIN", "-5 per minute", "60 per minute"),
    ("RATELIMIT_LOGIN", "5 per -1 minutes", "60 per minute"),
    ("RATELIMIT_LOGIN", "5 per minute:;6 per hour", "60 per minute"),
    ("RATELIMIT_LOGIN", "٥ per minute", "60 per minute"),
    ("TRUSTED_PROXIES", "10.0.0.7,::/0", "anybody could claim any address"),
    ("TRUSTED_PROXIES", "::ffff:0.0.0.0/96", "anybody could claim any address"),
    ("TRUSTED_PROXIES", "[::1]", "or unix for the peer on a UNIX socket"),
    ("TRUSTED_PROXIES", "unix:/run/app.sock", "or unix for the peer on a UNIX socket"),
    ("TRUSTED_PROXY_COUNT", "-1", "from 0 to 16"),
    ("TRUSTED_PROXY_COUNT", "17", "from 0 to 16"),
    ("TRUSTED_HOSTS", "https://api.example.com", "api.example.com,.example.org"),
    ("TRUSTED_HOSTS", "api.example.com:8000", "api.example.com,.example.org"),
    ("TRUSTED_HOSTS", "*", "api.example.com,.example.org"),
    ("TRUSTED_HOSTS", "api..example.com", "api.example.com,.example.org"),
    ("TRUSTED_HOSTS", ".", "api.example.com,.example.org"),
    ("TRUSTED_HOSTS", "[::1", "api.example.com,.example.org"),
    ("TRUSTED_HOSTS", "[::1]:8000", "api.example.com,.example.org"),
    ("TRUSTED_HOSTS", "[::g]", "api.example.com,.example.org"),
    ("TRUSTED_HOSTS", "b\u00fccher\u2603.\u2603", "api.example.com,.example.org"),
    ("CORS_HEADERS", "*", "X-Client-Version,X-Trace"),
    ("OUTBOUND_ALLOW", "provider.internal", "10.0.0.7,192.168.4.0/24."),
    ("OUTBOUND_ALLOW", "unix", "10.0.0.7,192.168.4.0/24."),
    ("OUTBOUND_ALLOW", "0.0.0.0/0", "almost any server could be called"),
    ("OUTBOUND_ALLOW", "2000::/3", "no range broader than /8"),
    ("CORS_HEADERS", "X Client", "X-Client-Version,X-Trace"),
    ("CORS_HEADERS", "X-Client\r\nSet-Cookie", "X-Client-Version,X-Trace"),
    ("CORS_ORIGINS", "capacitor://", "capacitor://localhost"),
    ("CORS_ORIGINS", "file:///index.html", "capacitor://localhost"),
    ("CORS_ORIGINS", "https://user@app.example.com", "capacitor://localhost"),
    ("CORS_ORIGINS", "https://*.example.com", "capacitor://localhost"),
    ("CORS_ORIGINS", "*", "https://app.example.com"),
    ("CORS_ORIGINS", "null", "https://app.example.com"),
    ("CORS_ORIGINS", "app.example.com", "https://app.example.com"),
    ("CORS_ORIGINS", "https://app.example.com/", "https://app.example.com"),
    ("CORS_ORIGINS", "https://app.example.com:99999", "https://app.example.com"),
    ("ALLOW_SQLITE", "sure", "true or false"),
    ("LOG_LEVEL", "LOUD", "DEBUG, INFO, WARNING, ERROR, CRITICAL"),
    ("LOG_FORMAT", "xml", "json, console"),
    ("METRICS_TOKEN", "x" * 15, "secrets.token_urlsafe(32)"),
    ("METRICS_TOKEN", "not to be sent as Bearer", "secrets.token_urlsafe(32)"),
    ("PORT", "0", "from 1 to 65535"),
    ("PORT", "65536", "from 1 to 65535"),
    ("PORT", "http", "from 1 to 65535"),
    ("WEB_CONCURRENCY", "0", "from 1 to 1024"),
    ("WEB_CONCURRENCY", "many", "from 1 to 1024"),
    ("WEB_THREADS", "0", "from 1 to 1024"),
    ("WEB_THREADS", "1.5", "from 1 to 1024"),
]


@pytest.mark.parametrize(("variable", "text", "instead"), BAD)
def test_a_bad_value_is_refused_by_a_sentence_that_names_the_variable_and_says_what_to_write(
    refusals: Refusals, variable: str, text: str, instead: str
) -> None:
    reasons = refusals(**{variable: text})

    assert len(reasons) == 1
    assert reasons[0].startswith(f"{variable} ")
    assert instead in reasons[0]
    assert reasons[0].endswith(".")


@pytest.mark.parametrize("variable", sorted({variable for variable, *_ in BAD}))
def test_an_empty_variable_counts_as_not_set(read: Read, variable: str) -> None:
    with_empty, without = read(**{variable: ""}), read()

    assert with_empty == without


def test_bytes_that_are_no_text_are_refused_by_a_sentence(refusals: Refusals) -> None:
    not_utf_8 = (GOOD_SECRET.encode() + b"\xff\xfe").decode("utf-8", "surrogateescape")

    assert refusals(SECRET_KEY=not_utf_8)[0].startswith("SECRET_KEY ")
    assert refusals(PASSWORD_PEPPERS=f"a:{not_utf_8}")[0].startswith("PASSWORD_PEPPERS ")


def test_all_reasons_are_given_at_once(refusals: Refusals) -> None:
    reasons = refusals(PORT="http", LOG_LEVEL="LOUD", PASSWORD_MIN_LENGTH="3")

    assert {reason.split()[0] for reason in reasons} == {"PORT", "LOG_LEVEL", "PASSWORD_MIN_LENGTH"}


def test_a_refusal_is_an_exit_with_status_1_and_its_sentences(read: Read) -> None:
    with pytest.raises(SystemExit) as refused:
        read(PORT="http", LOG_LEVEL="LOUD")

    # Python prints a code that is text, and exits with 1.
    lines = str(refused.value.code).splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["Cannot", "start:", "PORT"],
        ["Cannot", "start:", "LOG_LEVEL"],
    ]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:hunter2@localhost:port/accounts",
        "postgresql://ada:hunter2@localhost:99999/accounts",
        "postgresql://ada:hunter2@localhost",
        "postgresql://ada:hunter2@[localhost/accounts",
        "mysql://ada:hunter2@localhost/accounts",
        "ada:hunter2@localhost/accounts",
        "postgresql:ada:hunter2@localhost/accounts",
    ],
)
def test_the_password_of_the_database_is_never_in_a_message(refusals: Refusals, url: str) -> None:
    reasons = refusals(DATABASE_URL=url)

    assert [reason for reason in reasons if "hunter2" in reason] == []
    assert "hunter2" not in " ".join(refusals(DATABASE_REPLICA_URL=url))


@pytest.mark.parametrize("variable", ["DATABASE_URL", "DATABASE_REPLICA_URL"])
@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:hun@ter2@db/accounts",
        "postgresql://ada:@hunter2@db/accounts",
        "postgresql://ada:hun@ter2:x@db/accounts",
        "postgresql://ada:hun@ter2:5432@db/accounts",
        "postgresql://ada:hun@ter2/x@db/accounts",
        "postgresql://ada:hun@ter2?x@db/accounts",
        "postgresql://ada:hun@db/accounts?ter2=1@db",
        "postgresql://ada:hun?ter2=1@db/accounts",
        "postgresql://ada:hun@ter2#x@db/accounts",
        "postgresql://ada:hun@ter2 x@db/accounts",
    ],
)
def test_a_password_that_is_not_escaped_is_refused_and_no_part_of_it_repeated(
    refusals: Refusals, variable: str, url: str
) -> None:
    reasons = refusals(**{"DATABASE_URL": "postgresql://db/accounts", variable: url})

    assert len(reasons) == 1
    assert reasons[0].startswith(f"{variable} ")
    assert "%40" in reasons[0]
    assert "hun" not in reasons[0]
    assert "ter2" not in reasons[0]


@pytest.mark.parametrize(
    ("url", "password", "host"),
    [
        ("postgresql://ada:hun%40ter2@db/accounts", "hun@ter2", "db"),
        ("postgresql://ada:hun/ter2@db/accounts", "hun/ter2", "db"),
        ("postgresql://ada:12/3@db/accounts", "12/3", "db"),
        ("postgresql://ada:hun:ter2@db/accounts", "hun:ter2", "db"),
        ("postgres://ada:hunter2@db/accounts", "hunter2", "db"),
        ("postgresql+psycopg://ada:hunter2@db/accounts", "hunter2", "db"),
        ("postgresql://ada:hunter2@[::1]/accounts", "hunter2", "::1"),
        ("postgresql://ada@db/accounts?password=hunter2", "hunter2", "db"),
        ("postgresql:///accounts?host=/run/postgresql&user=ada&password=hunter2", "hunter2", None),
        ("postgresql://ada:hunter2@/accounts?host=a:1&host=b:2", "hunter2", None),
        (
            "postgresql://ada:hunter2@db/accounts?sslmode=verify-full&sslrootcert=/a/b",
            "hunter2",
            "db",
        ),
        ("postgresql://ada:hunter2@db/accounts?target_session_attrs=read-write", "hunter2", "db"),
        ("postgresql://ada:hunter2@db/accounts?options=-csearch_path%3Dours", "hunter2", "db"),
    ],
)
def test_what_the_client_library_takes_is_taken(
    read: Read, url: str, password: str, host: str | None
) -> None:
    found = read(DATABASE_URL=url).database_url

    assert (found.drivername, found.username, found.database) == (
        "postgresql+psycopg",
        "ada",
        "accounts",
    )
    assert (found.password, found.host) == (password, host)
    assert password not in str(found)


def test_hashes_of_passwords_leave_without_tls_only_to_an_allowed_network(
    read: Read, refusals: Refusals
) -> None:
    plain = {"PASSWORD_BREACHED": "hibp", "PASSWORD_BREACHED_URL": "http://hashes.internal"}

    [reason] = refusals(**plain)

    assert reason.startswith("PASSWORD_BREACHED_URL is not https, which is allowed only for")
    assert read(**plain, OUTBOUND_ALLOW="10.0.0.0/8").breached_passwords == "hibp"


@pytest.mark.parametrize(
    ("url", "hosts", "ports"),
    [
        ("postgresql://ada:p@h1,h2/a?target_session_attrs=read-write", "h1,h2", ","),
        ("postgresql://ada:p,w@h1:1,h2:2/a", "h1,h2", "1,2"),
        ("postgresql://h1:1,h2/a", "h1,h2", "1,"),
        ("postgresql://h1,h2/a?port=5433", "h1,h2", "5433,5433"),
        ("postgresql://ada:p@[::1]:1,[::2]:2/a", "::1,::2", "1,2"),
        ("postgresql:///a?host=h1:1&host=h2:2", "h1,h2", "1,2"),
        ("postgresql:///a?host=h1&host=h2&port=1&port=2", "h1,h2", "1,2"),
        ("postgresql:///a?host=h1,h2&port=1,2", "h1,h2", "1,2"),
        ("postgresql://h0:7/a?host=h1&host=h2", "h1,h2", "7,7"),
        ("postgresql:///a?host=::1&host=::2", "::1,::2", ","),
        ("postgresql://ada@%2Fvar%2Frun%2Fpostgresql/a", "/var/run/postgresql", None),
        ("postgresql://%2fvar%2Frun:5433/a", "/var/run", "5433"),
        ("postgresql:///a?host=/var/run&port=5433", "/var/run", "5433"),
    ],
)
def test_servers_reach_the_client_library_in_its_own_form(
    read: Read, url: str, hosts: str, ports: str | None
) -> None:
    found = read(DATABASE_URL=url).database_url
    again = read(DATABASE_URL=found.render_as_string(hide_password=False)).database_url

    _, arguments = found.get_dialect()().create_connect_args(found)
    assert (arguments["host"], arguments.get("port")) == (hosts, ports)
    assert Conninfo.parse(make_conninfo(**arguments).encode())
    assert again == found


@pytest.mark.parametrize(
    ("variable", "value"),
    [("PGGSSENCMODE", "require"), ("PGHOSTADDR", "192.0.2.1"), ("PGTARGETSESSIONATTRS", "primary")],
)
@pytest.mark.parametrize("option", ["", "?gssencmode=require", "?sslmode=require"])
def test_what_libpq_reads_from_the_environment_refuses_no_url(
    read: Read, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, option: str
) -> None:
    monkeypatch.setenv(variable, value)

    assert read(DATABASE_URL=f"postgresql://db/accounts{option}").database_url.host == "db"


def test_a_bad_value_that_libpq_reads_from_the_environment_is_named(
    refusals: Refusals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSSLMODE", "nonsense")

    [reason] = refusals(DATABASE_URL="postgresql://db/accounts")

    assert "the environment has PGSSLMODE with a value" in reason


def test_a_replica_is_read_like_the_database(read: Read) -> None:
    settings = read(
        DATABASE_URL="postgresql://ada:hunter2@db/accounts",
        DATABASE_REPLICA_URL="postgresql://ada:hunter2@replica:5433/accounts",
    )

    assert settings.database_replica_url == settings.database_url.set(host="replica", port=5433)


def test_proxies_are_known_by_address_or_by_number(refusals: Refusals, read: Read) -> None:
    [reason] = refusals(TRUSTED_PROXIES="unix", TRUSTED_PROXY_COUNT="1")

    assert reason.startswith("TRUSTED_PROXY_COUNT is set together with TRUSTED_PROXIES. Set only ")
    assert read(TRUSTED_PROXIES="unix", TRUSTED_PROXY_COUNT="0").trusted_proxies == ["unix"]


def test_sqlite_has_no_replica(refusals: Refusals) -> None:
    [reason] = refusals(DATABASE_REPLICA_URL="postgresql://ada:hunter2@replica/accounts")

    assert reason.startswith("DATABASE_REPLICA_URL ")
    assert "DATABASE_URL means SQLite" in reason


@pytest.mark.parametrize(
    "url", ["smtp://ada:hunter2@mail:port", "ftp://ada:hunter2@mail", "smtp://ada:hunter2@mail?x=y"]
)
def test_the_password_of_the_mail_server_is_never_in_a_message(
    refusals: Refusals, url: str
) -> None:
    assert "hunter2" not in " ".join(refusals(MAIL_URL=url))


@pytest.mark.parametrize(
    "url", ["redis://:hunter2@host:port", "http://:hunter2@host", "redis://:hunter2@host?x=y"]
)
def test_the_password_of_redis_is_never_in_a_message(refusals: Refusals, url: str) -> None:
    assert "hunter2" not in " ".join(refusals(REDIS_URL=url))


def test_secrets_that_are_refused_are_not_repeated(refusals: Refusals) -> None:
    reasons = refusals(SECRET_KEY="hunter2", PASSWORD_PEPPERS="hunter2,a:hunter2")

    assert len(reasons) == 2
    assert [reason for reason in reasons if "hunter2" in reason] == []


# Signing keys


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA"])
def test_a_private_key_signs_where_its_folder_and_its_name_are_given(
    read: Read, tmp_path: Path, algorithm: str
) -> None:
    settings = read(ALGORITHM=algorithm, SIGNING_KEYS_DIR=str(tmp_path), SIGNING_KEY_ID="2026-11")

    assert settings.algorithm == algorithm
    assert (settings.signing_keys_dir, settings.signing_key_id) == (tmp_path, "2026-11")


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA"])
@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({}, ["SIGNING_KEYS_DIR", "SIGNING_KEY_ID"]),
        ({"SIGNING_KEYS_DIR": str(ROOT)}, ["SIGNING_KEY_ID"]),
        ({"SIGNING_KEY_ID": "2026-11"}, ["SIGNING_KEYS_DIR"]),
        ({"SIGNING_KEYS_DIR": "", "SIGNING_KEY_ID": "2026-11"}, ["SIGNING_KEYS_DIR"]),
    ],
)
def test_an_algorithm_with_a_private_key_wants_to_know_which(
    refusals: Refusals, algorithm: str, given: dict[str, str], missing: list[str]
) -> None:
    reasons = refusals(ALGORITHM=algorithm, **given)

    assert [reason.split()[0] for reason in reasons] == missing
    assert all("Write " in reason for reason in reasons)


# Production


def test_production_starts_when_it_has_what_it_needs(read: Read) -> None:
    settings = read(**PRODUCTION)

    assert settings.is_production
    assert settings.log_format == "json"
    assert settings.password_reject_common
    assert settings.breached_passwords == "local"


@pytest.mark.parametrize("missing", ["SECRET_KEY", "DATABASE_URL", "PUBLIC_URL", "MAIL_FROM"])
@pytest.mark.parametrize("how", ["left out", "empty"])
def test_production_refuses_to_start_without(refusals: Refusals, missing: str, how: str) -> None:
    variables = PRODUCTION | {missing: ""}
    if how == "left out":
        del variables[missing]

    reasons = refusals(**variables)

    assert [reason.split()[0] for reason in reasons] == [missing]
    assert "Write " in reasons[0]


def test_production_with_nothing_set_hears_everything_at_once(
    refusals: Refusals, tmp_path: Path
) -> None:
    reasons = refusals(APP_ENV="production")

    missing = ["SECRET_KEY", "DATABASE_URL", "PUBLIC_URL", "MAIL_FROM"]
    assert [reason.split()[0] for reason in reasons] == missing
    assert not (tmp_path / "instance").exists()


@pytest.mark.parametrize(
    "secret",
    [
        "secret",
        "a" * 64,
        "change-me-please" * 4,
        "0123456789abcdef" * 4,
        "0123456789abcdef" * 2 + "0123",
        "correct horse battery " * 3,
    ],
)
def test_production_refuses_a_weak_or_repeated_secret(refusals: Refusals, secret: str) -> None:
    reasons = refusals(**PRODUCTION | {"SECRET_KEY": secret})

    assert [reason.split()[0] for reason in reasons] == ["SECRET_KEY"]


def test_production_takes_sqlite_only_when_told_to(read: Read, refusals: Refusals) -> None:
    on_sqlite = PRODUCTION | {"DATABASE_URL": "sqlite:////var/lib/accounts/app.db"}

    reasons = refusals(**on_sqlite)

    assert [reason.split()[0] for reason in reasons] == ["DATABASE_URL"]
    assert "ALLOW_SQLITE=true" in reasons[0]
    assert "ALLOW_SQLITE=true" in refusals(**on_sqlite, ALLOW_SQLITE="false")[0]
    assert read(**on_sqlite, ALLOW_SQLITE="true").uses_sqlite


def test_production_does_not_complain_twice_about_one_variable(refusals: Refusals) -> None:
    reasons = refusals(**PRODUCTION | {"DATABASE_URL": "nonsense", "SECRET_KEY": "short"})

    assert sorted(reason.split()[0] for reason in reasons) == ["DATABASE_URL", "SECRET_KEY"]


def test_production_has_pages_on_https_or_on_this_machine(read: Read, refusals: Refusals) -> None:
    elsewhere = PRODUCTION | {"PUBLIC_URL": "http://accounts.example.com"}

    [reason] = refusals(**elsewhere)

    assert reason.startswith("PAGES is true")
    assert not read(**elsewhere, PAGES="false").pages
    assert read(**PRODUCTION | {"PUBLIC_URL": "http://localhost:8080"}).pages


def test_production_never_hashes_cheaply(refusals: Refusals) -> None:
    reasons = refusals(**PRODUCTION, BCRYPT_ROUNDS="4")

    assert [reason.split()[0] for reason in reasons] == ["BCRYPT_ROUNDS"]


# The secret of a checkout


def kept_secret(tmp_path: Path) -> Path:
    return tmp_path / "instance" / "secret_key"


def test_a_secret_is_made_once_and_kept(read: Read, tmp_path: Path) -> None:
    first = read()

    again = read()

    assert again.secret_key == first.secret_key == kept_secret(tmp_path).read_text()
    assert len(first.secret_key.encode()) >= 32


def test_two_checkouts_have_two_secrets(tmp_path: Path) -> None:
    one = Settings.from_environment({}, instance=tmp_path / "one")
    other = Settings.from_environment({}, instance=tmp_path / "other")

    assert one.secret_key != other.secret_key


def test_only_its_owner_can_read_the_kept_secret(read: Read, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        read()
    finally:
        os.umask(before)

    assert kept_secret(tmp_path).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in kept_secret(tmp_path).parent.iterdir()] == ["secret_key"]


def test_a_secret_of_the_environment_wins_and_none_is_kept(read: Read, tmp_path: Path) -> None:
    settings = read(SECRET_KEY=GOOD_SECRET)

    assert settings.secret_key == GOOD_SECRET
    assert not kept_secret(tmp_path).exists()


def test_a_new_line_at_the_end_of_the_kept_secret_does_not_count(
    read: Read, tmp_path: Path
) -> None:
    first = read().secret_key
    kept_secret(tmp_path).write_text(first + "\n")

    assert read().secret_key == first


@pytest.mark.parametrize("content", ["", "  \n", "short", "a" * 64])
def test_a_kept_secret_that_is_no_good_is_refused(
    read: Read, refusals: Refusals, tmp_path: Path, content: str
) -> None:
    read()
    kept_secret(tmp_path).write_text(content)

    reasons = refusals()

    assert len(reasons) == 1
    assert reasons[0].startswith("SECRET_KEY ")
    assert str(kept_secret(tmp_path)) in reasons[0]


def test_an_instance_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "instance").write_text("a file where the folder should be")

    with pytest.raises(SettingsRefused) as refused:
        Settings.from_environment({}, instance=tmp_path / "instance")

    assert refused.value.reasons[0].startswith("SECRET_KEY ")


def test_ten_threads_that_start_at_once_get_the_same_secret(read: Read, tmp_path: Path) -> None:
    together = Barrier(10)

    def start(_: int) -> str:
        together.wait()
        return read().secret_key

    with ThreadPoolExecutor(10) as threads:
        secrets = set(threads.map(start, range(10)))

    assert secrets == {kept_secret(tmp_path).read_text()}


def test_processes_that_start_at_once_get_the_same_secret(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from config import Settings;"
        "print('ready', flush=True); sys.stdin.read();"
        "print(Settings.from_environment({}, instance=Path(sys.argv[1])).secret_key)"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, tmp_path / "instance"],
            cwd=ROOT,
            env=environment_for(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"

    # The end of their input is the signal to start.
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
    printed = set()
    for process in processes:
        assert process.stdout is not None
        printed.add(process.stdout.read().strip())
        process.stdout.close()
        assert process.wait() == 0

    assert printed == {kept_secret(tmp_path).read_text()}


# .env


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with a ``.env``, and a process without variables of ours."""
    monkeypatch.setattr(config, "ROOT", tmp_path)
    for variable in {variable for variable, *_ in BAD} | {"SECRET_KEY"}:
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / ".env").write_text(
        f'# Written by hand\nSECRET_KEY="{GOOD_SECRET}"\nPORT=8123\nLOG_LEVEL=\n'
    )
    return tmp_path


def test_the_file_env_is_read(checkout: Path) -> None:
    settings = Settings.from_environment(instance=checkout / "instance")

    assert settings.secret_key == GOOD_SECRET
    assert settings.port == 8123
    assert settings.log_level == "INFO"


def test_a_variable_of_the_process_wins_over_the_file(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", "8456")

    settings = Settings.from_environment(instance=checkout / "instance")

    assert settings.port == 8456


def test_a_bad_value_in_the_file_is_refused_like_any_other(checkout: Path) -> None:
    (checkout / ".env").write_text("PORT=http\n")

    with pytest.raises(SettingsRefused) as refused:
        Settings.from_environment(instance=checkout / "instance")

    assert refused.value.reasons[0].startswith("PORT ")


def test_reading_the_file_leaves_the_process_alone(checkout: Path) -> None:
    Settings.from_environment(instance=checkout / "instance")

    assert "PORT" not in os.environ


@pytest.mark.parametrize(
    ("url", "user", "password"),
    [
        ("smtp://u:12/3@h", "u", "12/3"),
        ("smtp://u:a@b#c?d@h", "u", "a@b#c?d"),
        ("smtp://u:a%40b%25@h", "u", "a@b%"),
        ("smtp://u:pässwörd 密码@h", "u", "pässwörd 密码"),
        ("smtp://u@h", "u", ""),
        ("smtp://h", "", ""),
    ],
)
def test_everything_before_the_last_at_is_the_login_of_the_mail_server(
    read: Read, url: str, user: str, password: str
) -> None:
    server = mail_server(read(MAIL_URL=url).mail_url)

    assert (server.host, server.user, server.password) == ("h", user, password)


def test_a_sender_with_whom_no_mail_can_be_written_stops_the_start(tmp_path: Path) -> None:
    settings = replace(read_settings({}, instance=tmp_path), mail_from="=?utf-8?q?nobody?=")

    with pytest.raises(SettingsRefused, match="MAIL_FROM"):
        create_app(settings)
