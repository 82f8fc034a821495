"""What ``flask doctor`` finds."""

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy
import time_machine
from click.testing import Result
from flask import Flask
from sqlalchemy.engine import make_url

from app import OPTIONAL, clock, read_settings
from app.audit import checks as audit_checks
from app.audit.links import Broken
from app.audit.verification import Verdict
from app.doctor import deployment_warnings, file_checks, findings, setting_checks
from app.doctor.findings import CHECKS
from app.extensions import db
from app.features.checks import Weight
from app.mail import messages, transport
from app.models import Session, User
from app.security import signing_keys
from config import Settings, SettingsRefused
from configuration import cores
from tests.audit.log import write
from tests.conftest import SECRET_KEY
from tests.factories import make_user
from tests.mail.letters import deliver, queue
from tests.test_docs import in_backticks, rows

GOOD = {
    "APP_ENV": "production",
    "DATABASE_URL": "postgresql://app:secret@db.internal/app?sslmode=verify-full",
    "SECRET_KEY": SECRET_KEY,
    "PUBLIC_URL": "https://accounts.example.com",
    "MAIL_FROM": "no-reply@example.com",
    "TRUSTED_HOSTS": "accounts.example.com",
    "MAIL_URL": "smtp://mail.example.com:587?tls=starttls",
    "PASSWORD_MIN_LENGTH": "15",
    "PASSWORD_PEPPERS": "a:0123456789abcdef0123456789abcdef",
    "DATA_KEYS": "a:0123456789abcdef0123456789abcdef",
    "MFA_REQUIRED": "superusers",
    "REQUIRE_VERIFIED_EMAIL": "true",
    "HIDE_ACCOUNT_EXISTENCE": "true",
    "CORS_ORIGINS": "https://app.example.com",
    "METRICS_TOKEN": "a-token-for-prometheus",
    "REDIS_URL": "redis://redis.internal",
    "TRUSTED_PROXIES": "10.0.0.1/32",
    "WEB_CONCURRENCY": "2",
}

# What makes the check find something. The others are tried one by one further down.
WEAK: dict[str, dict[str, str]] = {
    "app_env": {"APP_ENV": "development"},
    "variables_are_known": {"MAIL_FORM": "no-reply@example.com"},
    "database_is_postgresql": {"DATABASE_URL": "sqlite:///app.db", "ALLOW_SQLITE": "true"},
    "public_url_is_https": {"PUBLIC_URL": "http://accounts.example.com", "PAGES": "false"},
    "bcrypt_rounds": {"BCRYPT_ROUNDS": "11"},
    "hash_concurrency": {"HASH_CONCURRENCY": "1"},
    "password_min_length": {"PASSWORD_MIN_LENGTH": "14"},
    "common_passwords_are_rejected": {"PASSWORD_REJECT_COMMON": "false"},
    "breached_passwords_are_rejected": {"PASSWORD_BREACHED": "off"},
    "peppers": {"PASSWORD_PEPPERS": ""},
    "data_keys_are_set": {"DATA_KEYS": ""},
    "second_factors_are_required": {"MFA_REQUIRED": "none"},
    "verified_email_is_required": {"REQUIRE_VERIFIED_EMAIL": "false"},
    "account_existence_is_hidden": {"HIDE_ACCOUNT_EXISTENCE": "false"},
    "mail_is_sent": {"MAIL_URL": "console://"},
    "mail_is_encrypted": {"MAIL_URL": "smtp://mail.example.com:25"},
    "cors_origins_are_https": {"CORS_ORIGINS": "https://a.example.com,http://b.example.com"},
    "trusted_hosts": {"TRUSTED_HOSTS": ""},
    "log_level": {"LOG_LEVEL": "DEBUG"},
    "retry_window": {"REFRESH_RETRY_WINDOW_SECONDS": "61"},
    "late_retry": {"REFRESH_LATE_RETRY_HOURS": "73"},
    "lifetimes": {"ACCESS_TOKEN_EXPIRE_MINUTES": "61"},
    "metrics_are_guarded": {"METRICS_TOKEN": ""},
    "limits_are_on": {"RATELIMIT_ENABLED": "false"},
    "limits_are_shared": {"REDIS_URL": "", "WEB_CONCURRENCY": "2"},
    "limits_are_tight": {"RATELIMIT_LOGIN": "61 per minute; 601 per hour"},
    "trusted_proxies": {"TRUSTED_PROXIES": ""},
    "proxies_are_known": {"TRUSTED_PROXIES": "", "TRUSTED_PROXY_COUNT": "1"},
    "trusted_proxies_are_few": {"TRUSTED_PROXIES": "10.0.0.0/8"},
}
TRIED_FURTHER_DOWN = {
    *("secret_key_is_set", "signing_keys_are_private", "env_file_is_private"),
    *("signing_key_is_young", "database_answers", "migrations_are_applied"),
    *("database_is_fit", "database_takes_writes", "database_file_is_private"),
    *("database_is_verified", "database_is_encrypted", "role_is_no_superuser"),
    *("role_cannot_edit_the_audit_log", "audit_log_is_append_only"),
    *("audit_log_was_whole", "audit_log_is_verified"),
    *("role_cannot_change_tables", "connections_fit", "clocks_agree", "somebody_is_superuser"),
    *("mail_is_delivered", "no_mail_was_set_aside"),
    *("nothing_odd_was_seen", "logins_come_from_several_addresses"),
    *("sealed_rows_have_their_key", "digests_have_their_key"),
    *("superusers_have_a_second_factor", "passkeys_belong_to_this_domain"),
    # The tests of the features try these.
    *("api_keys_have_the_prefix", "identities_belong_to_these_providers"),
    "links_by_address_name_domains",
    "no_second_factor_is_wanted_in_vain",
}

