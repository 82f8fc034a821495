"""What breaks, breaks cleanly: 503 at most, nothing lost that was confirmed, no restart needed."""

import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any

import flask_migrate
import pytest
import requests
import sqlalchemy
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.engine import make_url
from werkzeug.test import TestResponse

from app import create_app, read_settings
from app.extensions import db
from app.models import User
from tests.conftest import ENVIRONMENT
from tests.factories import API, bearer, log_in, make_user, me, problem
from tests.observability.test_routes import Gate, within_5_seconds
from tests.servers import Server, free_port, serving
from tests.serving.test_serving import needs_postgres, new_database, workers
from tests.waiting import until

# Work that goes on meanwhile


@dataclass
class Client:
    """Somebody who changes the profile again and again, and remembers what was confirmed."""

    server: Server
    number: int
    answers: "Counter[int | str]" = field(default_factory=Counter)
    slowest: float = 0
    sent: int = 0
    confirmed: int = 0
    token: str = ""

    def register(self) -> None:
        name = f"client{self.number}"
        account = {"username": name, "email": f"{name}@example.com", "password": "correct horse"}
        made = requests.post(f"{self.server.api}/auth/register", json=account, timeout=20)
        assert made.status_code == 201, made.text
        pair = requests.post(
            f"{self.server.api}/auth/login",
            json={"username": name, "password": "correct horse"},
            timeout=20,
        )
        self.token = pair.json()["access_token"]

    def work_until(self, over: Event) -> None:
        with requests.Session() as http:
            while not over.is_set():
                self.change(http)

    def change(self, http: requests.Session) -> None:
        self.sent += 1
        started = time.monotonic()
        try:
            response = http.patch(
                f"{self.server.api}/users/me",
                json={"bio": str(self.sent)},
                headers=bearer(self.token),
                timeout=20,
            )
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
            # The other is what requests makes of an answer that breaks off in its body.
            self.answers["lost"] += 1
            return
        self.slowest = max(self.slowest, time.monotonic() - started)
        self.answers[response.status_code] += 1
        if response.status_code == 200:
            self.confirmed = self.sent
        else:
            assert response.json()["code"] == "unavailable"
            time.sleep(0.05)

    def stored(self) -> int:
        response = requests.get(
            f"{self.server.api}/users/me", headers=bearer(self.token), timeout=20
        )
        return int(response.json()["bio"])


class Traffic:
    """Several of them at once."""

    def __init__(self, server: Server, number: int = 8) -> None:
        self.clients = [Client(server, number) for number in range(number)]
        for client in self.clients:
            client.register()
        self._over = Event()
        self._threads = [
            Thread(target=client.work_until, args=(self._over,)) for client in self.clients
        ]

    def __enter__(self) -> "Traffic":
        for thread in self._threads:
            thread.start()
        until(lambda: all(client.confirmed for client in self.clients))
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def recovers(self) -> None:
        """Everybody is served again."""
        before = [client.confirmed for client in self.clients]
        until(
            lambda: all(
                client.confirmed > then for client, then in zip(self.clients, before, strict=True)
            )
        )

    @property
    def answers(self) -> "Counter[int | str]":
        return sum((client.answers for client in self.clients), Counter())

    @property
    def slowest(self) -> float:
        return max(client.slowest for client in self.clients)

    def lost(self) -> list[str]:
        """What was confirmed and is not there, or not there in the order it was sent."""
        return [
            f"{client.confirmed} was confirmed, {stored} is stored"
            for client in self.clients
            if not client.confirmed <= (stored := client.stored()) <= client.sent
        ]


@contextmanager
def serving_through(gate: Gate, folder: Path) -> Iterator[Server]:
    with new_database("postgresql", folder) as url:
        through = make_url(url).set(host="127.0.0.1", port=gate.port)
        with serving(
            folder / "log",
            **ENVIRONMENT,
            DATABASE_URL=through.render_as_string(hide_password=False),
            WEB_CONCURRENCY="2",
        ) as server:
            yield server


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.close()


# PostgreSQL


