"""The example of a feature: its package is installed, served and tested as its author would.

``examples/notes`` gets a virtual environment of its own, which has our
requirements and no module of ours: that is found in the checkout.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import sqlalchemy

from tests.conftest import ENVIRONMENT, POSTGRES_URL
from tests.database.conftest import new_database as new_database  # a fixture
from tests.servers import ROOT, environment_for, run_flask_commands, serving

EXAMPLE = ROOT / "examples" / "notes"
FEATURES = {"FEATURES": "notes", "NOTES_PER_USER": "3"}
# The newest migration of our release before this one. The example depends on none that is newer.
PREVIOUS_RELEASE = "0010"
TODAY = sorted((ROOT / "migrations" / "versions").glob("*.py"))[-1].stem.partition("_")[0]

# What must not notice that a feature is enabled where the tests run. These compare lists of ours
# with the application. They run on SQLite alone, because the database has no part in it.
OURS = [
    "tests/test_docs.py",
    "tests/test_openapi.py",
    "tests/access/test_guards.py::test_every_route_has_a_row",
    "tests/database/test_migrations.py::test_models_and_migrations_agree",
    "tests/database/test_migrations.py::test_there_is_one_head",
    "tests/database/test_migrations.py::test_each_step_can_be_taken_down_and_up_again",
]

pytestmark = pytest.mark.timeout(600)


class Installed:
    """A virtual environment in which the example is installed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / "venv" / "bin" / "python"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
        self._link_our_requirements()
        # A build leaves files beside the sources.
        ignored = shutil.ignore_patterns("build", "*.egg-info", "__pycache__", ".pytest_cache")
        shutil.copytree(EXAMPLE, folder / "source", ignore=ignored)
        self.install(folder / "source")

    def install(self, *what: str | Path) -> None:
        of_pip = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
        self.run("-m", "pip", "install", "--disable-pip-version-check", *of_pip, *what)

    def _link_our_requirements(self) -> None:
        (ours,) = {path for path in sys.path if path.endswith("site-packages")}
        (theirs,) = (self.folder / "venv" / "lib").glob("python*/site-packages")
        (theirs / "our_requirements.pth").write_text(f"{ours}\n")

    def run(self, *arguments: str | Path, cwd: Path = ROOT, **variables: str) -> str:
        """Run Python to its end and return what it printed; fails if it fails."""
        done = subprocess.run(
            [self.python, *arguments],
            cwd=cwd,
            env=environment_for(**{"TEST_POSTGRES_URL": POSTGRES_URL} | FEATURES | variables),
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def flask(self, *commands: str, database: str, **variables: str) -> None:
        """Run these commands, one after the other."""
        variables = {**ENVIRONMENT, **FEATURES, "DATABASE_URL": database, **variables}
        run_flask_commands(*commands, environment=environment_for(**variables), python=self.python)

    def run_own_tests(self, **variables: str) -> str:
        """The tests of the example, as its author runs them. The installed package is tested."""
        tests = self.folder / "tests"
        if not tests.exists():
            shutil.copytree(self.folder / "source" / "tests", tests)
        options = ["-q", "-W", "error", "-p", "no:cacheprovider", "-o", "addopts="]
        return self.run(
            *("-m", "pytest", *options, str(tests)),
            cwd=self.folder,
            PYTHONPATH=str(ROOT),
            **variables,
        )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("example"))


@pytest.fixture
def connection(new_database: str) -> Iterator[sqlalchemy.Connection]:
    url = sqlalchemy.make_url(new_database)
    if url.get_backend_name() == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as opened:
        yield opened
    engine.dispose()


def tables(connection: sqlalchemy.Connection) -> set[str]:
    return set(sqlalchemy.inspect(connection).get_table_names())


def versions(connection: sqlalchemy.Connection) -> set[str]:
    return set(connection.execute(sqlalchemy.text("SELECT * FROM alembic_version")).scalars())


def sign_up(api: str) -> dict[str, str]:
    who = {"username": "ada", "password": "correct horse battery staple"}
    made = requests.post(f"{api}/auth/register", json=who | {"email": "ada@example.com"})
    assert made.status_code == 201, made.text
    pair: dict[str, Any] = requests.post(f"{api}/auth/login", json=who).json()
    return {"Authorization": f"Bearer {pair['access_token']}"}


