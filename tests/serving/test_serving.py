"""Behind a real gunicorn: what the test client cannot show."""

import json
import os
import re
import select
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import flask_migrate
import pytest
import requests
from sqlalchemy.engine import make_url

from app import create_app, read_settings
from app.auth.registration import registration
from app.extensions import db
from tests.conftest import (
    ENVIRONMENT,
    HAS_POSTGRES,
    IS_LONG_RUN,
    POSTGRES_URL,
    new_postgres_database,
)
from tests.factories import API, PASSWORD, bearer
from tests.servers import BIN, ROOT, Server, environment_for, free_port, serving
from tests.waiting import until

CANARY = "canary-in-the-coal-mine"
ADA = {"email": "ada@example.com", "username": "ada", "password": PASSWORD}

needs_postgres = pytest.mark.skipif(not HAS_POSTGRES, reason="no PostgreSQL")


@contextmanager
def new_database(backend: str, folder: Path, **environment: str) -> Iterator[str]:
    """An upgraded database with ada in it, as ``DATABASE_URL`` would name it."""
    if backend == "sqlite":
        url = f"sqlite:///{folder / 'served.db'}"
        fill(url, **environment)
        yield url
        return
    with new_postgres_database() as url:
        fill(url, **environment)
        yield url


def fill(url: str, **environment: str) -> None:
    app = create_app(read_settings(ENVIRONMENT | {"DATABASE_URL": url} | environment))
    with app.app_context():
        flask_migrate.upgrade()
        registration.register(**ADA)
        db.session.remove()
        db.engine.dispose()


