"""The databases, the application and the cast.

Every test that touches the application runs twice: on SQLite and on
PostgreSQL. ``TEST_POSTGRES_URL`` names a server on which a database may be
created and dropped; where none answers, those runs are skipped, and under
``CI=true`` that is a failure.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import flask_migrate
import hypothesis
import pytest
import sqlalchemy
from flask import Flask
from flask.globals import _cv_app
from flask.testing import FlaskClient
from sqlalchemy.engine import make_url

from app import create_app, read_settings
from app.access.limit_storage import BoundedMemoryStorage
from app.database import prepared
from app.extensions import db
from app.models import User
from tests import factories
from tests.mailbox import Mailbox
from tests.tampering import empty_everything

POSTGRES_URL = os.environ.get("TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
SECRET_KEY = "the secret of the tests: 0123456789 abcdefghij"

# Commands record who runs them, and a developer may work over SSH.
for _name in ("SSH_CONNECTION", "SUDO_USER"):
    os.environ.pop(_name, None)

# What every test application is started with. Cost 4 makes bcrypt real but cheap, and all tests
# log in from one address; the tests of the limits turn them on.
ENVIRONMENT = {
    "APP_ENV": "testing",
    "SECRET_KEY": SECRET_KEY,
    "BCRYPT_ROUNDS": "4",
    "RATELIMIT_ENABLED": "false",
}


# `make fuzz` asks for the long budget.
hypothesis.settings.register_profile("default", max_examples=12, deadline=None)
hypothesis.settings.register_profile(
    "long", max_examples=2000, stateful_step_count=100, deadline=None
)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def _postgres_answers() -> bool:
    engine = _postgres_server()
    try:
        engine.connect().close()
    except sqlalchemy.exc.OperationalError:
        return False
    finally:
        engine.dispose()
    return True


def _postgres_server() -> sqlalchemy.Engine:
    url = make_url(POSTGRES_URL).set(drivername="postgresql+psycopg")
    return sqlalchemy.create_engine(
        url, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 3}
    )


HAS_POSTGRES = _postgres_answers()
# `make test-long` sets it. Then the files of LONG run, those of SHORTENED run as a whole, and those
# of ABOVE_THE_DATABASE run on the database where `make test` does not run them.
IS_LONG_RUN = os.environ.get("TEST_LONG") == "true"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "postgresql: runs on PostgreSQL alone (races, locks).")
    config.addinivalue_line("markers", "browser: drives Chromium; make test-browser runs it.")
    if not HAS_POSTGRES and os.environ.get("CI") == "true":
        pytest.exit(f"No PostgreSQL answers at {POSTGRES_URL}, and CI=true wants it.", 1)


# Files that wait for servers more than they work, or work long at few tests. They begin first, or
# the others wait for them at the end.
SLOW = (
    "test_examples.py",
    "test_kinds.py",
    "test_databases.py",
    "test_cluster.py",
    "test_deliverer.py",
    "test_worker.py",
    "test_faults.py",
    "test_fuzz.py",
    "test_generated_clients.py",
    "test_serving.py",
    "test_readme.py",
    "test_throttle_cluster.py",
    "test_smtp.py",
    "test_machine.py",
    "test_local_topology.py",
    "test_secrets_in_logs.py",
)


# Those that start whole clusters, every command or long histories. `make test-long` runs them, and
# pytest does where their file is named.
LONG = (
    "test_examples.py",
    "test_kinds.py",
    "test_databases.py",
    "test_cluster.py",
    "test_deliverer.py",
    "test_throttle_cluster.py",
    "test_machine.py",
    "test_local_topology.py",
    "test_branches.py",
    "test_hashing_slots.py",
    "test_slots.py",
    "test_breached_list.py",
    "test_faults.py",
    "test_secrets_in_logs.py",
    "test_copying.py",
    "test_foreign_hashes.py",
    "test_worker.py",
    "test_development.py",
    "test_provider_stories.py",
    "test_interrupted_upgrades.py",
    "test_generated_clients.py",
    "test_mail_races.py",
    "test_late_upgrades.py",
)


# Files with long tables, of which `make test` runs a part. They ask ``IS_LONG_RUN``.
SHORTENED = (
    "auth/test_verb_races.py",
    "configuration/test_env_file.py",
    "database/test_fitness.py",
)


# Folders and files in tests/ that `make test` runs on PostgreSQL alone, for their time. Their calls
# change rows by the same means as those of the other files, which run on both databases. `make
# test-long` runs these on SQLite.
ABOVE_THE_DATABASE = (
    "access/test_current_user.py",
    "access/test_guards.py",
    "access/test_limits.py",
    "access/test_what_is_limited.py",
    "api_keys/",
    "audit/test_vocabulary.py",
    "auth/email/",
    "auth/mfa/",
    "auth/oauth/",
    "auth/passkeys/",
    "auth/providers/",
    # It asks the same of each way in that the tests of that way ask on both.
    "auth/test_gate.py",
    "auth/test_notices.py",
    "browser/",
    "cli/",
    "clients/",
    "configuration/",
    "doctor/",
    "features/",
    "http/",
    "mail/",
    "moving/",
    "observability/",
    "pages/",
    "security/",
    "serving/",
    "test_fuzz.py",
    "test_openapi.py",
    "test_readme.py",
    "users/test_closing.py",
)
# But not these: what they test has a statement, or a condition, for SQLite alone.
OF_BOTH_DATABASES = (
    "api_keys/test_using.py",
    "mail/test_leases.py",
    "moving/test_importing.py",
)


def pytest_xdist_auto_num_workers() -> int | None:
    """One process more than there are cores, as some of them wait for servers."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    return (os.cpu_count() or 1) + 1


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the long files out, and those of the browser where no browser is asked for.

    A long run leaves out what `make test` has run as a whole. pytest does not ask about files that
    are named.
    """
    is_of_browser = collection_path == Path(__file__).with_name("browser")
    if is_of_browser and config.option.markexpr == "not browser":
        return True
    is_long = collection_path.name in LONG
    if IS_LONG_RUN and collection_path.is_file():
        is_partly_run = (
            _is_above_the_database(collection_path) or _place(collection_path) in SHORTENED
        )
        return None if is_long or is_partly_run else True
    return True if is_long else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slow files first, and then those with the most tests."""
    tests = Counter(item.path for item in items)
    places = {name: place for place, name in enumerate(SLOW)}
    items.sort(key=lambda item: (places.get(item.path.name, len(SLOW)), -tests[item.path]))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not HAS_POSTGRES:
        terminalreporter.write_line(
            f"No PostgreSQL answers at {POSTGRES_URL}: its half of the suite was skipped. "
            "Set TEST_POSTGRES_URL to run it.",
            yellow=True,
        )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that needs a database on both, or on one where that is enough."""
    if "database_url" in metafunc.fixturenames:
        path = metafunc.definition.path
        backends = ["sqlite", "postgresql"]
        if metafunc.definition.get_closest_marker("postgresql"):
            backends = ["postgresql"]
        elif HAS_POSTGRES and _is_above_the_database(path):
            if not IS_LONG_RUN:
                backends = ["postgresql"]
            elif path.name not in LONG:
                backends = ["sqlite"]
        metafunc.parametrize("database_url", backends, indirect=True, scope="session")


def _is_above_the_database(path: Path) -> bool:
    place = _place(path)
    return place.startswith(ABOVE_THE_DATABASE) and place not in OF_BOTH_DATABASES


def _place(path: Path) -> str:
    return path.relative_to(Path(__file__).parent).as_posix()


# The applications with other variables that a test process keeps for the next tests of a file.
KEPT_APPS = 8

# Adds routes to an application.
Add = Callable[[Flask], object]


class Opened:
    """The databases of this test process and their applications, each made once.

    pytest ends a fixture whenever the next file begins with the other database, and to make a
    database anew takes as long as thirty tests.
    """

    def __init__(self, folder: Path, ending: ExitStack) -> None:
        self._folder = folder
        self._ending = ending
        self._urls: dict[str, str] = {}
        self._apps: dict[str, Flask] = {}
        self._others: dict[tuple[frozenset[tuple[str, str]], Add | None], Flask] = {}

    def url(self, backend: str) -> str:
        if backend not in self._urls:
            self._urls[backend] = (
                f"sqlite:///{self._folder / 'test.db'}"
                if backend == "sqlite"
                else self._ending.enter_context(new_postgres_database())
            )
        return self._urls[backend]

    def app(self, url: str) -> Flask:
        if url not in self._apps:
            app = create_app(read_settings(ENVIRONMENT | {"DATABASE_URL": url}))
            with app.app_context():
                flask_migrate.upgrade()
            self._apps[url] = app
            self._ending.callback(_disconnect, app)
        return self._apps[url]

    @contextmanager
    def borrowed(self, variables: dict[str, str], add: Add | None) -> Iterator[Flask]:
        """An application with these variables, perhaps one that an earlier test has given back."""
        key = (frozenset(variables.items()), add)
        app = self._others.pop(key, None)
        if app is None:
            app = create_app(read_settings(variables))
            if add is not None:
                add(app)
        with _as_new(app):
            yield app
        _disconnect(app)
        self._others[key] = app
        if len(self._others) > KEPT_APPS:
            self._others.pop(next(iter(self._others)))


def _disconnect(app: Flask) -> None:
    with app.app_context():
        db.engine.dispose()


@pytest.fixture(scope="session")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    with ExitStack() as ending:
        yield Opened(tmp_path_factory.mktemp("sqlite"), ending)


@pytest.fixture(scope="session")
def database_url(request: pytest.FixtureRequest, opened: Opened) -> str:
    """An empty database of this test process, as ``DATABASE_URL`` would name it."""
    if request.param == "postgresql" and not HAS_POSTGRES:
        pytest.skip("no PostgreSQL")
    return opened.url(request.param)


class new_postgres_database:  # noqa: N801 — reads as the verb it is
    """A database of one's own on the test server, dropped afterwards."""

    def __enter__(self) -> str:
        self.name = f"user_system_test_{uuid4().hex}"
        self.server = _postgres_server()
        with self.server.connect() as connection:
            connection.execute(sqlalchemy.text(f"CREATE DATABASE {self.name}"))
            # Nobody pulls the plug on it, so that a commit need not wait for the disk.
            connection.execute(
                sqlalchemy.text(f"ALTER DATABASE {self.name} SET synchronous_commit = off")
            )
        url = make_url(POSTGRES_URL).set(database=self.name)
        return url.render_as_string(hide_password=False)

    def __exit__(self, *_: object) -> None:
        with self.server.connect() as connection:
            connection.execute(sqlalchemy.text(f"DROP DATABASE {self.name} WITH (FORCE)"))
        self.server.dispose()


