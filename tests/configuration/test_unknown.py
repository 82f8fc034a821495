"""Variables that look like settings, but are not known."""

import re
from collections.abc import Collection
from dataclasses import replace

import pytest

from app import create_app, read_settings
from config import Settings
from configuration import unknown
from configuration.table import variables_of
from tests.conftest import ENVIRONMENT
from tests.servers import ROOT

KNOWN = {variable.name for variable in variables_of(Settings).values()}


def warnings(*names: str, in_file: Collection[str] = ()) -> tuple[str, ...]:
    return unknown.warnings(names, KNOWN, in_file)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("MAIL_FORM", "MAIL_FROM"),
        ("EMAIL_FROM", "MAIL_FROM"),
        ("REDIS_URI", "REDIS_URL"),
        ("DATABASE_URI", "DATABASE_URL"),
        ("DATABSE_ULR", "DATABASE_URL"),
        ("LOGLEVEL", "LOG_LEVEL"),
        ("APP_ENVS", "APP_ENV"),
        ("TRUSTED_HOST", "TRUSTED_HOSTS"),
        ("ALOW_SQLITE", "ALLOW_SQLITE"),
        ("PASSWORD_PEPPER", "PASSWORD_PEPPERS"),
        ("RATELIMIT_MAILS", "RATELIMIT_MAIL"),
        ("REQUIRE_EMAIL_VERIFIED", "REQUIRE_VERIFIED_EMAIL"),
    ],
)
def test_a_misspelt_name_is_named_with_what_was_meant(name: str, meant: str) -> None:
    assert warnings(name) == (f"`{name}` is not known; did you mean `{meant}`?",)


def test_a_name_with_a_word_of_ours_is_named_with_the_settings_that_have_it() -> None:
    assert warnings("MAIL_SERVER") == (
        "`MAIL_SERVER` is not known. The settings that begin with MAIL_ are MAIL_FROM, MAIL_URL.",
    )
    [sentence] = warnings("RATELIMIT_STORAGE_URI")
    assert "RATELIMIT_ENABLED, RATELIMIT_LOGIN, " in sentence


OF_OTHERS = {
    "a shell": "HOME PATH PWD OLDPWD HOSTNAME USER LOGNAME SHELL SHLVL TERM LANG LC_ALL TZ _",
    "a session": "MAIL MAILCHECK MAILPATH MAILTO SSH_AUTH_SOCK XDG_RUNTIME_DIR PASSWORD_STORE_DIR",
    "systemd": "JOURNAL_STREAM INVOCATION_ID NOTIFY_SOCKET LISTEN_FDS STATE_DIRECTORY MAINPID",
    "Python": "VIRTUAL_ENV PYTHONPATH PYTHONUNBUFFERED PIP_INDEX_URL PYENV_ROOT UV_CACHE_DIR",
    "Flask": "FLASK_APP FLASK_ENV FLASK_DEBUG FLASK_SKIP_DOTENV FLASK_RUN_PORT WERKZEUG_RUN_MAIN",
    "gunicorn": "GUNICORN_CMD_ARGS GUNICORN_WORKERS PROMETHEUS_MULTIPROC_DIR SENTRY_DSN",
    "PostgreSQL": "PGHOST PGUSER PGPASSWORD PGSSLMODE POSTGRES_USER POSTGRES_PASSWORD POSTGRES_DB",
    "a platform": "DATABASE_HOST DATABASE_USER DATABASE_PASSWORD DATABASE_PRIVATE_URL DB_HOST DYNO",
    "Redis": "REDIS_HOST REDIS_PORT REDIS_PASSWORD REDIS_SERVICE_HOST REDIS_PORT_6379_TCP_ADDR",
    "containers": "KUBERNETES_SERVICE_HOST KUBERNETES_PORT_443_TCP DOCKER_HOST COMPOSE_FILE",
    "web servers": "WEB_PORT WEB_HOST LOG_DIR LOG_FILE HTTP_PROXY http_proxy no_proxy AWS_REGION",
    "other services": "APP_KEY APP_NAME APP_URL APP_DEV SECRET_KEY_BASE SESSION_TYPE NODE_ENV",
    "libraries": "SQLALCHEMY_DATABASE_URI JWT_SECRET_KEY SMTP_HOST SMTP_FROM npm_config_cache",
    "anything short": "POST PORTS PROT HOST URL SECRET TOKEN mail_form",
}