# The tests of one server run in one process, or each process would start its own.
@pytest.fixture(
    scope="module",
    params=["sqlite", "postgresql"]
    if IS_LONG_RUN
    else ["postgresql" if HAS_POSTGRES else "sqlite"],
)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server of two workers that logs JSON, for tests that leave it as it was."""
    folder = tmp_path_factory.mktemp("serving")
    with (
        new_database(request.param, folder) as url,
        serving(
            folder / "log",
            **ENVIRONMENT,
            DATABASE_URL=url,
            WEB_CONCURRENCY="2",
            LOG_FORMAT="json",
        ) as server,
    ):
        until(lambda: len(workers(server)) == 2)
        yield server


def log_in(server: Server, password: str = PASSWORD, **options: Any) -> requests.Response:
    credentials = {"username": "ada", "password": password}
    return requests.post(f"{server.api}/auth/login", json=credentials, timeout=20, **options)


def entries(server: Server, request_id: str) -> list[dict[str, Any]]:
    """What the access log says about a request, once it says something."""

    def found() -> list[dict[str, Any]]:
        lines = server.log.read_text().splitlines()
        logged = [json.loads(line) for line in lines if request_id in line]
        return [entry for entry in logged if entry["logger"] == "gunicorn.access"]

    return until(found)


# The walk


def test_registering_logging_in_editing_refreshing_and_logging_out(server: Server) -> None:
    account = {"email": "bob@example.com", "username": "bob", "password": PASSWORD}
    with requests.Session() as http:
        registered = http.post(f"{server.api}/auth/register", json=account)
        pair = http.post(
            f"{server.api}/auth/login", data={"username": "bob", "password": PASSWORD}
        ).json()
        edited = http.patch(
            f"{server.api}/users/me",
            json={"full_name": "Bob"},
            headers=bearer(pair["access_token"]),
        )
        refreshed = http.post(
            f"{server.api}/auth/refresh", json={"refresh_token": pair["refresh_token"]}
        ).json()
        read = http.get(f"{server.api}/users/me", headers=bearer(refreshed["access_token"]))
        left = http.post(f"{server.api}/auth/logout", headers=bearer(pair["access_token"]))
        # Several times: either worker must know.
        afterwards = [
            requests.get(
                f"{server.api}/users/me", headers=bearer(refreshed["access_token"]), timeout=30
            ).status_code
            for _ in range(6)
        ]

    assert registered.status_code == 201
    assert edited.status_code == 200
    assert (read.status_code, read.json()["full_name"]) == (200, "Bob")
    assert (left.status_code, left.content) == (204, b"")
    assert afterwards == [401] * 6


def test_it_is_alive_and_ready(server: Server) -> None:
    alive = requests.get(f"{server.url}/healthz", timeout=30)
    ready = requests.get(f"{server.url}/readyz", timeout=30)

    assert alive.status_code == 200
    assert (ready.status_code, ready.json()) == (
        200,
        {"checks": {"database": "ok", "migrations": "ok"}},
    )


def test_no_answer_names_a_version(server: Server) -> None:
    answers = [
        requests.get(f"{server.url}/healthz", timeout=30),
        requests.get(f"{server.url}/nowhere", timeout=30),
        log_in(server, "wrong"),
    ]

    banners = [
        f"{name}: {value}"
        for answer in answers
        for name, value in answer.headers.items()
        if name in ("Server", "X-Powered-By", "Via") and re.search(r"[0-9]", value)
    ]
    assert banners == []


def test_as_many_workers_run_as_were_asked_for(server: Server) -> None:
    assert len(workers(server)) == 2


# The access log


def test_a_request_is_one_line_of_json(server: Server) -> None:
    response = log_in(server, headers={"X-Request-ID": "one-line-of-json"})

    [entry] = entries(server, "one-line-of-json")
    assert response.headers["X-Request-ID"] == "one-line-of-json"
    assert (entry["method"], entry["path"], entry["status"]) == ("POST", f"{API}/auth/login", 200)
    assert entry["request_id"] == "one-line-of-json"
    assert entry["ip"] == "127.0.0.1"
    assert entry["ms"] > 0


def test_everything_that_is_logged_is_json(server: Server) -> None:
    log_in(server)

    entries = [json.loads(line) for line in server.log.read_text().splitlines()]
    assert [entry for entry in entries if not {"event", "level", "timestamp"} <= entry.keys()] == []


def test_the_log_holds_no_query_no_token_and_no_password(server: Server) -> None:
    pair = log_in(server).json()
    log_in(server, CANARY)
    requests.post(f"{server.api}/auth/login?password={CANARY}", json={}, timeout=30)
    requests.get(
        f"{server.api}/users/me?access_token={CANARY}",
        headers=bearer(CANARY) | {"Cookie": f"session={CANARY}", "Referer": f"http://x/?{CANARY}"},
        timeout=5,
    )
    requests.get(
        f"{server.api}/users/me",
        headers=bearer(pair["access_token"]) | {"X-Request-ID": "the-last-of-them"},
        timeout=5,
    )

    entries(server, "the-last-of-them")

    log = server.log.read_text()
    secrets = (CANARY, PASSWORD, pair["access_token"], pair["refresh_token"])
    assert [secret for secret in secrets if secret in log] == []


def test_a_client_cannot_write_lines_of_its_own_into_the_log(server: Server) -> None:
    lines_before = len(server.log.read_text().splitlines())
    # gunicorn refuses ESC, CR and LF in a header. These two are what is left of them: a terminal
    # may take U+009B for ESC [, and some readers of lines take U+0085 for a line end.
    agent = '\x9b31mred\x85{"event": "forged"}'
    send(
        server,
        b"GET /forged%0d%0a%7b%22event%22:1%7d%e2%80%a8 HTTP/1.1\r\nHost: localhost\r\n"
        b"X-Request-ID: no-lines-of-its-own\r\nConnection: close\r\n"
        b"User-Agent: " + agent.encode("latin-1") + b"\r\n\r\n",
    )

    [entry] = entries(server, "no-lines-of-its-own")

    assert entry["event"] == "request"
    assert entry["status"] == 404
    for line in server.log.read_text().splitlines()[lines_before:]:
        assert line.isprintable()
        assert json.loads(line)["event"] != "forged"


def test_the_log_for_people_is_one_line_a_request_as_well(tmp_path: Path) -> None:
    with (
        new_database("sqlite", tmp_path) as url,
        serving(
            tmp_path / "log",
            **ENVIRONMENT,
            DATABASE_URL=url,
            WEB_CONCURRENCY="1",
            LOG_FORMAT="console",
        ) as server,
    ):
        send(
            server,
            b"GET /nowhere?canary-in-the-coal-mine HTTP/1.1\r\nHost: localhost\r\n"
            b"X-Request-ID: for-people\r\nConnection: close\r\n"
            b"User-Agent: \x9b31mred\x85forged\r\n\r\n",
        )

        until(lambda: "for-people" in server.log.read_text())

    lines = [line for line in server.log.read_text().splitlines() if "for-people" in line]
    assert len(lines) == 1
    assert "status=404" in lines[0]
    assert CANARY not in lines[0]
    assert lines[0].isprintable(), ascii(lines[0])


# Broken and oversized requests


def send(server: Server, *parts: bytes) -> bytes:
    """Send bytes, whatever they are; what came back until the server hung up."""
    port = int(server.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        # The server may answer, and hang up, before it has seen everything.
        with suppress(ConnectionError):
            for part in parts:
                connection.sendall(part)
        answer = b""
        with suppress(ConnectionError):
            while received := connection.recv(65536):
                answer += received
    return answer


LOGIN = f"POST {API}/auth/login HTTP/1.1\r\nHost: localhost\r\n".encode()
JSON = b"Content-Type: application/json\r\n"


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        b"Content-Length: 4\r\nContent-Length: 5\r\n",
        b"Content-Length: 4, 5\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: +4\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding: nonsense\r\n",
        b"Transfer-Encoding : chunked\r\n",
    ],
)
def test_conflicting_framing_is_refused_and_the_connection_closed(
    server: Server, framing: bytes
) -> None:
    smuggled = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"

    answer = send(server, LOGIN + JSON + framing + b"\r\n0\r\n\r\n" + smuggled)

    status = int(answer.split(b" ", 2)[1])
    assert 400 <= status < 600
    assert status not in (500, 502, 503)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b'"ok"' not in answer


@pytest.mark.parametrize(
    "headers",
    [
        b"Authorization: Bearer " + b"a" * 10_000 + b"\r\n",
        b"".join(b"X-Number-%d: 1\r\n" % number for number in range(200)),
    ],
    ids=["one of 10 KB", "200 of them"],
)
def test_oversized_headers_are_refused(server: Server, headers: bytes) -> None:
    answer = send(server, LOGIN + headers + b"Connection: close\r\n\r\n")

    assert re.match(rb"HTTP/1.1 4[0-9][0-9] ", answer)
    assert requests.get(f"{server.url}/healthz", timeout=30).status_code == 200


def test_a_body_of_70_kb_is_too_large_and_the_worker_lives(server: Server) -> None:
    before = workers(server)

    answers = [log_in(server, "x" * 70_000) for _ in range(4)]

    assert {answer.status_code for answer in answers} == {413}
    assert {answer.json()["code"] for answer in answers} == {"body_too_large"}
    assert log_in(server).status_code == 200
    assert workers(server) == before


def test_a_chunked_body_of_1_mb_is_too_large_and_the_worker_lives(server: Server) -> None:
    before = workers(server)
    # Cut off at the limit, it would be a good login.
    body = json.dumps({"username": "ada", "password": PASSWORD}).encode().ljust(0x4000)
    first, other = (b"4000\r\n" + text + b"\r\n" for text in (body, b" " * 0x4000))
    head = LOGIN + JSON + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"

    answer = send(server, head, first, *[other] * 63, b"0\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"body_too_large" in answer
    assert log_in(server).status_code == 200
    assert workers(server) == before


def test_a_small_chunked_body_is_read(server: Server) -> None:
    body = json.dumps({"username": "ada", "password": PASSWORD}).encode()

    response = requests.post(
        f"{server.api}/auth/login",
        data=iter([body[:10], body[10:]]),
        headers={"Content-Type": "application/json"},
        timeout=10,
    )

    assert response.status_code == 200


def test_a_body_that_is_cut_off_is_no_error_of_ours(server: Server) -> None:
    port = int(server.url.rpartition(":")[2])
    head = JSON + b"X-Request-ID: cut-off\r\nContent-Length: 1000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(LOGIN + head + b'{"username": ')
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(65536)

    assert re.match(rb"HTTP/1.1 4[0-9][0-9] ", answer)
    assert log_in(server).status_code == 200


# Dying and being stopped


def workers(server: Server) -> set[int]:
    """The processes that answer requests."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    return {int(process) for process in children.read_text().split()}