@pytest.fixture(scope="session")
def session_app(database_url: str, opened: Opened) -> Flask:
    return opened.app(database_url)


@pytest.fixture
def app(session_app: Flask) -> Iterator[Flask]:
    """The application, on an empty database, and nothing has been counted."""
    with _as_new(session_app):
        yield session_app
    with session_app.app_context():
        empty_everything()


@contextmanager
def _as_new(app: Flask) -> Iterator[None]:
    """Let no test find what an earlier one changed in the application."""
    settings = app.config["SETTINGS"]
    storage = app.extensions["limits"].storage
    if isinstance(storage, BoundedMemoryStorage):
        # Where the clock stands still, calls of a test before this one can lie in the future.
        storage.reset()
    yield
    app.config["SETTINGS"] = settings


@pytest.fixture
def set_settings(app: Flask) -> Callable[..., None]:
    """Change settings that are read at each use, for this test."""

    def change(**settings: Any) -> None:
        app.config["SETTINGS"] = replace(app.config["SETTINGS"], **settings)

    return change


@pytest.fixture
def make_app(database_url: str, app: Flask, opened: Opened) -> Iterator[Callable[..., Flask]]:
    """Another application on the same database, with other variables in its environment.

    ``add`` adds routes to it. Tests that name the same variables and the same function may get
    the same application; ``new_app`` makes one of the test's own.
    """
    with ExitStack() as ending:

        def make(*, add: Add | None = None, **environment: str) -> Flask:
            variables = ENVIRONMENT | {"DATABASE_URL": database_url} | environment
            return ending.enter_context(opened.borrowed(variables, add))

        yield make