ALL_CHECKS = [*CHECKS, *(check for feature in OPTIONAL for check in feature.checks)]


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An instance folder and a root of one's own, on a machine of two cores."""
    monkeypatch.setattr(cores, "usable", lambda: 2)
    monkeypatch.setattr(setting_checks, "INSTANCE", tmp_path)
    monkeypatch.setattr(file_checks, "ROOT", tmp_path)
    return tmp_path


@pytest.fixture
def read(instance: Path) -> Callable[..., Settings]:
    def read(**variables: str) -> Settings:
        return read_settings(GOOD | variables, instance=instance)

    return read


Read = Callable[..., Settings]


def reason(name: str, settings: Settings) -> str | None:
    """What one check says."""
    [check] = [check for check in ALL_CHECKS if check.name == name]
    return check.test(settings)


def found(app: Flask, settings: Settings | None = None) -> dict[str, str]:
    """Check → reason, of all that find something."""
    with app.app_context():
        settings = settings or app.config["SETTINGS"]
        return {finding.check: finding.reason for finding in findings.findings(settings)}


def test_every_check_is_tried_here() -> None:
    assert {check.name for check in ALL_CHECKS} == {*WEAK, *TRIED_FURTHER_DOWN}


def test_every_check_is_in_operations_md_with_its_weight_and_no_other() -> None:
    documented = {in_backticks(row[0])[0]: row[1] for row in rows("docs/operations.md", "check")}

    assert documented == {check.name: check.weight.value for check in ALL_CHECKS}


def test_every_cure_is_a_sentence() -> None:
    assert [check.name for check in ALL_CHECKS if not check.remedy.endswith(".")] == []


@pytest.mark.parametrize("name", WEAK)
def test_a_weak_setting_is_found_and_a_good_one_is_not(read: Read, name: str) -> None:
    weak = reason(name, read(**WEAK[name]))

    assert weak is not None
    assert weak.endswith(".")
    assert reason(name, read()) is None


def test_a_secret_that_was_made_up_is_found(read: Read, instance: Path) -> None:
    made_up = read(APP_ENV="development", SECRET_KEY="")

    assert str(instance) in (reason("secret_key_is_set", made_up) or "")
    assert reason("secret_key_is_set", read()) is None


def test_mail_into_a_folder_is_found(read: Read, tmp_path: Path) -> None:
    assert reason("mail_is_sent", read(MAIL_URL=f"file://{tmp_path}"))


def test_mail_to_a_server_on_this_host_needs_no_tls(read: Read) -> None:
    assert reason("mail_is_encrypted", read(MAIL_URL="smtp://localhost:25")) is None


