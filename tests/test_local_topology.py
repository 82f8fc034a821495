"""Two servers behind nginx, PgBouncer and Redis: one product."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import requests
from requests.adapters import HTTPAdapter

from app import create_app, read_settings
from app.database import postgresql
from app.extensions import db
from deploy import local_topology
from deploy.local_topology import PROXY_ADDRESS, CannotStart, Server, Topology
from tests import servers as serving
from tests.factories import API, PASSWORD, bearer
from tests.servers import BIN, ROOT, environment_for, free_port
from tests.test_docs import settings_that_are_read
from tests.test_readme import masked, paste, steps

MISSING = local_topology.missing()

# One process starts it for all of them.
pytestmark = [
    pytest.mark.xdist_group("local topology"),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8"),
]


@pytest.fixture(scope="module")
def topology() -> Iterator[Topology]:
    with local_topology.running(
        APP_ENV="testing",
        BCRYPT_ROUNDS="4",
        WEB_THREADS="8",
        LOG_FORMAT="json",
        RATELIMIT_ENABLED="false",
    ) as running:
        yield running


class Person:
    """Somebody with an account, and what they ask, of whichever server."""

    def __init__(self, topology: Topology) -> None:
        self.name = f"u{uuid4().hex[:20]}"
        account = {
            "email": f"{self.name}@example.com",
            "username": self.name,
            "password": PASSWORD,
        }
        post(topology.url, "auth/register", json=account).raise_for_status()

    def log_in(self, url: str, **options: Any) -> dict[str, str]:
        credentials = {"username": self.name, "password": PASSWORD}
        answer = post(url, "auth/login", json=credentials, **options)
        for _ in range(3):
            # On a busy machine a server may ask for another try, as to any client.
            if answer.status_code == 503:
                time.sleep(float(answer.headers.get("Retry-After", 1)))
                answer = post(url, "auth/login", json=credentials, **options)
        answer.raise_for_status()
        pair: dict[str, str] = answer.json()
        return pair


@pytest.fixture
def person(topology: Topology) -> Person:
    return Person(topology)


def post(url: str, call: str, **options: Any) -> requests.Response:
    return requests.post(f"{url}{API}/{call}", timeout=20, **options)


def get(url: str, call: str, token: str, **options: Any) -> requests.Response:
    return requests.get(f"{url}{API}/{call}", headers=bearer(token), timeout=20, **options)


def test_readmes_walk_through_prints_what_it_shows(topology: Topology) -> None:
    walk = steps("README.md")

    printed = paste([step.command for step in walk], through_nginx(topology))

    assert [masked(answer) for answer in printed] == [masked(step.shown) for step in walk]


def through_nginx(topology: Topology) -> serving.Server:
    process = topology.servers[0].process
    assert process is not None
    return serving.Server(process, topology.url, topology.servers[0].log)


# Several servers, one state


def test_a_session_begun_on_one_server_is_good_on_the_other(
    topology: Topology, person: Person
) -> None:
    one, other = topology.servers
    pair = person.log_in(one.url)

    read = get(other.url, "users/me", pair["access_token"])
    refreshed = post(other.url, "auth/refresh", json={"refresh_token": pair["refresh_token"]})
    back = get(one.url, "users/me", refreshed.json()["access_token"])

    assert (read.status_code, read.json()["username"]) == (200, person.name)
    assert (refreshed.status_code, back.status_code) == (200, 200)


def test_a_session_that_was_ended_on_one_server_is_dead_on_the_other(
    topology: Topology, person: Person
) -> None:
    one, other = topology.servers
    pair = person.log_in(one.url)
    assert get(other.url, "users/me", pair["access_token"]).status_code == 200

    post(one.url, "auth/logout", headers=bearer(pair["access_token"]))

    assert get(other.url, "users/me", pair["access_token"]).json()["code"] == "session_ended"
    refused = post(other.url, "auth/refresh", json={"refresh_token": pair["refresh_token"]})
    assert refused.json()["code"] == "invalid_refresh_token"


def test_both_servers_get_requests(topology: Topology) -> None:
    before = [server.log.read_text().count("/healthz") for server in topology.servers]

    for _ in range(20):
        requests.get(f"{topology.url}/healthz", timeout=30)

    after = [server.log.read_text().count("/healthz") for server in topology.servers]
    assert all(now > then for then, now in zip(before, after, strict=True))


# Restarting


def test_restarting_one_server_under_load_loses_no_request(
    topology: Topology, person: Person
) -> None:
    restarted = threading.Event()
    clients = 3

    def use_it() -> list[int]:
        """Read and refresh again and again, as one device does, until the restart is over."""
        pair = person.log_in(topology.url)
        statuses = []
        with requests.Session() as http:
            while not restarted.is_set():
                read = http.get(
                    f"{topology.url}{API}/users/me",
                    headers=bearer(pair["access_token"]),
                    timeout=20,
                )
                refreshed = http.post(
                    f"{topology.url}{API}/auth/refresh",
                    json={"refresh_token": pair["refresh_token"]},
                    timeout=20,
                )
                statuses += [read.status_code, refreshed.status_code]
                if refreshed.status_code != 200:
                    break
                pair = refreshed.json()
        return statuses

    with ThreadPoolExecutor(clients) as threads:
        under_way = [threads.submit(use_it) for _ in range(clients)]
        time.sleep(0.5)
        try:
            topology.servers[0].restart()
            time.sleep(0.5)
        finally:
            restarted.set()
        statuses = [status for device in under_way for status in device.result()]

    assert len(statuses) > 10 * clients
    assert set(statuses) == {200}


def test_while_both_servers_are_away_nginx_answers_in_the_shape_of_all_errors() -> None:
    away = [
        Server(f"http://127.0.0.1:{free_port()}", environment={}, log=Path(os.devnull))
        for _ in range(2)
    ]
    with local_topology.starting() as start:
        url = start.nginx(free_port(), away)

        answer = requests.get(f"{url}{API}/users/me", timeout=20)

    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Retry-After"] == "2"
    problem = answer.json()
    assert (problem["status"], problem["code"]) == (503, "unavailable")
    assert problem["request_id"] == answer.headers["X-Request-ID"]


def test_a_body_that_is_too_large_is_refused_by_the_application(topology: Topology) -> None:
    answer = post(topology.url, "auth/login", json={"username": "x" * 70_000, "password": "x"})

    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_metrics_are_not_shown_to_the_world(topology: Topology) -> None:
    assert requests.get(f"{topology.url}/metrics", timeout=30).status_code == 404


# PgBouncer


def test_what_is_prepared_in_one_transaction_harms_no_other(
    topology: Topology, person: Person
) -> None:
    pair = person.log_in(topology.url)

    def read(_: int) -> int:
        return get(topology.url, "users/me", pair["access_token"]).status_code

    with ThreadPoolExecutor(16) as threads:
        statuses = list(threads.map(read, range(300)))

    assert set(statuses) == {200}


def test_pgbouncer_lends_its_connections_for_a_transaction(topology: Topology) -> None:
    with (
        psycopg.connect(topology.database_url) as one,
        psycopg.connect(topology.database_url) as other,
    ):
        servers = set()
        for connection in (one, other, one, other):
            pid = connection.execute("SELECT pg_backend_pid()").fetchone()
            connection.commit()
            servers.add(pid)

    # Two clients, one after the other, on one connection to PostgreSQL.
    assert len(servers) == 1


def test_the_application_sees_that_a_pooler_is_there(topology: Topology, tmp_path: Path) -> None:
    app = create_app(read_settings({"DATABASE_URL": topology.database_url}, instance=tmp_path))
    with app.app_context():
        with db.engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            seen = postgresql.is_behind_a_pooler(driver)
            threshold = driver.prepare_threshold
        db.engine.dispose()

    assert (seen, threshold) == (True, None)


def test_migrations_are_refused_through_the_pooler(topology: Topology) -> None:
    refused = flask_db_upgrade(topology.servers[0].environment)

    assert refused.returncode == 1
    assert "Cannot upgrade through a connection pooler" in refused.stderr


def flask_db_upgrade(environment: dict[str, str]) -> Any:
    return subprocess.run(
        [BIN / "flask", "--app", ROOT / "wsgi.py", "db", "upgrade"],
        env=environment_for(**environment),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


# The account that serves


def test_the_account_that_serves_can_change_rows_but_no_tables(topology: Topology) -> None:
    with psycopg.connect(topology.database_url) as connection:
        rights = connection.execute(
            "SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
        connection.execute("UPDATE users SET bio = 'mine' WHERE false")
        refused = []
        for statement in ("CREATE TABLE mine (id int)", "DROP TABLE users", "TRUNCATE users"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                connection.execute(statement)
            refused.append(statement)

    assert rights == (False, False, False)
    assert len(refused) == 3


# Forwarding headers


class _From(HTTPAdapter):
    """Calls from another of this machine's addresses, as another machine would."""

    def __init__(self, address: str) -> None:
        self.address = address
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options, source_address=(self.address, 0))