def answers(server: Server) -> bool:
    """Whether a login gets its answer. A request of a worker that was killed gets none."""
    try:
        return log_in(server).status_code == 200
    except requests.ConnectionError:
        return False


def test_a_worker_that_is_killed_is_replaced(server: Server) -> None:
    before = workers(server)
    victim = min(before)

    os.kill(victim, signal.SIGKILL)

    after = until(lambda: len(workers(server) - {victim}) == 2 and workers(server))
    assert len(after & before) == 1
    until(lambda: answers(server))
    assert [log_in(server).status_code for _ in range(4)] == [200] * 4


@pytest.fixture
def slow_server(tmp_path: Path) -> Iterator[Server]:
    """A server of one worker, whose logins take as long as bcrypt takes by default."""
    variables = ENVIRONMENT | {"BCRYPT_ROUNDS": "12", "WEB_CONCURRENCY": "1"}
    with (
        new_database("sqlite", tmp_path, BCRYPT_ROUNDS="12") as url,
        serving(tmp_path / "log", **variables, DATABASE_URL=url) as server,
    ):
        yield server


def test_sigterm_lets_requests_in_flight_finish_and_ends_well(slow_server: Server) -> None:
    port = int(slow_server.url.rpartition(":")[2])
    body = json.dumps({"username": "ada", "password": PASSWORD}).encode()
    head = JSON + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=30) as idle,
        socket.create_connection(("127.0.0.1", port), timeout=30) as connection,
    ):
        idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert idle.recv(65536).startswith(b"HTTP/1.1 200 ")
        connection.sendall(LOGIN + head)
        # From here on a thread has the request in hand.
        assert connection.recv(65536).startswith(b"HTTP/1.1 100 ")

        slow_server.process.send_signal(signal.SIGTERM)
        until(lambda: "Handling signal: term" in slow_server.log.read_text())
        connection.sendall(body)
        answer = b""
        while received := connection.recv(65536):
            answer += received

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"access_token" in answer
    assert slow_server.process.wait(timeout=60) == 0