@pytest.mark.parametrize(
    "variables",
    [
        {"FRESH_TOKEN_EXPIRE_MINUTES": "61"},
        {"RESET_TOKEN_EXPIRE_MINUTES": "1441"},
        {"SESSION_MAX_AGE_DAYS": "31"},
        {"SESSION_MAX_AGE_DAYS": "60", "REFRESH_TOKEN_EXPIRE_DAYS": "31"},
    ],
)
def test_each_lifetime_that_is_long_is_named(read: Read, variables: dict[str, str]) -> None:
    said = reason("lifetimes", read(**variables)) or ""

    assert [name for name in variables if name not in said] == []


# Files


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    folder = tmp_path / "keys"
    folder.mkdir(mode=0o755)
    signing_keys.generate(folder, "today", "ES256")
    return folder


@pytest.fixture
def signing(read: Read, keys: Path) -> Settings:
    return read(ALGORITHM="ES256", SIGNING_KEYS_DIR=str(keys), SIGNING_KEY_ID="today")


def test_a_private_key_that_others_can_read_is_found(signing: Settings, keys: Path) -> None:
    before = reason("signing_keys_are_private", signing)

    (keys / "today.pem").chmod(0o640)

    assert before is None
    assert "today.pem" in (reason("signing_keys_are_private", signing) or "")
    keys.chmod(0o700)
    assert reason("signing_keys_are_private", signing) is None


def test_the_public_half_of_a_retired_key_may_be_read(signing: Settings, keys: Path) -> None:
    [old] = [signing_keys.generate(keys, "old", "ES256")]
    retired = signing_keys.retire(old, clock.now() + timedelta(days=1))
    retired.path.chmod(0o644)

    assert reason("signing_keys_are_private", signing) is None


def test_an_old_signing_key_is_found(signing: Settings, keys: Path) -> None:
    before = reason("signing_key_is_young", signing)
    long_ago = (datetime.now(UTC) - timedelta(days=400)).timestamp()

    os.utime(keys / "today.pem", (long_ago, long_ago))

    assert before is None
    assert "today" in (reason("signing_key_is_young", signing) or "")


def test_without_signing_keys_there_is_nothing_to_say_of_them(read: Read) -> None:
    assert reason("signing_keys_are_private", read()) is None
    assert reason("signing_key_is_young", read()) is None


def test_an_env_file_that_others_can_read_is_found(read: Read, instance: Path) -> None:
    instance.chmod(0o755)
    env = instance / ".env"
    env.write_text("SECRET_KEY=…")
    env.chmod(0o600)
    before = reason("env_file_is_private", read())

    env.chmod(0o644)

    assert before is None
    assert reason("env_file_is_private", read())


# The way to the database


@pytest.mark.parametrize(
    ("options", "encrypted", "verified"),
    [
        ("", False, True),
        ("?sslmode=disable", False, True),
        ("?sslmode=prefer", False, True),
        ("?sslmode=require", True, False),
        ("?sslmode=verify-ca", True, False),
        ("?sslmode=verify-full", True, True),
    ],
)
def test_the_way_to_a_database_elsewhere_must_be_encrypted_and_should_be_verified(
    read: Read, options: str, encrypted: bool, verified: bool
) -> None:
    settings = read(DATABASE_URL=f"postgresql://app@db.internal/app{options}")

    assert (reason("database_is_encrypted", settings) is None) is encrypted
    assert (reason("database_is_verified", settings) is None) is verified


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", ""])
def test_the_way_to_a_database_on_this_host_needs_neither(read: Read, host: str) -> None:
    settings = read(DATABASE_URL=f"postgresql://app@{host}/app")

    assert reason("database_is_encrypted", settings) is None
    assert reason("database_is_verified", settings) is None


# What the database says


def test_a_database_that_is_away_is_dangerous_and_nothing_more_is_asked_of_it(
    make_app: Callable[..., Flask], tmp_path: Path
) -> None:
    app = make_app(DATABASE_URL=f"sqlite:///{tmp_path / 'nowhere' / 'app.db'}")

    checks = found(app)

    assert checks["database_answers"].startswith("The database does not answer: ")
    assert list(checks)[-1] == "database_answers"