@pytest.mark.parametrize("names", OF_OTHERS.values(), ids=OF_OTHERS.keys())
def test_usual_names_of_other_programs_are_no_warning(names: str) -> None:
    assert warnings(*names.split()) == ()


def test_what_kubernetes_and_docker_set_for_a_service_is_no_warning() -> None:
    of_kubernetes = (
        "MAIL_SERVICE_HOST",
        "MAIL_SERVICE_PORT",
        "MAIL_SERVICE_PORT_SMTP",
        "MAIL_PORT",
    )
    of_docker = ("CORS_PORT_80_TCP", "CORS_PORT_80_TCP_ADDR", "CORS_NAME", "CORS_ENV_LANG")

    assert warnings(*of_kubernetes, *of_docker) == ()
    assert len(warnings("MAIL_PORT", "CORS_NAME")) == 2
    assert len(warnings(*of_kubernetes, "MAIL_FORM")) == 1


def test_known_names_are_no_warning() -> None:
    assert warnings(*KNOWN, in_file=KNOWN) == ()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("PROT", "`PROT` is not known; did you mean `PORT`?"),
        ("port", "`port` is not known; did you mean `PORT`?"),
        ("Mail_Form", "`Mail_Form` is not known; did you mean `MAIL_FROM`?"),
        ("LOG_DIR", "`LOG_DIR` is not known. The settings that begin with LOG_ are "),
        ("SHELF", "`SHELF` in .env is not a setting. docs/settings.md lists the settings."),
    ],
)
def test_in_the_file_each_unknown_name_is_a_warning(name: str, sentence: str) -> None:
    [warning] = warnings(name, in_file={name})

    assert warning.startswith(sentence)


def test_the_file_may_hold_what_compose_yaml_takes_from_it() -> None:
    compose = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    taken = set(re.findall(r"\$\{([A-Z_]+)", compose))

    assert taken - KNOWN
    assert warnings(*taken, in_file=taken) == ()


@pytest.mark.parametrize(
    ("one", "other", "number"),
    [
        ("MAIL", "MAIL", 0),
        ("MAIL", "MIAL", 1),
        ("MAIL", "MAI", 1),
        ("MAIL", "EMAIL", 1),
        ("MAIL", "MALI", 1),
        ("MAIL", "NAIL", 1),
        ("", "MAIL", 4),
        ("KITTEN", "SITTING", 3),
    ],
)
def test_mistakes_are_counted(one: str, other: str, number: int) -> None:
    assert unknown.distance(one, other) == unknown.distance(other, one) == number


def test_the_names_of_features_are_known_and_their_words_too() -> None:
    known = KNOWN | {"NOTES_SHELVES", "NOTES_PUBLIC"}

    assert unknown.warnings({"NOTES_SHELVES", "NOTES_PUBLIC"}, known) == ()
    assert unknown.warnings({"NOTES_SHLEVES"}, known) == (
        "`NOTES_SHLEVES` is not known; did you mean `NOTES_SHELVES`?",
    )
    [sentence] = unknown.warnings({"NOTES_WALLS"}, known)
    assert sentence.endswith("that begin with NOTES_ are NOTES_PUBLIC, NOTES_SHELVES.")


def test_the_application_warns_at_its_start_and_never_of_a_value(
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = read_settings(ENVIRONMENT | {"MAIL_FORM": "hunter2"})
    assert replace(settings, warnings=()) == read_settings(ENVIRONMENT)

    create_app(settings)

    warned = [record.getMessage() for record in caplog.records if "MAIL_F" in record.getMessage()]
    assert warned == ["`MAIL_FORM` is not known; did you mean `MAIL_FROM`?"]
    assert "hunter2" not in caplog.text