def test_logins_that_are_being_hashed_when_sigterm_comes_are_answered(slow_server: Server) -> None:
    statuses: list[int] = []

    def log_in_slowly() -> None:
        statuses.append(log_in(slow_server, headers={"Connection": "close"}).status_code)

    threads = [Thread(target=log_in_slowly) for _ in range(4)]
    for thread in threads:
        thread.start()
    # The first answer says that the others are being worked on.
    until(lambda: statuses)

    slow_server.process.send_signal(signal.SIGTERM)

    for thread in threads:
        thread.join()
    assert statuses == [200] * 4
    assert slow_server.process.wait(timeout=60) == 0


# Starting


def start(**variables: str) -> tuple[int, str]:
    """Exit status and output of a gunicorn that is expected to refuse."""
    done = subprocess.run(
        [BIN / "gunicorn", "wsgi:app"],
        cwd=ROOT,
        env=environment_for(**{"PORT": str(free_port())} | variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout


def test_production_that_is_half_configured_does_not_start_and_says_why() -> None:
    status, output = start(APP_ENV="production", LOG_LEVEL="LOUD")

    assert status != 0
    sentences = [line for line in output.splitlines() if line.startswith("Cannot start: ")]
    assert [sentence.split()[2] for sentence in sentences] == [
        "LOG_LEVEL",
        "SECRET_KEY",
        "DATABASE_URL",
        "PUBLIC_URL",
        "MAIL_FROM",
    ]
    assert "Traceback" not in output


@pytest.mark.parametrize("variable", ["PORT", "WEB_THREADS"])
def test_a_bad_number_for_gunicorn_itself_is_refused_by_a_sentence(variable: str) -> None:
    status, output = start(**ENVIRONMENT, **{variable: "many"})

    assert status != 0
    assert f"Cannot start: {variable} is 'many'" in output
    assert "Traceback" not in output


def test_gunicorn_refuses_a_bad_number_of_workers_before_it_reads_our_settings() -> None:
    status, output = start(**ENVIRONMENT, WEB_CONCURRENCY="many")

    # Its own words, on import; `flask db upgrade`, which comes first, has said it in ours.
    assert status != 0
    assert "WEB_CONCURRENCY" in output


# A PostgreSQL that goes away


class Proxy:
    """Stands between the application and PostgreSQL, and can be taken away or fall silent."""

    def __init__(self) -> None:
        url = make_url(POSTGRES_URL)
        self.target = (url.host or "127.0.0.1", url.port or 5432)
        self.port = free_port()
        self.is_silent = False
        self._lock = Lock()
        self._sockets: list[socket.socket] = []
        self.open()

    def open(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def close(self) -> None:
        """Hang up on everybody and take no more calls."""
        # Closing alone would not wake up who waits in accept().
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._sockets:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._sockets.clear()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with client, socket.create_connection(self.target) as database:
            with self._lock:
                self._sockets += [client, database]
            other = {client: database, database: client}
            with suppress(OSError):
                while True:
                    for end in select.select([client, database], [], [])[0]:
                        received = end.recv(65536)
                        if not received:
                            return
                        if not self.is_silent:
                            other[end].sendall(received)


behind_proxy = [needs_postgres, pytest.mark.xdist_group("serving behind a proxy")]


@pytest.fixture(scope="module", params=[pytest.param("postgresql", marks=behind_proxy)])
def only_proxy(request: pytest.FixtureRequest) -> Iterator[Proxy]:
    proxy = Proxy()
    yield proxy
    proxy.close()


@pytest.fixture
def proxy(only_proxy: Proxy) -> Iterator[Proxy]:
    """A way to PostgreSQL that a test may close or silence."""
    yield only_proxy
    only_proxy.close()
    only_proxy.is_silent = False
    only_proxy.open()


@pytest.fixture(scope="module")
def server_behind_proxy(
    only_proxy: Proxy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    proxy, tmp_path = only_proxy, tmp_path_factory.mktemp("behind_proxy")
    with new_database("postgresql", tmp_path) as url:
        through_proxy = make_url(url).set(host="127.0.0.1", port=proxy.port)
        with serving(
            tmp_path / "log",
            **ENVIRONMENT,
            DATABASE_URL=through_proxy.render_as_string(hide_password=False),
            WEB_CONCURRENCY="1",
        ) as server:
            yield server


def ask(server: Server, access_token: str) -> list[tuple[int, str, bool]]:
    """Status, code, and whether it took less than 5 s, of calls that need the database."""
    calls: list[Callable[[], requests.Response]] = [
        lambda: requests.get(f"{server.api}/users/me", headers=bearer(access_token), timeout=20),
        lambda: log_in(server),
        lambda: requests.get(f"{server.url}/readyz", timeout=20),
    ]
    found = []
    for call in calls:
        response = call()
        code = response.json().get("code", "")
        found.append((response.status_code, code, response.elapsed.total_seconds() < 5))
    return found


def test_while_postgresql_is_away_the_answer_is_503_and_then_all_is_well_again(
    proxy: Proxy, server_behind_proxy: Server
) -> None:
    access_token = log_in(server_behind_proxy).json()["access_token"]

    proxy.close()
    away = ask(server_behind_proxy, access_token)
    alive = requests.get(f"{server_behind_proxy.url}/healthz", timeout=5)
    proxy.open()
    back = ask(server_behind_proxy, access_token)

    assert away == [(503, "unavailable", True)] * 3
    assert alive.status_code == 200
    assert back == [(200, "", True)] * 3


def test_connections_that_broke_while_nobody_asked_are_not_noticed_by_anybody(
    proxy: Proxy, server_behind_proxy: Server
) -> None:
    access_token = log_in(server_behind_proxy).json()["access_token"]

    proxy.close()
    proxy.open()

    assert ask(server_behind_proxy, access_token) == [(200, "", True)] * 3


def test_the_answer_to_a_database_away_says_when_to_come_back_and_nothing_internal(
    proxy: Proxy, server_behind_proxy: Server
) -> None:
    proxy.close()

    response = requests.get(f"{server_behind_proxy.url}/readyz", timeout=20)

    assert response.json()["checks"]["database"] == "away"
    assert int(response.headers["Retry-After"]) > 0
    assert not re.search(r"postgres|psycopg|127\.0\.0\.1|Traceback", response.text)


def test_a_postgresql_that_falls_silent_is_away_too(
    proxy: Proxy, server_behind_proxy: Server
) -> None:
    access_token = log_in(server_behind_proxy).json()["access_token"]
    url = f"{server_behind_proxy.api}/users/me"

    # It hears, and never answers: a frozen host, or a pooler that waits for one.
    proxy.is_silent = True
    response = requests.get(url, headers=bearer(access_token), timeout=30)

    assert (response.status_code, response.json()["code"]) == (503, "unavailable")


# Making way for another server


def test_a_server_that_stops_refuses_connections_before_it_has_finished(tmp_path: Path) -> None:
    with (
        new_database("sqlite", tmp_path) as url,
        serving(tmp_path / "log", **ENVIRONMENT, DATABASE_URL=url, WEB_CONCURRENCY="2") as server,
        requests.Session() as kept_alive,
    ):
        # A connection that is kept alive may bring another request, for which the server waits.
        kept_alive.get(f"{server.url}/healthz", timeout=30)
        server.process.terminate()

        until(lambda: not accepts_connections(server))

        # One that took it, and ended, would cut it off; refused, it can go to another server.
        assert server.process.poll() is None
        assert kept_alive.get(f"{server.url}/healthz", timeout=30).status_code == 200


def accepts_connections(server: Server) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(server.url.rpartition(":")[2]))) == 0


# Spelling


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/metrics", 200),
        ("//metrics", 404),
        ("/%2Fmetrics", 404),
        ("/%2fmetrics", 404),
        ("/m%65trics", 404),
        ("/./metrics", 404),
        ("/docs/../metrics", 404),
        ("/metrics#", 404),
        ("http://localhost//metrics", 404),
        ("http://localhost/%2Fmetrics", 404),
    ],
)
def test_there_is_one_way_to_write_a_path(server: Server, target: str, status: int) -> None:
    port = int(server.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

        assert client.recv(100).startswith(f"HTTP/1.1 {status} ".encode())


def test_a_log_of_warnings_has_no_line_for_each_request(tmp_path: Path) -> None:
    variables = ENVIRONMENT | {"LOG_LEVEL": "WARNING", "WEB_CONCURRENCY": "1"}
    log = tmp_path / "log"
    with new_database("sqlite", tmp_path) as url, serving(log, **variables, DATABASE_URL=url) as it:
        requests.get(f"{it.url}/docs", timeout=20).raise_for_status()

    # The lines of requests are written by the time that the server has stopped.
    assert "request" not in log.read_text()
    assert "info" not in log.read_text()