def test_the_example_is_installed_served_and_taken_out(
    installed: Installed,
    new_database: str,
    connection: sqlalchemy.Connection,
    tmp_path: Path,
) -> None:
    installed.flask("db upgrade", database=new_database)

    with serving(
        tmp_path / "log",
        program=[str(installed.python), "-m", "gunicorn"],
        **ENVIRONMENT | FEATURES | {"DATABASE_URL": new_database, "WEB_CONCURRENCY": "1"},
    ) as server:
        ada = sign_up(server.api)
        written = requests.post(f"{server.api}/notes", json={"text": "Buy milk"}, headers=ada)
        read = requests.get(f"{server.api}/notes", headers=ada)
        exported = requests.get(f"{server.api}/users/me/export", headers=ada)
        document = requests.get(f"{server.url}/openapi.json")
        ready = requests.get(f"{server.url}/readyz")
        installed.flask("db downgrade notes@base", database=new_database)
        away = requests.get(f"{server.url}/readyz")

    assert (written.status_code, written.json()["text"]) == (201, "Buy milk")
    assert read.json() == {"items": [written.json()]}
    assert exported.json()["notes"] == [written.json()]
    assert "/api/v1/notes" in document.json()["paths"]
    assert (ready.status_code, ready.json()["checks"]["migrations"]) == (200, "ok")
    assert (away.status_code, away.json()["checks"]["migrations"]) == (503, "away")
    assert "users" in tables(connection)
    assert "notes_note" not in tables(connection)
    assert versions(connection) == {TODAY}


def test_its_own_tests_need_our_fixtures_alone(installed: Installed) -> None:
    told = installed.run_own_tests()

    assert " passed" in told
    assert "failed" not in told


def test_the_screenplays_own_tests_pass_on_both_databases() -> None:
    example = ROOT / "examples" / "screenplays"
    options = ["-q", "-W", "error", "-p", "no:cacheprovider", "-n", "0", "-o", "addopts="]

    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "tests"],
        cwd=example,
        env=environment_for(PYTHONPATH=f"{ROOT}:{example}", TEST_POSTGRES_URL=POSTGRES_URL),
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def test_our_checkout_can_be_installed_for_the_tests_of_a_feature(
    installed: Installed, tmp_path: Path
) -> None:
    checkout = tmp_path / "user-system"
    checkout.mkdir()
    for name in ("app", "configuration"):
        shutil.copytree(ROOT / name, checkout / name)
    for name in ("config.py", "wsgi.py", "pyproject.toml", "requirements.in"):
        shutil.copy(ROOT / name, checkout)

    installed.install("-e", checkout)

    found = installed.run("-c", "import app.testing; print(app.__file__)", cwd=tmp_path)
    assert found.strip() == str(checkout / "app" / "__init__.py")


def test_a_database_of_our_previous_release_is_upgraded_with_the_feature_in_it(
    installed: Installed, new_database: str, connection: sqlalchemy.Connection
) -> None:
    installed.flask(
        f"db upgrade {PREVIOUS_RELEASE}", "db upgrade notes@head", database=new_database
    )
    before = versions(connection)
    connection.exec_driver_sql(
        "INSERT INTO users (email, username, username_key)"
        " VALUES ('carol@example.com', 'carol', 'carol')"
    )
    connection.exec_driver_sql(
        "INSERT INTO notes_note (user_id, text) SELECT id, 'Buy milk' FROM users"
    )

    installed.flask("db upgrade", database=new_database)

    assert TODAY not in before
    assert versions(connection) == {TODAY, "notes_0001"}
    kept = connection.exec_driver_sql(
        "SELECT username, text FROM notes_note JOIN users ON users.id = user_id"
    ).all()
    assert [tuple(row) for row in kept] == [("carol", "Buy milk")]
    connection.detach()
    connection.close()
    told = installed.run_own_tests(TEST_DATABASE_URL=new_database)
    assert " passed" in told


def test_an_author_makes_a_migration_in_the_package(
    installed: Installed, tmp_path: Path, new_database: str
) -> None:
    """The sources, not the installed package: an author has them on the path."""
    source = tmp_path / "source"
    shutil.copytree(EXAMPLE / "notes", source / "notes")
    models = source / "notes" / "models.py"
    models.write_text(
        models.read_text().replace("index=True)", "index=True)\n    color: Mapped[str | None]")
    )

    # In two processes: one knows the migrations that were there when it read them.
    for commands in (
        ("db upgrade", "db migrate --feature notes -m Colors"),
        ("db upgrade", "db check"),
    ):
        installed.flask(*commands, database=new_database, PYTHONPATH=str(source))

    text = (source / "notes" / "migrations" / "notes_0002_colors.py").read_text()
    assert "down_revision = 'notes_0001'" in text
    assert "color" in text
    assert "users" not in text


def test_our_own_tests_look_at_the_core_alone(installed: Installed) -> None:
    options = ["-q", "-n", "0", "-p", "no:cacheprovider", "-k", "not postgresql"]

    told = installed.run("-m", "pytest", *options, *OURS)

    assert " passed" in told
    assert "failed" not in told
