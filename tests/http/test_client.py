"""The client of a request, and whether it still waits for the answer."""

import json
import re
import select
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from flask import Flask

from app.http import client
from app.http.client import Client
from tests.conftest import ENVIRONMENT
from tests.factories import API, PASSWORD
from tests.servers import Server, serving
from tests.serving.test_serving import new_database
from tests.waiting import until


@pytest.fixture
def line() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The server's end of a connection, and the client's."""
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


Line = tuple[socket.socket, socket.socket]


def is_connected(app: Flask, connection: socket.socket | None) -> bool:
    """What is known of a caller who came by that connection."""
    environ = {} if connection is None else {"gunicorn.socket": connection}
    with app.test_request_context("/", environ_overrides=environ):
        return client.current().is_connected()


def test_a_client_that_says_nothing_more_is_there(app: Flask, line: Line) -> None:
    ours, _ = line

    assert is_connected(app, ours)


def test_a_client_that_hung_up_is_not_there(app: Flask, line: Line) -> None:
    ours, theirs = line

    theirs.close()

    assert not is_connected(app, ours)


def test_what_a_client_sent_ahead_is_left_to_be_read(app: Flask, line: Line) -> None:
    ours, theirs = line
    theirs.sendall(b"GET /healthz")

    assert is_connected(app, ours)
    assert is_connected(app, ours)
    assert ours.recv(100) == b"GET /healthz"


def test_a_connection_that_is_closed_on_our_side_has_nobody(app: Flask, line: Line) -> None:
    ours, _ = line

    ours.close()

    assert not is_connected(app, ours)


def test_where_there_is_no_connection_to_look_at_somebody_is_there(app: Flask) -> None:
    assert is_connected(app, None)


def test_outside_a_request_nothing_is_known_of_a_client_and_it_counts_as_connected(
    app: Flask,
) -> None:
    with app.app_context():
        nobody = client.current()

    assert nobody == Client()
    assert (nobody.ip, nobody.user_agent, nobody.request_id) == (None, None, None)
    assert nobody.network == "unknown"
    assert nobody.is_connected()


def test_the_client_of_a_request_has_an_address_a_program_and_an_id(app: Flask) -> None:
    headers = {"User-Agent": "Browser/1.0", "X-Request-ID": "the-request"}
    where = {"REMOTE_ADDR": "2001:db8::1"}

    with app.test_request_context("/", headers=headers, environ_overrides=where):
        asking = client.current()

    assert (asking.ip, asking.user_agent) == ("2001:db8::1", "Browser/1.0")
    assert asking.network == "2001:db8::/64"
    assert asking.request_id == "the-request"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("", None),
        ("Browser/1.0\u202e (x)", "Browser/1.0 (x)"),
        ("a\x7fb", "ab"),
        ("浏览器 1.0", "浏览器 1.0"),
        ("x" * 700, "x" * 300),
        ("\x7f" * 600 + "x", None),
    ],
)
def test_a_user_agent_loses_its_control_characters_and_is_cut(
    app: Flask, sent: str, kept: str | None
) -> None:
    with app.test_request_context("/", environ_overrides={"HTTP_USER_AGENT": sent}):
        assert client.current().user_agent == kept


# Behind a real gunicorn


@pytest.fixture
def slow_server(tmp_path: Path) -> Iterator[Server]:
    """A server that hashes one password at a time, as slowly as by default."""
    variables = ENVIRONMENT | {"BCRYPT_ROUNDS": "12", "WEB_CONCURRENCY": "1"}
    with (
        new_database("sqlite", tmp_path, BCRYPT_ROUNDS="12") as url,
        serving(tmp_path / "log", **variables, DATABASE_URL=url, HASH_CONCURRENCY="1") as server,
    ):
        yield server


def refused_because(server: Server, reason: str) -> int:
    text = requests.get(f"{server.url}/metrics", timeout=30).text
    found = re.search(rf'password_hashes_refused_total{{reason="{reason}"}} ([0-9]+)', text)
    return int(found[1]) if found else 0


def test_logins_whose_clients_hung_up_are_not_hashed(slow_server: Server) -> None:
    port = int(slow_server.url.rpartition(":")[2])
    body = json.dumps({"username": "ada", "password": PASSWORD}).encode()
    login = (
        f"POST {API}/auth/login HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    waiting = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(6)]
    for connection in waiting:
        connection.sendall(login)
    # Whichever of them comes first.
    [answered, *_], _, _ = select.select(waiting, [], [], 20)
    assert answered.recv(100).startswith(b"HTTP/1.1 200 ")

    for connection in waiting:
        connection.close()

    # One or two were answered, and one is being hashed; the others have gone.
    until(lambda: refused_because(slow_server, "left") >= 2)