def session_address(url: str, person: Person, *, source: str, forwarded_for: str = "") -> str:
    """The address that a login from there is noted with."""
    with requests.Session() as http:
        http.mount("http://", _From(source))
        headers = {"X-Forwarded-For": forwarded_for} if forwarded_for else {}
        credentials = {"username": person.name, "password": PASSWORD}
        pair = http.post(
            f"{url}{API}/auth/login", json=credentials, headers=headers, timeout=20
        ).json()
        sessions = http.get(
            f"{url}{API}/auth/sessions", headers=bearer(pair["access_token"]), timeout=20
        ).json()["items"]
    [address] = [session["ip"] for session in sessions if session["is_current"]]
    return str(address)


def test_a_forwarding_header_is_not_believed_from_who_is_not_the_proxy(
    topology: Topology, person: Person
) -> None:
    server = topology.servers[0].url

    noted = session_address(server, person, source="127.0.0.1", forwarded_for="203.0.113.7")

    assert noted == "127.0.0.1"


def test_the_servers_see_the_proxy_come_from_an_address_of_its_own(
    topology: Topology,
) -> None:
    settings = topology.servers[0].environment

    assert settings["TRUSTED_PROXIES"] == PROXY_ADDRESS
    assert PROXY_ADDRESS != "127.0.0.1"