@pytest.fixture
def new_app(database_url: str, app: Flask) -> Iterator[Callable[..., Flask]]:
    """As ``make_app``, but no other test sees the application."""
    with ExitStack() as ending:

        def make(**environment: str) -> Flask:
            variables = ENVIRONMENT | {"DATABASE_URL": database_url} | environment
            other = create_app(read_settings(variables))
            ending.callback(_disconnect, other)
            return other

        yield make


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def mailbox(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Mailbox:
    """Everybody's mail, delivered when the test says so."""
    box = Mailbox(app)
    box.collect(monkeypatch)
    return box


@pytest.fixture
def ada(app: Flask) -> User:
    """Somebody with an account, whose address is confirmed."""
    return factories.make_user(app, username="ada", email="ada@example.com", email_verified=True)


@pytest.fixture
def bob(app: Flask) -> User:
    """Somebody else."""
    return factories.make_user(app, username="bob", email="bob@example.com")


@pytest.fixture
def grace(app: Flask) -> User:
    """The superuser."""
    return factories.make_user(app, username="grace", email="grace@example.com", superuser=True)


@pytest.fixture
def statements(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The SQL statements that were executed; ``clear()`` it after the setup."""
    executed: list[str] = []
    run = prepared.Compiled.run

    def noted(compiled: prepared.Compiled, *arguments: Any) -> Any:
        executed.append(compiled.text)
        return run(compiled, *arguments)

    monkeypatch.setattr(prepared.Compiled, "run", noted)

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        executed.append(statement)

    with app.app_context():
        engine = db.engine
    sqlalchemy.event.listen(engine, "before_cursor_execute", note)
    yield executed
    sqlalchemy.event.remove(engine, "before_cursor_execute", note)


@pytest.fixture(autouse=True)
def no_leaked_context() -> Iterator[None]:
    """A test that leaves an application context pushed would hand it to the next."""
    yield
    assert _cv_app.get(None) is None


@pytest.fixture(autouse=True, scope="session")
def away_from_the_checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Relative paths of a test end up in a folder of its own."""
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("cwd"))
    yield
    os.chdir(before)
