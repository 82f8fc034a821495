"""Slow clients, and stopping under load, behind a real gunicorn."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

import pytest
import requests

from app.version import VERSION
from tests.conftest import ENVIRONMENT
from tests.factories import API
from tests.servers import Server, serving
from tests.serving.test_serving import new_database, workers
from tests.waiting import until

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
LOGIN = (
    f"POST {API}/auth/login HTTP/1.1\r\nHost: localhost\r\n"
    "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
).encode()
HEALTHY = f'{{"status":"ok","version":"{VERSION}"}}\n'.encode()
BUNDLE = b"GET /docs/assets/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n"


@contextmanager
def new_server(folder: Path, **variables: str) -> Iterator[Server]:
    with (
        new_database("sqlite", folder) as url,
        serving(folder / "log", **ENVIRONMENT, DATABASE_URL=url, **variables) as server,
    ):
        yield server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server as it comes: two workers."""
    with new_server(tmp_path_factory.mktemp("worker"), WEB_CONCURRENCY="2") as server:
        yield server


@pytest.fixture(scope="module")
def small_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of four threads in all."""
    few = {"WEB_CONCURRENCY": "1", "WEB_THREADS": "2", "HASH_CONCURRENCY": "1"}
    with new_server(tmp_path_factory.mktemp("small"), **few, HASH_QUEUE_LIMIT="1") as server:
        yield server


def connect(server: Server) -> socket.socket:
    port = int(server.url.rpartition(":")[2])
    return socket.create_connection(("127.0.0.1", port), timeout=30)


@contextmanager
def dripping(server: Server, number: int, head: bytes, drip: bytes) -> Iterator[None]:
    """So many clients that send ``head`` and then one byte now and then, until the block ends."""
    stop = Event()
    with ExitStack() as connections:
        clients = [connections.enter_context(connect(server)) for _ in range(number)]

        def drip_on() -> None:
            while not stop.wait(2):
                for client in clients:
                    with suppress(OSError):
                        client.sendall(drip)

        for client in clients:
            client.sendall(head)
        thread = Thread(target=drip_on)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def slowest_health(server: Server, rounds: int = 30) -> float:
    """The longest of some answers of /healthz, each on a connection of its own."""
    longest = 0.0
    for _ in range(rounds):
        started = time.perf_counter()
        assert requests.get(f"{server.url}/healthz", timeout=20).status_code == 200
        longest = max(longest, time.perf_counter() - started)
        time.sleep(0.02)
    return longest


slowly = pytest.mark.parametrize(
    ("head", "drip"),
    [(b"G", b"E"), (HEALTH[:-2] + b"X-Slow: ", b"a"), (LOGIN + b'{"username": "', b"a")],
    ids=["request line", "header", "body"],
)


@slowly
def test_50_slow_clients_are_not_felt_by_others(server: Server, head: bytes, drip: bytes) -> None:
    calm = slowest_health(server)

    with dripping(server, 50, head, drip):
        time.sleep(1)
        meanwhile = slowest_health(server)

    # The issue's own bound, with room for a machine that was slow when calm.
    assert meanwhile < max(1, 5 * calm)


@slowly
def test_slow_clients_never_take_all_threads(
    small_server: Server, head: bytes, drip: bytes
) -> None:
    with dripping(small_server, 20, head, drip):
        # By now those who may be slow are, and the others were hung up on.
        time.sleep(2)
        meanwhile = slowest_health(small_server, 10)

    assert meanwhile < 2


def test_connections_that_say_nothing_take_no_thread(small_server: Server) -> None:
    with dripping(small_server, 20, b"", b""):
        assert slowest_health(small_server, 10) < 2


def test_clients_that_never_hang_up_hold_up_nobody(small_server: Server) -> None:
    last = HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")

    # gunicorn itself would spend two seconds with each, in the thread that accepts.
    with dripping(small_server, 20, last, b""):
        time.sleep(0.5)
        assert slowest_health(small_server, 10) < 2


def test_clients_that_do_not_read_their_answer_take_not_all_threads(small_server: Server) -> None:
    with dripping(small_server, 20, BUNDLE * 10, b""):
        time.sleep(2)
        assert slowest_health(small_server, 10) < 2


def test_a_client_that_is_a_little_slow_is_answered(server: Server) -> None:
    with connect(server) as client:
        for byte in range(0, len(HEALTH), 8):
            client.sendall(HEALTH[byte : byte + 8])
            time.sleep(0.25)

        assert client.recv(100).startswith(b"HTTP/1.1 200 ")


def test_a_body_that_comes_too_slowly_is_given_up(small_server: Server) -> None:
    log_before = len(small_server.log.read_text())
    with connect(small_server) as client:
        client.sendall(LOGIN + b"{")
        answer = client.recv(65536)
        # The body may come by itself.
        while b"bad_request" not in answer and (more := client.recv(65536)):
            answer += more

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"bad_request" in answer
    assert "Traceback" not in small_server.log.read_text()[log_before:]


def test_a_large_answer_is_whole_for_who_reads_slowly(server: Server) -> None:
    whole = requests.get(f"{server.url}/docs/assets/swagger-ui-bundle.js", timeout=20).content

    with requests.get(
        f"{server.url}/docs/assets/swagger-ui-bundle.js", timeout=20, stream=True
    ) as slow:
        pieces = []
        for piece in slow.iter_content(200_000):
            pieces.append(piece)
            time.sleep(0.3)

    assert b"".join(pieces) == whole


@pytest.mark.parametrize(
    "chunks",
    [b"no size\r\n", b"-1\r\n", b"2;x=\x01\r\n{}\r\n", b"2\r\n{}}\r\n", b"0\r\nBroken\n\r\n"],
)
def test_broken_chunks_are_the_clients_fault(server: Server, chunks: bytes) -> None:
    head = LOGIN.replace(b"Content-Length: 1000", b"Transfer-Encoding: chunked")
    log_before = len(server.log.read_text())
    with connect(server) as client:
        client.sendall(head + chunks + b"0\r\n\r\n" + HEALTH)
        answer = b""
        with suppress(ConnectionError):
            while received := client.recv(65536):
                answer += received

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"bad_request" in answer
    assert answer.count(b"HTTP/1.1 ") == 1
    assert "Traceback" not in server.log.read_text()[log_before:]


# Stopping and reloading under load


class Load:
    """Clients who ask again and again, some on a connection that they keep and some on new ones."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.answered = 0
        self.lost: list[str] = []
        self.turned_away = 0
        self._over = Event()
        self._threads = [
            Thread(target=self._ask_on, args=(keeps,)) for keeps in (True, False) for _ in range(6)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()
        until(lambda: self.answered > 100)

    def end(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def _ask_on(self, keeps: bool) -> None:
        connection: socket.socket | None = None
        while not self._over.is_set():
            if connection is None:
                try:
                    connection = connect(self.server)
                except (ConnectionRefusedError, ConnectionResetError):
                    # Nothing was sent, so nothing was lost.
                    self.turned_away += 1
                    return
            answer = self._ask(connection)
            if not answer.startswith(b"HTTP/1.1 200 ") or not answer.endswith(HEALTHY):
                self.lost.append(repr(answer))
            else:
                self.answered += 1
            if not keeps or b"Connection: close" in answer or not answer:
                connection.close()
                connection = None
        if connection is not None:
            connection.close()

    def _ask(self, connection: socket.socket) -> bytes:
        try:
            connection.sendall(HEALTH)
            answer = b""
            while not answer.endswith(b"}\n"):
                received = connection.recv(4096)
                if not received:
                    break
                answer += received
            return answer
        except ConnectionError as error:
            self.lost.append(repr(error))
            return b""


@pytest.fixture
def under_load(tmp_path: Path) -> Iterator[Load]:
    with new_server(tmp_path, WEB_CONCURRENCY="2") as server:
        until(lambda: len(workers(server)) == 2)
        load = Load(server)
        load.start()
        yield load
        load.end()


def test_sigterm_under_load_loses_no_request(under_load: Load) -> None:
    server = under_load.server

    server.process.send_signal(signal.SIGTERM)
    status = server.process.wait(timeout=60)
    under_load.end()

    assert under_load.lost == []
    assert under_load.turned_away == 12
    assert status == 0


def test_reloading_under_load_loses_no_request_and_turns_nobody_away(under_load: Load) -> None:
    server = under_load.server

    for _ in range(3):
        old = workers(server)
        server.process.send_signal(signal.SIGHUP)
        until(lambda old=old: len(workers(server)) == 2 and not workers(server) & old)  # type: ignore[misc]
    answered = under_load.answered
    until(lambda: under_load.answered > answered)
    under_load.end()

    assert under_load.lost == []
    assert under_load.turned_away == 0


def test_who_has_connected_when_sigterm_comes_is_answered(tmp_path: Path) -> None:
    with new_server(tmp_path, WEB_CONCURRENCY="1") as server:
        [worker] = workers(server)
        # The worker sees none of these before it is told to stop.
        os.kill(worker, signal.SIGSTOP)
        clients = [connect(server) for _ in range(5)]
        for client in clients:
            client.sendall(HEALTH)
        server.process.send_signal(signal.SIGTERM)
        until(lambda: "Handling signal: term" in server.log.read_text())
        os.kill(worker, signal.SIGCONT)

        answers = [client.recv(100)[:13] for client in clients]
        for client in clients:
            client.close()

    assert answers == [b"HTTP/1.1 200 "] * 5


# Between the fork and its own way to take signals, a worker has the master's.
TOLD_WHILE_IT_BEGINS = """
import os, signal
from pathlib import Path

exec(Path("gunicorn.conf.py").read_text())

def post_fork(_server, worker):
    if worker.age == 2:
        Path({told!r}).write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGTERM)
"""


def test_a_worker_that_is_told_to_stop_while_it_begins_stops(tmp_path: Path) -> None:
    told, config = tmp_path / "told", tmp_path / "gunicorn.conf.py"
    config.write_text(TOLD_WHILE_IT_BEGINS.format(told=str(told)))

    with new_server(
        tmp_path, WEB_CONCURRENCY="2", GUNICORN_CMD_ARGS=f"--config {config}"
    ) as server:
        told_one = int(until(lambda: told.exists() and told.read_text()))

        # The master has put another in its place.
        until(lambda: len(workers(server) - {told_one}) == 2)
        assert told_one not in workers(server)