@needs_postgres
@pytest.mark.parametrize("fault", ["close", "fall_silent"])
def test_postgresql_away_under_load_is_503_at_most_and_loses_nothing(
    gate: Gate, tmp_path: Path, fault: str
) -> None:
    with serving_through(gate, tmp_path) as server:
        until(lambda: len(workers(server)) == 2)
        before = workers(server)
        with Traffic(server) as traffic:
            getattr(gate, fault)()
            until(lambda: traffic.answers[503] > 16)
            time.sleep(2)
            gate.open()
            traffic.recovers()

        assert set(traffic.answers) == {200, 503}
        assert traffic.slowest < 5
        assert traffic.lost() == []
        assert workers(server) == before


@dataclass
class Cluster:
    """A PostgreSQL of one's own, to be stopped and started."""

    folder: Path
    port: int

    def control(self, *arguments: str) -> None:
        as_postgres(
            "pg_ctl", "-D", self.folder, "-l", self.folder / "log", "-w", *arguments, check=True
        )

    def start(self) -> None:
        self.control(
            "start", "-o", f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1"
        )

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"


def as_postgres(*command: object, **options: Any) -> None:
    """PostgreSQL refuses to be run by root."""
    words = [str(word) for word in command]
    if os.getuid() == 0:
        words = ["runuser", "-u", "postgres", "--", *words]
    subprocess.run(words, stdout=subprocess.DEVNULL, timeout=60, cwd="/", **options)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    if shutil.which("initdb") is None or shutil.which("pg_ctl") is None:
        pytest.skip("no initdb and pg_ctl to make a PostgreSQL with")
    if os.getuid() == 0 and shutil.which("runuser") is None:
        pytest.skip("root cannot run PostgreSQL")
    # Its socket's name would be too long below the folders of pytest.
    folder = Path(f"/tmp/user-system-cluster-{os.getpid()}")
    folder.mkdir()
    if os.getuid() == 0:
        shutil.chown(folder, "postgres")
    made = Cluster(folder / "data", free_port())
    try:
        as_postgres("initdb", "-D", made.folder, "-U", "postgres", "-A", "trust", "-N", check=True)
        made.start()
        yield made
    finally:
        made.control("stop", "-m", "immediate")
        shutil.rmtree(folder)


def test_postgresql_crashing_under_load_is_503_at_most_and_loses_nothing(
    cluster: Cluster, tmp_path: Path
) -> None:
    upgrade(cluster.url)
    variables = ENVIRONMENT | {"DATABASE_URL": cluster.url, "WEB_CONCURRENCY": "2"}
    with serving(tmp_path / "log", **variables) as server:
        with Traffic(server) as traffic:
            cluster.control("stop", "-m", "immediate")
            time.sleep(2)
            cluster.start()
            traffic.recovers()

        assert set(traffic.answers) == {200, 503}
        assert traffic.lost() == []


def upgrade(url: str) -> None:
    app = create_app(read_settings(ENVIRONMENT | {"DATABASE_URL": url}))
    with app.app_context():
        flask_migrate.upgrade()
        db.engine.dispose()