def test_a_sqlite_file_that_others_can_read_is_dangerous(
    make_app: Callable[..., Flask], tmp_path: Path
) -> None:
    (tmp_path / "app.db").touch()
    (tmp_path / "app.db").chmod(0o644)
    tmp_path.chmod(0o755)
    app = make_app(DATABASE_URL=f"sqlite:///{tmp_path / 'app.db'}")

    assert str(tmp_path / "app.db") in found(app)["database_file_is_private"]

    (tmp_path / "app.db").chmod(0o600)
    assert "database_file_is_private" not in found(app)


def test_a_migration_that_is_missing_is_found_and_no_table_asked_for(
    make_app: Callable[..., Flask], tmp_path: Path
) -> None:
    app = make_app(DATABASE_URL=f"sqlite:///{tmp_path / 'empty.db'}")

    checks = found(app)

    assert "database_answers" not in checks
    assert list(checks)[-1] == "migrations_are_applied"


def test_a_database_that_is_as_it_should_be_has_nothing_of_that(app: Flask, grace: User) -> None:
    checks = found(app)

    assert not {
        *("database_answers", "migrations_are_applied", "connections_fit", "clocks_agree"),
        *("somebody_is_superuser", "mail_is_delivered", "no_mail_was_set_aside"),
    } & set(checks)


