"""The log: one line an event, and nothing secret in it."""

import json
import logging
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr
from datetime import UTC, datetime
from io import StringIO
from typing import Any, cast

import flask_migrate
import pytest
from flask import Flask
from flask.testing import FlaskClient
from gunicorn.config import Config
from werkzeug.serving import BaseWSGIServer

from app import create_app, read_settings
from app.extensions import db
from app.models import User
from app.observability import logs
from app.serving.access_log import AccessLogger
from tests.conftest import ENVIRONMENT, HAS_POSTGRES, new_postgres_database
from tests.factories import API, PASSWORD, bearer, problem
from tests.servers import ROOT, environment_for

CANARY = "canary-in-the-coal-mine"
ESCAPES = "\x1b[31mred\x1b[0m"
FORMATS = ("json", "console")

Logged = Callable[[], list[str]]
LogAs = Callable[..., None]
MakeApp = Callable[..., Flask]


@pytest.fixture(autouse=True)
def root_logger_as_before() -> Iterator[None]:
    """``logs.configure`` sends the log of the whole process elsewhere; take that back."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def stream() -> StringIO:
    """What standard error is when the log is configured."""
    return StringIO()


@pytest.fixture
def logged(stream: StringIO) -> Logged:
    """The lines of the log since the last call."""

    def lines() -> list[str]:
        text = stream.getvalue()
        stream.seek(0)
        stream.truncate()
        return text.splitlines()

    return lines


@pytest.fixture
def log_as(stream: StringIO) -> LogAs:
    """Log in this format, to what ``logged`` shows."""

    def configure(log_format: str, level: str = "INFO") -> None:
        variables = ENVIRONMENT | {"LOG_FORMAT": log_format, "LOG_LEVEL": level}
        with redirect_stderr(stream):
            logs.configure(read_settings(variables))

    return configure


@pytest.fixture
def make_logging_app(new_app: MakeApp, stream: StringIO) -> MakeApp:
    """``new_app``, its log to what ``logged`` shows."""

    def make(**environment: str) -> Flask:
        with redirect_stderr(stream):
            return new_app(**environment)

    return make


def test_a_line_of_json_says_when_where_how_bad_and_what(log_as: LogAs, logged: Logged) -> None:
    log_as("json")

    logging.getLogger("app.example").warning("it is %s", "late")

    [line] = logged()
    entry = json.loads(line)
    assert (entry["event"], entry["level"], entry["logger"]) == (
        "it is late",
        "warning",
        "app.example",
    )
    assert datetime.fromisoformat(entry["timestamp"]).utcoffset() == datetime.now(UTC).utcoffset()


def test_members_that_a_caller_adds_are_kept(log_as: LogAs, logged: Logged) -> None:
    log_as("json")

    logging.getLogger("app.example").info("counted", extra={"number": 3})

    assert json.loads(logged()[0])["number"] == 3


def test_a_line_for_people_says_the_same(log_as: LogAs, logged: Logged) -> None:
    log_as("console")

    logging.getLogger("app.example").warning("it is %s", "late", extra={"number": 3})

    [line] = logged()
    assert "it is late" in line
    assert "warning" in line
    assert "app.example" in line
    assert "number=3" in line


@pytest.mark.parametrize("log_format", FORMATS)
def test_what_is_below_the_level_is_left_out(
    log_as: LogAs, logged: Logged, log_format: str
) -> None:
    log_as(log_format, "WARNING")

    logging.getLogger("app.example").info("nothing much")
    logging.getLogger("app.example").warning("something")

    assert [("something" in line) for line in logged()] == [True]


def test_the_requests_of_flask_run_are_left_out_below_the_level(
    log_as: LogAs, logged: Logged
) -> None:
    for level in ("WARNING", "INFO"):
        log_as("json", level)
        BaseWSGIServer.log(cast(BaseWSGIServer, None), "info", f"GET /at-{level} 200")

    assert ["/at-INFO" in line for line in logged()] == [True]


def test_the_requests_of_gunicorn_are_left_out_below_the_level(
    log_as: LogAs, logged: Logged
) -> None:
    for level in ("WARNING", "INFO"):
        log_as("json", level)
        # As `setup` of an earlier application, or gunicorn's own, may have left it.
        logging.getLogger(logs.REQUESTS).setLevel(logging.INFO)
        AccessLogger(Config()).access_log.info(f"GET /at-{level} 200")

    assert ["/at-INFO" in line for line in logged()] == [True]


def test_configuring_twice_does_not_print_twice(log_as: LogAs, logged: Logged) -> None:
    log_as("json")
    log_as("json")

    logging.getLogger("app.example").warning("once")

    assert len(logged()) == 1


INJECTIONS = [
    'harmless\r\n{"event": "login_success", "request_id": "forged"}',
    "harmless\n2026-11-22T08:00:00Z [info] forged",
    ESCAPES,
    "harmless\x85forged",
    "harmless\u2028forged\u2029forged",
    "harmless\x0bforged\x0cforged",
    "harmless\x00\x08\x7fforged",
    "harmless\u202eforged",
]


@pytest.mark.parametrize("text", INJECTIONS)
@pytest.mark.parametrize("log_format", FORMATS)
@pytest.mark.parametrize("place", ["message", "argument", "member"])
def test_no_text_can_break_a_line_or_colour_a_terminal(
    log_as: LogAs, logged: Logged, log_format: str, text: str, place: str
) -> None:
    log_as(log_format)
    log = logging.getLogger("app.example")

    match place:
        case "message":
            log.warning(text)
        case "argument":
            log.warning("sent: %s", text)
        case "member":
            log.warning("sent", extra={"user_agent": text})

    # Python's idea of a line end is the widest: it knows U+2028, U+0085 and form feeds too.
    [line] = logged()
    assert line.isprintable(), ascii(line)
    if log_format == "json":
        assert json.loads(line)["level"] == "warning"


def test_text_of_any_script_stays_readable_for_programs(log_as: LogAs, logged: Logged) -> None:
    log_as("json")

    logging.getLogger("app.example").warning("艾达 😀")

    assert json.loads(logged()[0])["event"] == "艾达 😀"


# In the course of a request


@pytest.fixture(params=FORMATS)
def broken_app(request: pytest.FixtureRequest, make_logging_app: MakeApp) -> Flask:
    """An application with a call that fails while it holds a secret."""
    app = make_logging_app(LOG_FORMAT=request.param)

    @app.post("/broken")
    def broken() -> str:
        password = _secret()
        return str(1 / (len(password) - len(password)))

    return app


def _secret() -> str:
    # Not written out where it is used: a traceback quotes the source.
    return CANARY


def test_a_traceback_is_logged_under_the_request_id_of_the_answer(
    broken_app: Flask, logged: Logged
) -> None:
    response = broken_app.test_client().post("/broken", json={"password": CANARY})

    assert problem(response) == (500, "internal_error")
    log = "\n".join(logged())
    assert "ZeroDivisionError" in log
    assert "Traceback" in log
    assert response.json["request_id"] in log


def test_a_traceback_never_prints_local_variables_bodies_or_headers(
    broken_app: Flask, logged: Logged
) -> None:
    broken_app.test_client().post(
        f"/broken?password={CANARY}",
        json={"password": CANARY},
        headers=bearer(CANARY) | {"Cookie": f"session={CANARY}"},
    )

    log = "\n".join(logged())
    assert "ZeroDivisionError" in log
    assert CANARY not in log


def test_the_request_id_of_the_client_is_in_the_line(broken_app: Flask, logged: Logged) -> None:
    sent = {"X-Request-ID": "from-the-client-1"}

    broken_app.test_client().post("/broken", json={}, headers=sent)

    assert "from-the-client-1" in "\n".join(logged())


def test_a_request_id_that_could_forge_a_line_is_not_taken(
    broken_app: Flask, logged: Logged
) -> None:
    sent = {"X-Request-ID": f"a {ESCAPES} forged"}

    broken_app.test_client().post("/broken", json={}, headers=sent)

    log = "\n".join(logged())
    assert "ZeroDivisionError" in log
    assert "forged" not in log


def test_a_traceback_in_json_is_one_line(make_logging_app: MakeApp, logged: Logged) -> None:
    app = make_logging_app(LOG_FORMAT="json")
    app.add_url_rule("/broken", view_func=lambda: 1 / 0)
    logged()

    response = app.test_client().get("/broken")

    entries = [json.loads(line) for line in logged()]
    assert [entry["request_id"] for entry in entries] == [response.json["request_id"]]
    assert "ZeroDivisionError" in entries[0]["exception"]


def test_every_line_of_a_request_has_its_request_id(
    make_logging_app: MakeApp, logged: Logged
) -> None:
    app = make_logging_app(LOG_FORMAT="json")

    @app.get("/talkative")
    def talkative() -> dict[str, str]:
        logging.getLogger("app.example").info("one")
        logging.getLogger("somebody.else").warning("two")
        return {}

    logged()
    response = app.test_client().get("/talkative")
    logging.getLogger("app.example").info("three")

    entries = [json.loads(line) for line in logged()]
    assert [(entry["event"], entry.get("request_id")) for entry in entries] == [
        ("one", response.headers["X-Request-ID"]),
        ("two", response.headers["X-Request-ID"]),
        ("three", None),
    ]


# What the database objects to

needs_postgres = pytest.mark.skipif(not HAS_POSTGRES, reason="no PostgreSQL")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=needs_postgres)])
def empty_database(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    with new_postgres_database() as url:
        yield url


@pytest.mark.parametrize("log_format", FORMATS)
def test_an_error_of_the_database_is_logged_without_the_values_of_its_statement(
    empty_database: str, stream: StringIO, logged: Logged, log_format: str
) -> None:
    # A table is missing, so every statement fails, and SQLAlchemy's message could quote it.
    variables = ENVIRONMENT | {"DATABASE_URL": empty_database, "LOG_FORMAT": log_format}
    with redirect_stderr(stream):
        app = create_app(read_settings(variables))
    with app.app_context():
        flask_migrate.upgrade()
        db.session.execute(db.text("ALTER TABLE one_time_tokens RENAME TO renamed"))
        db.session.commit()
    account = {"email": f"{CANARY}@example.com", "username": "ada", "password": PASSWORD}

    response = app.test_client().post(f"{API}/auth/register", json=account)

    with app.app_context():
        db.engine.dispose()
    log = "\n".join(logged())
    assert response.status_code in (500, 503)
    assert response.json["request_id"] in log
    assert "one_time_tokens" in log
    assert CANARY not in log
    assert not re.search(r"\$2b\$|hs384\$", log)


def test_logging_in_leaves_no_password_and_no_token_in_the_log(
    make_logging_app: MakeApp, ada: User, logged: Logged
) -> None:
    client: FlaskClient = make_logging_app(LOG_FORMAT="json", LOG_LEVEL="DEBUG").test_client()

    right = client.post(f"{API}/auth/login", json={"username": "ada", "password": PASSWORD})
    client.post(f"{API}/auth/login", json={"username": "ada", "password": CANARY})
    client.post(f"{API}/auth/refresh", json={"refresh_token": right.json["refresh_token"]})
    client.get(f"{API}/users/me", headers=bearer(right.json["access_token"]))

    log = "\n".join(logged())
    secrets = (PASSWORD, CANARY, right.json["access_token"], right.json["refresh_token"])
    assert [secret for secret in secrets if secret in log] == []


# Several processes, one pipe


def test_the_lines_of_processes_that_share_a_pipe_do_not_mix() -> None:
    script = """
import logging, os
from app import read_settings
from app.observability import logs
logs.configure(read_settings())
os.fork()
for _ in range(300):
    logging.getLogger("one").warning("x" * 2000)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=environment_for(**ENVIRONMENT, LOG_FORMAT="json"),
        capture_output=True,
        text=True,
        check=True,
    )

    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["event"] for line in lines] == ["x" * 2000] * 600