@contextmanager
def locked(database_url: str, table: str) -> Iterator[None]:
    """Somebody keeps everybody from a table."""
    engine = sqlalchemy.create_engine(make_url(database_url).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
        yield
    engine.dispose()


@pytest.mark.postgresql
def test_a_lock_that_is_held_is_a_503_and_nothing_goes_on_waiting_for_it(
    app: Flask, ada: User, database_url: str
) -> None:
    client = app.test_client()
    token = log_in(client, ada)["access_token"]

    with locked(database_url, "users"):
        response = within_5_seconds(lambda: me(client, token))
        time.sleep(0.2)
        waiting = backends(app, "wait_event_type = 'Lock'")

    assert problem(response) == (503, "unavailable")
    assert waiting == 0
    assert me(client, token).status_code == 200


@pytest.mark.postgresql
def test_a_statement_that_takes_too_long_is_a_503_and_ends(
    make_app: Callable[..., Flask],
) -> None:
    app = make_app()

    @app.get("/endless")
    def endless() -> str:
        return str(db.session.scalar(sqlalchemy.text("SELECT pg_sleep(60)")))

    response = within_5_seconds(lambda: app.test_client().get("/endless"))
    time.sleep(0.2)

    assert problem(response) == (503, "unavailable")
    assert backends(app, "query LIKE '%pg_sleep(60)' AND state = 'active'") == 0


def backends(app: Flask, which: str) -> int:
    """How many others are connected to this database of whom that is true."""
    others = (
        "SELECT count(*) FROM pg_stat_activity"
        f" WHERE datname = current_database() AND pid <> pg_backend_pid() AND {which}"
    )
    with app.app_context(), db.engine.connect() as connection:
        found: int = connection.scalar(sqlalchemy.text(others))
        return found


@pytest.mark.postgresql
def test_commands_and_migrations_have_no_limit(make_app: Callable[..., Flask]) -> None:
    app = make_app()
    limit = sqlalchemy.text("SHOW statement_timeout")

    with app.app_context(), db.engine.connect() as connection:
        of_a_command = connection.scalar(limit)
    with app.test_request_context(), db.engine.connect() as connection:
        of_a_request = connection.scalar(limit)

    assert (of_a_command, of_a_request) == ("0", "3s")


# Workers


def test_a_worker_killed_under_load_takes_nothing_with_it_that_was_confirmed(
    tmp_path: Path,
) -> None:
    with (
        new_database("sqlite", tmp_path) as url,
        serving(tmp_path / "log", **ENVIRONMENT, DATABASE_URL=url, WEB_CONCURRENCY="2") as server,
    ):
        until(lambda: len(workers(server)) == 2)
        with Traffic(server) as traffic:
            victim = min(workers(server))
            os.kill(victim, signal.SIGKILL)
            until(lambda: len(workers(server) - {victim}) == 2)
            traffic.recovers()

        # Each client had one request under way at most.
        assert traffic.answers["lost"] <= len(traffic.clients)
        assert set(traffic.answers) <= {200, "lost"}
        assert traffic.lost() == []


# SQLite


@contextmanager
def new_sqlite_app(folder: Path) -> Iterator[tuple[FlaskClient, dict[str, str]]]:
    """A client of an application whose file lies there, and the header by which it is Ada."""
    url = f"sqlite:///{folder / 'app.db'}"
    app = create_app(read_settings(ENVIRONMENT | {"DATABASE_URL": url}))
    with app.app_context():
        flask_migrate.upgrade()
    client = app.test_client()
    ada = make_user(app, username="ada", email="ada@example.com")
    yield client, bearer(log_in(client, ada)["access_token"])
    with app.app_context():
        assert db.session.scalar(sqlalchemy.text("PRAGMA integrity_check")) == "ok"
        db.session.remove()
        db.engine.dispose()


def change(client: FlaskClient, headers: dict[str, str], bio: str) -> TestResponse:
    return client.patch(f"{API}/users/me", json={"bio": bio}, headers=headers)


def test_a_writer_that_does_not_end_is_a_503_for_others_and_nothing_for_readers(
    tmp_path: Path,
) -> None:
    with new_sqlite_app(tmp_path) as (client, ada):
        writer = sqlite3.connect(tmp_path / "app.db", isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")

        refused = within_5_seconds(lambda: change(client, ada, "refused"))
        read = client.get(f"{API}/users/me", headers=ada)
        writer.execute("ROLLBACK")
        writer.close()
        after = change(client, ada, "after")

    assert problem(refused) == (503, "unavailable")
    assert read.status_code == 200
    assert (after.status_code, after.json["bio"]) == (200, "after")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("only root can mount a small disk")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_is_a_503_and_all_is_well_when_there_is_room_again(small_disk: Path) -> None:
    with new_sqlite_app(small_disk) as (client, ada):
        assert change(client, ada, "x" * 5000).status_code == 200

        fill(small_disk)
        statuses = {change(client, ada, "x" * 5000).status_code for _ in range(200)}
        refused = change(client, ada, "refused")
        read = client.get(f"{API}/users/me", headers=ada)
        (small_disk / "filler").unlink()
        after = change(client, ada, "after")

    assert statuses <= {200, 503}
    assert problem(refused) == (503, "unavailable")
    assert (read.status_code, read.json["bio"]) == (200, "x" * 5000)
    assert (after.status_code, after.json["bio"]) == (200, "after")


def fill(disk: Path) -> None:
    """Leave no room."""
    with suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
        while filler.write(b"\0" * 4096):
            pass