@pytest.fixture
def as_served(app: Flask, make_app: Callable[..., Flask], database_url: str) -> Iterator[Flask]:
    """The application under a role that may read and write, as docs/deploying.md has it."""
    role = f"served_{uuid4().hex}"
    statements = [
        f"CREATE ROLE {role} LOGIN",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}",
        f"REVOKE CREATE ON SCHEMA public FROM {role}, PUBLIC",
    ]
    execute(app, *statements)
    url = make_url(database_url).set(username=role)
    yield make_app(DATABASE_URL=url.render_as_string(hide_password=False))
    execute(app, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def execute(app: Flask, *statements: str) -> None:
    with app.app_context(), db.engine.begin() as connection:
        for statement in statements:
            connection.execute(sqlalchemy.text(statement))


@pytest.mark.postgresql
def test_a_role_that_may_do_anything_is_found(app: Flask, as_served: Flask) -> None:
    assert {"role_is_no_superuser", "role_cannot_change_tables"} <= set(found(app))
    assert not {"role_is_no_superuser", "role_cannot_change_tables"} & set(found(as_served))


def role_of(served: Flask) -> str:
    role: str = served.config["SETTINGS"].database_url.username
    return role


@pytest.mark.postgresql
def test_the_owner_of_the_tables_is_found(app: Flask, as_served: Flask) -> None:
    role = role_of(as_served)
    execute(app, f"ALTER TABLE users OWNER TO {role}")

    checks = found(as_served)

    execute(app, "ALTER TABLE users OWNER TO CURRENT_USER")
    assert "role_cannot_change_tables" in checks
    assert "role_is_no_superuser" not in checks


@pytest.mark.postgresql
def test_a_role_that_may_edit_the_audit_log_is_found_with_what_it_may(
    app: Flask, as_served: Flask
) -> None:
    check, role = "role_cannot_edit_the_audit_log", role_of(as_served)
    everything = found(as_served)[check]
    execute(
        app,
        f"REVOKE UPDATE, DELETE, TRUNCATE ON audit_events, audit_seals, audit_prunings FROM {role}",
        f"REVOKE INSERT ON audit_prunings FROM {role}",
        f"GRANT UPDATE (ip, user_agent, personal) ON audit_events TO {role}",
        f"GRANT UPDATE (salt) ON audit_seals TO {role}",
    )

    assert "DELETE on audit_events" in everything
    assert "INSERT on audit_prunings" in everything
    assert check in found(app)
    assert check not in found(as_served)
    for right in (
        "DELETE ON audit_seals",
        "INSERT ON audit_prunings",
        "UPDATE (at) ON audit_events",
        "INSERT (through) ON audit_prunings",
        "TRIGGER ON audit_events",
        "TRUNCATE ON audit_seals",
    ):
        execute(app, f"GRANT {right} TO {role}")
        said = found(as_served)[check]
        execute(app, f"REVOKE {right} FROM {role}")
        assert re.sub(r" \(\w+\)", "", right).replace("ON", "on") in said


@pytest.mark.postgresql
def test_a_role_that_could_give_itself_rights_on_the_audit_log_is_found(
    app: Flask, as_served: Flask
) -> None:
    check, role = "role_cannot_edit_the_audit_log", role_of(as_served)
    take = (
        f"REVOKE UPDATE, DELETE, TRUNCATE, TRIGGER ON audit_events, audit_seals, audit_prunings "
        f"FROM {role}"
    )
    take_insert = f"REVOKE INSERT ON audit_prunings FROM {role}"
    owner = f"owner_{uuid4().hex}"
    execute(app, f"CREATE ROLE {owner}", f"ALTER ROLE {role} NOINHERIT")
    try:
        # It owns a table, and has taken the rights from itself.
        execute(app, f"ALTER TABLE audit_events OWNER TO {role}", take, take_insert)
        of_the_owner = found(as_served).get(check, "")
        execute(app, f"ALTER TABLE audit_events OWNER TO {owner}", take)
        execute(app, f"ALTER TABLE users OWNER TO {owner}")
        execute(app, f"GRANT SELECT ON audit_events, users TO {role}")
        of_a_stranger = found(as_served)
        # It may become the owner by SET ROLE.
        execute(app, f"GRANT {owner} TO {role}")
        of_a_member = found(as_served)
    finally:
        # The role and all that it owns are dropped.
        execute(
            app,
            "ALTER TABLE audit_events OWNER TO CURRENT_USER",
            "ALTER TABLE users OWNER TO CURRENT_USER",
            f"DROP ROLE {owner}",
        )

    assert not {check, "role_cannot_change_tables"} & set(of_a_stranger)
    assert "OWNERSHIP on audit_events" in of_the_owner
    assert "OWNERSHIP on audit_events" in of_a_member[check]
    assert "role_cannot_change_tables" in of_a_member


def test_a_trigger_of_the_audit_log_that_is_missing_is_found(app: Flask) -> None:
    assert "audit_log_is_append_only" not in found(app)

    with app.app_context(), db.engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            take = "ALTER TABLE audit_events DISABLE TRIGGER audit_events_refuse_delete"
            put_back = take.replace("DISABLE", "ENABLE")
        else:
            take = "DROP TRIGGER audit_events_refuse_delete"
            triggers = "SELECT sql FROM sqlite_master WHERE name = 'audit_events_refuse_delete'"
            put_back = connection.exec_driver_sql(triggers).scalar_one()

    # A trigger of the operator's own does not stand in for it.
    is_postgresql = not app.config["SETTINGS"].uses_sqlite
    own = "CREATE TRIGGER notify_us AFTER INSERT ON audit_events "
    own += (
        "FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()"
        if is_postgresql
        else "BEGIN SELECT 1; END"
    )
    execute(app, take, own)
    said = found(app).get("audit_log_is_append_only", "")
    execute(app, put_back, "DROP TRIGGER notify_us" + " ON audit_events" * is_postgresql)

    assert said.startswith("1 of the triggers ")


@pytest.mark.postgresql
def test_more_connections_than_postgresql_allows_are_found(app: Flask) -> None:
    settings = replace(app.config["SETTINGS"], web_concurrency=1000)

    assert "34000" in found(app, settings)["connections_fit"]


@pytest.mark.postgresql
def test_clocks_that_differ_are_found(app: Flask) -> None:
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=1)):
        checks = found(app)

    assert "seconds" in checks["clocks_agree"]


def test_that_nobody_is_superuser_is_found(app: Flask, ada: User) -> None:
    assert "somebody_is_superuser" in found(app)


def test_the_last_result_of_the_audit_log_is_told(app: Flask) -> None:
    def verified(broken: Broken | None) -> dict[str, str]:
        with app.app_context():
            audit_checks.remember(Verdict(1, 1, "0" * 64, 0, broken), after=0)
        return found(app)

    with app.app_context():
        write(1, at=datetime.now(UTC) - timedelta(days=40))

    assert found(app)["audit_log_is_verified"] == "The audit log was never verified."
    bad = verified(Broken("edited", "An event was edited."))
    assert bad["audit_log_was_whole"].endswith("that the log was changed (edited).")
    assert not verified(None).keys() & {"audit_log_is_verified", "audit_log_was_whole"}
    with time_machine.travel(datetime.now(UTC) + timedelta(days=32)):
        assert "was last verified on" in found(app)["audit_log_is_verified"]


