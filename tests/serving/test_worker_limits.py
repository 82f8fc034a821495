"""The worker without a proxy: clients beyond its descriptors, and waits that end."""

import selectors
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
import requests

from app.serving import client_socket
from app.serving.client_socket import BEGINNING, Socket
from app.serving.worker import Client, Worker, connections_that_fit
from tests.conftest import ENVIRONMENT
from tests.factories import API, PASSWORD
from tests.servers import Server, serving
from tests.serving.test_serving import new_database, workers
from tests.serving.test_worker import HEALTH, connect
from tests.waiting import until

FEW = {
    "WEB_CONCURRENCY": "1",
    "WEB_THREADS": "2",
    "HASH_CONCURRENCY": "1",
    "HASH_QUEUE_LIMIT": "1",
}
LAST = HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")


@contextmanager
def new_server(folder: Path, *before: str, **variables: str) -> Iterator[Server]:
    with (
        new_database("sqlite", folder) as url,
        serving(
            folder / "log", before=before, **ENVIRONMENT, DATABASE_URL=url, **FEW | variables
        ) as server,
    ):
        yield server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of four threads in all."""
    with new_server(tmp_path_factory.mktemp("limits")) as server:
        yield server


@pytest.fixture
def narrow_server(tmp_path: Path) -> Iterator[Server]:
    """One that may open 200 descriptors and not one more."""
    with new_server(tmp_path, "bash", "-c", 'ulimit -n 200; exec "$@"', "bash") as server:
        yield server


def descriptors(server: Server) -> int:
    [worker] = workers(server)
    return len([*Path(f"/proc/{worker}/fd").iterdir()])


# As many as there are descriptors


@pytest.mark.parametrize("says", [b"", LAST], ids=["silent", "answered"])
def test_clients_beyond_the_descriptors_keep_nobody_out(narrow_server: Server, says: bytes) -> None:
    [worker] = workers(narrow_server)
    with ExitStack() as stack:
        for _ in range(300):
            client = stack.enter_context(connect(narrow_server))
            if says:
                client.sendall(says)
                with suppress(ConnectionError):
                    client.recv(1000)
        answers = [requests.get(f"{narrow_server.url}/readyz", timeout=20) for _ in range(5)]

        assert [answer.status_code for answer in answers] == [200] * 5
        assert descriptors(narrow_server) < 200

    assert workers(narrow_server) == {worker}
    assert "Traceback" not in narrow_server.log.read_text()


def test_a_client_that_is_being_served_is_not_given_up_for_others(narrow_server: Server) -> None:
    with ExitStack() as stack:
        served = stack.enter_context(connect(narrow_server))
        served.sendall(HEALTH[:20])
        time.sleep(0.2)
        for _ in range(300):
            stack.enter_context(connect(narrow_server))
        served.sendall(HEALTH[20:])

        assert served.recv(100).startswith(b"HTTP/1.1 200 ")


def test_who_had_the_last_answer_goes_before_who_has_asked_nothing_yet(
    narrow_server: Server,
) -> None:
    with ExitStack() as stack:
        newcomer = stack.enter_context(connect(narrow_server))
        for _ in range(300):
            client = stack.enter_context(connect(narrow_server))
            client.sendall(LAST)
            client.recv(1000)
        newcomer.sendall(HEALTH)

        assert newcomer.recv(100).startswith(b"HTTP/1.1 200 ")


def test_the_descriptors_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"now": (1024, 1024)}
    resource = "app.serving.worker.resource"
    monkeypatch.setattr(f"{resource}.getrlimit", lambda _: limits["now"])
    monkeypatch.setattr(f"{resource}.setrlimit", lambda _, new: limits.update(now=new))

    assert connections_that_fit(1000, threads=66) == 1024 - 64 - 4 * 66
    limits["now"] = (256, 256)
    assert connections_that_fit(1000, threads=66) == 64
    limits["now"] = (100_000, 100_000)
    assert connections_that_fit(1000, threads=66) == 1000


def test_the_soft_limit_is_raised_as_far_as_it_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"now": (256, 100_000)}
    resource = "app.serving.worker.resource"
    monkeypatch.setattr(f"{resource}.getrlimit", lambda _: limits["now"])
    monkeypatch.setattr(f"{resource}.setrlimit", lambda _, new: limits.update(now=new))

    assert connections_that_fit(1000, threads=4) == 1000
    assert limits["now"] == (1000 + 64 + 16, 100_000)


# Each wait has an end


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Socket, socket.socket]]:
    """The server's end of a connection and the client's, for servers of little patience."""
    monkeypatch.setattr(client_socket, "PATIENCE_SECONDS", 0.3)
    ours, theirs = socket.socketpair()
    connection = Socket(ours.family, ours.type, ours.proto, ours.detach())
    connection.slow_clients = threading.Semaphore(1)
    connection.expect_a_request()
    theirs.settimeout(10)
    yield connection, theirs
    connection.close()
    theirs.close()


Line = tuple[Socket, socket.socket]


def fill(connection: Socket) -> None:
    """Send until nothing more fits in."""
    with suppress(BlockingIOError):
        while True:
            socket.socket.send(connection, b"x" * 65536, socket.MSG_DONTWAIT)


def send_pieces(connection: Socket, number: int) -> None:
    for _ in range(number):
        connection.sendall(b"x" * 20_000)


def test_saying_continue_does_not_wait_for_ever(line: Line) -> None:
    connection, _ = line
    fill(connection)

    started = time.monotonic()
    with pytest.raises(ConnectionResetError):
        connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    assert time.monotonic() - started < 5


def test_a_client_that_takes_its_answer_drop_by_drop_is_hung_up_on(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection, theirs = line
    monkeypatch.setattr(client_socket, "PATIENCE_SECONDS", 1)
    monkeypatch.setattr(client_socket, "SLOWEST_BYTES_PER_SECOND", 10_000_000)
    fill(connection)
    over = threading.Event()

    def drip() -> None:
        while not over.wait(0.02):
            with suppress(OSError):
                theirs.recv(65_536)

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        started = time.monotonic()
        with pytest.raises(ConnectionResetError):
            send_pieces(connection, 1000)
    finally:
        over.set()
        thread.join()

    # Each piece for itself was taken in time.
    assert time.monotonic() - started < 5


def test_a_body_that_nobody_reads_may_be_broken(server: Server) -> None:
    before = len(server.log.read_text())
    head = HEALTH.replace(b"GET", b"POST").replace(
        b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    for chunks in (b"no size\r\n", b"2\r\n{}}\r\n", b"0\r\nBroken\n\r\n", b"5\r\nab"):
        with connect(server) as client:
            client.sendall(head + chunks)
            client.shutdown(socket.SHUT_WR)
            answer = b""
            with suppress(ConnectionError):
                while received := client.recv(65536):
                    answer += received

        assert answer.startswith(b"HTTP/1.1 405 ")
        assert answer.count(b"HTTP/1.1 ") == 1

    assert "Traceback" not in server.log.read_text()[before:]


def test_clients_that_expect_to_be_told_to_go_on_hold_no_thread(server: Server) -> None:
    head = (
        f"POST {API}/auth/login HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
        "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    ).encode()
    with ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(connect(server)).sendall(head)
        time.sleep(1)
        started = time.monotonic()

        assert requests.get(f"{server.url}/healthz", timeout=20).status_code == 200

    assert time.monotonic() - started < 3


# A client that closed its half of the connection


def login(password: str, version: str = "1.1") -> bytes:
    body = f'{{"username": "ada", "password": "{password}"}}'
    return (
        f"POST {API}/auth/login HTTP/{version}\r\nHost: localhost\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize(("password", "status"), [(PASSWORD, 200), ("wrong", 401)])
def test_a_client_that_sends_no_more_gets_its_answer(
    server: Server, version: str, password: str, status: int
) -> None:
    with connect(server) as client:
        client.sendall(login(password, version))
        client.shutdown(socket.SHUT_WR)
        answer = b""
        while received := client.recv(65536):
            answer += received

    assert answer.startswith(f"HTTP/{version} {status} ".encode())
    assert answer.count(b"HTTP/1.") == 1


def test_a_client_that_hung_up_is_told_from_one_that_sends_no_more(line: Line) -> None:
    connection, theirs = line
    theirs.shutdown(socket.SHUT_WR)

    assert connection.still_reads()
    assert connection.still_reads()
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    connection.sendall(b"HTTP/1.1")
    assert theirs.recv(100) == b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1"
    theirs.close()
    assert not connection.still_reads()


def test_the_first_bytes_are_those_of_every_answer(line: Line) -> None:
    assert b"HTTP/1.0 200 OK".startswith(BEGINNING)
    assert b"HTTP/1.1 200 OK".startswith(BEGINNING)


# At the end of a connection, and of the worker


def test_a_client_that_does_not_hang_up_after_its_last_answer_is_dropped(server: Server) -> None:
    before = until(lambda: descriptors(server))
    with ExitStack() as stack:
        for _ in range(10):
            client = stack.enter_context(connect(server))
            client.sendall(LAST)
            while client.recv(65536):
                pass
        assert descriptors(server) >= before + 5

        until(lambda: descriptors(server) <= before + 2, patience=10)


def test_a_client_that_hangs_up_after_its_last_answer_is_let_go_at_once(line: Line) -> None:
    connection, theirs = line
    worker, client = Worker.__new__(Worker), Client.__new__(Client)
    worker.leaving, worker.poller = deque(), selectors.DefaultSelector()
    client.sock = connection

    def hear_out() -> None:
        [(key, _)] = worker.poller.select(timeout=10)
        key.data(client.sock)

    with worker.poller:
        worker._take_leave(client)
        theirs.sendall(b"the rest of what it had to say")
        hear_out()
        assert [*worker.leaving] == [client]

        theirs.close()
        hear_out()
        assert [*worker.leaving] == []
        assert connection.fileno() == -1
        assert not worker.poller.get_map()


def test_a_client_that_has_said_nothing_holds_up_no_stop(tmp_path: Path) -> None:
    with new_server(tmp_path) as server, connect(server):
        time.sleep(0.5)
        started = time.monotonic()
        server.process.send_signal(signal.SIGTERM)

        assert server.process.wait(timeout=30) == 0

    # A new client has 15 seconds to begin; a worker that stops gives it two.
    assert time.monotonic() - started < 9