@pytest.fixture
def trusts_proxies(tmp_path: Path) -> None:
    if "TRUSTED_PROXIES" not in settings_that_are_read(tmp_path):
        pytest.skip("TRUSTED_PROXIES is no setting yet")


@pytest.mark.usefixtures("trusts_proxies")
def test_through_nginx_the_clients_own_address_is_noted(topology: Topology, person: Person) -> None:
    assert session_address(topology.url, person, source="127.0.0.9") == "127.0.0.9"


@pytest.mark.usefixtures("trusts_proxies")
def test_through_nginx_a_header_of_the_clients_own_is_not_believed(
    topology: Topology, person: Person
) -> None:
    noted = session_address(
        topology.url, person, source="127.0.0.9", forwarded_for="203.0.113.7, 127.0.0.1"
    )

    assert noted == "127.0.0.9"


# The script


def test_what_is_missing_is_named_with_the_packages_that_have_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        local_topology, "_find", lambda name: None if name in ("nginx", "initdb") else "/bin/true"
    )

    with pytest.raises(CannotStart) as refused, local_topology.running():
        pass

    assert str(refused.value) == (
        "Cannot start: nginx, initdb not found. "
        "On Debian and Ubuntu: apt-get install nginx postgresql"
    )
    assert local_topology.missing(database_url="postgresql://localhost/x") == ["nginx"]