def test_mail_that_waits_for_long_is_found(app: Flask) -> None:
    with time_machine.travel(datetime.now(UTC) - timedelta(minutes=20)):
        queue(app, messages.verify_email, token="t")

    assert found(app)["mail_is_delivered"].startswith("Waiting mails: 1, ")


def test_mail_that_waits_a_moment_is_not(app: Flask) -> None:
    queue(app, messages.verify_email, token="t")

    assert "mail_is_delivered" not in found(app)


def test_mail_that_was_set_aside_is_found(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise transport.Refused("550 no such user")

    queue(app, messages.verify_email, token="t")
    monkeypatch.setattr(transport, "send", refuse)
    deliver(app)

    assert found(app)["no_mail_was_set_aside"].endswith(": 1.")


def test_what_was_seen_of_proxies_is_told(app: Flask) -> None:
    with app.app_context():
        deployment_warnings.warn(
            deployment_warnings.Kind.UNTRUSTED_FORWARDING, "X-Forwarded-For from 10.0.0.9"
        )

    assert "X-Forwarded-For from 10.0.0.9" in found(app)["nothing_odd_was_seen"]


def test_that_everybody_comes_from_one_address_is_found(app: Flask) -> None:
    assert "logins_come_from_several_addresses" not in found(app)

    now = datetime.now(UTC)
    for number in range(5):
        user = make_user(app, username=f"user{number}", email=f"user{number}@example.com")
        with app.app_context():
            db.session.add_all(
                Session(
                    user_id=user.id,
                    ip="10.0.0.9",
                    refreshed_at=now,
                    expires_at=now,
                    max_expires_at=now,
                )
                for _ in range(10)
            )
            db.session.commit()

    assert "10.0.0.9" in found(app)["logins_come_from_several_addresses"]


# The command


@pytest.fixture
def doctor(app: Flask, instance: Path) -> Callable[..., Result]:
    def run(*arguments: str) -> Result:
        return app.test_cli_runner().invoke(args=("doctor", *arguments))

    return run


Doctor = Callable[..., Result]


def test_it_prints_groups_with_reason_and_cure_and_fails_where_something_is_dangerous(
    doctor: Doctor,
) -> None:
    result = doctor()

    assert result.exit_code == 1
    dangerous, weak, good_to_know = (
        result.stdout.index(head) for head in ("Dangerous:", "Weak:", "Good to know:")
    )
    assert dangerous < weak < good_to_know
    assert "APP_ENV is testing" in result.stdout
    assert "Set APP_ENV=production" in result.stdout


def test_it_prints_json(doctor: Doctor) -> None:
    result = doctor("--json")

    listed: list[dict[str, Any]] = json.loads(result.stdout)
    assert result.exit_code == 1
    assert {finding["weight"] for finding in listed} == {weight.value for weight in Weight}
    assert set(listed[0]) == {"check", "weight", "reason", "cure"}


def test_where_nothing_is_dangerous_it_succeeds(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        findings, "CHECKS", [check for check in CHECKS if check.weight is not Weight.DANGEROUS]
    )

    result = doctor()

    assert result.exit_code == 0
    assert "Weak:" in result.stdout


def test_where_all_is_well_it_says_so(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "CHECKS", [])
    monkeypatch.setattr(findings.features, "active", tuple)

    result = doctor()

    assert (result.exit_code, result.stdout) == (0, "Nothing is weaker than it should be.\n")


def test_it_never_prints_a_secret(doctor: Doctor) -> None:
    for arguments in ((), ("--json",)):
        assert SECRET_KEY not in doctor(*arguments).output


def test_a_tree_without_second_factors_is_told_what_still_wants_one(
    new_app: Callable[..., Flask], ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "no_second_factor_is_wanted_in_vain"
    monkeypatch.setattr("app.OPTIONAL", ())
    with pytest.raises(SettingsRefused, match="MFA_REQUIRED is all"):
        new_app(MFA_REQUIRED="all")
    app = new_app()

    before = found(app)
    with app.app_context():
        db.session.get_one(User, ada.id).second_step_at = clock.now()
        db.session.commit()

    assert name not in before
    assert "Accounts with the second step on: 1." in found(app)[name]
