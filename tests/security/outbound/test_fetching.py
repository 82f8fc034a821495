"""Calls to other servers, and what a hostile one may try."""

import gzip
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, current_app

from app.security.outbound import connection, fetching
from app.security.outbound.fetching import OutboundFailed, fetch
from config import Settings
from tests.cases import each
from tests.conftest import ENVIRONMENT
from tests.security.outbound.strangers import (
    Behave,
    Names,
    Stranger,
    answering,
    make_certificate,
    serving,
)

# Loopback is allowed in every test here that does not say otherwise.
ALLOWED = "127.0.0.0/8,::1"


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    """An application that has settings, and nothing else."""
    app = Flask(__name__)
    app.config["SETTINGS"] = Settings.from_environment(ENVIRONMENT | {"OUTBOUND_ALLOW": ALLOWED})
    with app.app_context():
        yield


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    found = Names()
    monkeypatch.setattr(socket, "getaddrinfo", found.getaddrinfo)
    return found


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The certificate of provider.test, which this process trusts."""
    file = make_certificate(tmp_path, "provider.test", "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    connection.tls.cache_clear()
    yield file
    connection.tls.cache_clear()


def allow(*networks: str) -> None:
    config = current_app.config
    found = [ip_network(network) for network in networks]
    config["SETTINGS"] = replace(config["SETTINGS"], outbound_allow=found)


def refused(url: str, **options: Any) -> OutboundFailed:
    with pytest.raises(OutboundFailed) as failure:
        fetch(url, **options)
    return failure.value


# What a call is


def test_a_call_says_what_the_server_answered() -> None:
    with serving(answering(b"hello", "404 Not Found", "X-Word: No")) as stranger:
        answer = fetch(f"http://127.0.0.1:{stranger.port}/a/b?c=d%20e")

    assert (answer.status, answer.body, answer.headers["x-word"]) == (404, b"hello", "No")
    assert stranger.requests[0].startswith(b"GET /a/b?c=d%20e HTTP/1.1\r\n")
    assert b"\r\nAccept-Encoding: identity\r\n" in stranger.requests[0]


def test_a_form_can_be_posted() -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    with serving(answering(b"{}")) as stranger:
        url = f"http://127.0.0.1:{stranger.port}"
        answer = fetch(url, method="POST", headers=headers, body=b"code=1&state=2")

    head, _, body = stranger.requests[0].partition(b"\r\n\r\n")
    assert answer.body == b"{}"
    assert head.startswith(b"POST / HTTP/1.1\r\n")
    assert {b"Content-Length: 14", b"Accept: application/json"} <= set(head.split(b"\r\n"))
    assert body == b"code=1&state=2"


def test_the_name_is_for_tls_and_the_host_header(names: Names, certificate: Path) -> None:
    names.answers["provider.test"] = [["127.0.0.1"]]
    with serving(answering(), certificate=certificate) as stranger:
        answer = fetch(f"https://provider.test:{stranger.port}/")

    assert answer.body == b"hello"
    assert stranger.server_names == ["provider.test"]
    assert f"\r\nHost: provider.test:{stranger.port}\r\n".encode() in stranger.requests[0]


@pytest.mark.parametrize("header", ["Host", "connection", "Content-Length", "TRANSFER-ENCODING"])
def test_a_caller_cannot_set_what_belongs_to_the_connection(header: str) -> None:
    with pytest.raises(ValueError, match="set by the connection"):
        fetch("https://127.0.0.1/", headers={header: "1"})


@pytest.mark.parametrize("value", ["a\r\nHost: other", "a\nb", "a\r\n\r\nGET /"])
def test_a_header_cannot_hold_another_one(value: str) -> None:
    with serving(answering()) as stranger, pytest.raises(ValueError):
        fetch(f"http://127.0.0.1:{stranger.port}/", headers={"X-Word": value})

    assert stranger.requests in ([], [b"\r\n\r\n"])


# Where it may go


@pytest.mark.parametrize(
    "url",
    [
        "",
        "provider.test",
        "//provider.test/",
        "/path",
        "https://",
        "https:///path",
        "ftp://provider.test/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_FLUSHALL",
        "unix:///run/redis.sock",
        "https://ada@provider.test/",
        "https://ada:secret@provider.test/",
        "https://provider.test@127.0.0.1/",
        "https://provider.test#@127.0.0.1/",
        "https://provider.test/#part",
        "https://provider.test\\@127.0.0.1/",
        "https://provider.test/ HTTP/1.1",
        "https://provider.test/\r\nX-Word: no",
        "https://provider.test/\tpath",
        "https://provider.test:0/",
        "https://provider.test:65536/",
        "https://provider.test:port/",
        "https://[::1/",
        "https://pröv.test/",
        "https://ⓛⓞⓒⓐⓛ.test/",
        "https://provider.test/" + "a" * 2048,
    ],
)
def test_a_url_that_can_be_read_in_two_ways_is_refused(url: str, names: Names) -> None:
    assert refused(url).reason == "bad_url"
    assert names.asked == []


# This machine, the link, and the services of clouds that give away passwords of their machines. The
# resolver of the system reads all of these, and none of them may reach anybody.
SPELLINGS = [
    *["127.0.0.1", "127.1", "127.0.1", "2130706433", "127.000.000.001"],
    *["0x7f000001", "0x7f.0.0.1", "0x7f.1", "0X7F.0x0.0x0.0x1", "0x7F000001"],
    *["0177.0.0.1", "017700000001", "0177.1", "127.0x0.01", "127.255.255.254"],
    *["0", "0.0.0.0", "0x0", "127.0.0.1:80@127.0.0.1", "1.1.1.1%2f@127.0.0.1"],
    *["[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[0000::0001]", "[::0.0.0.1]", "[::127.0.0.1]"],
    *["[::ffff:127.0.0.1]", "[::FFFF:7F00:1]", "[0:0:0:0:0:ffff:7f00:0001]", "[::ffff:0:0]"],
    *["[64:ff9b::7f00:1]", "[64:ff9b::127.0.0.1]", "[2002:7f00:1::]", "[fe80::1%25lo]"],
    *["169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518"],
    *["[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "[64:ff9b::a9fe:a9fe]", "[fd00:ec2::254]"],
    *["100.100.100.200", "168.63.129.16", "192.0.0.192", "255.255.255.255", "224.0.0.1"],
]
# What looks like an address to some, and is a name to the resolver; and names for inner addresses.
NAMES = [
    *["localhost", "LOCALHOST", "localhost.", "127.0.0.1.", "127.0.0.1.nip.test"],
    *["%31%32%37.0.0.1", "127%2e0%2e0%2e1", "127.0.0.1%00.provider.test", "0x7f.0.0.0x1.test"],
    *["metadata.google.internal", "instance-data", "kubernetes.default.svc"],
]


def test_an_inner_address_is_refused_in_every_spelling(monkeypatch: pytest.MonkeyPatch) -> None:
    allow()
    connected: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda _socket, place: connected.append(place))

    @each("host", SPELLINGS)
    def is_refused(host: str) -> None:
        assert refused(f"https://{host}/").reason in ("not_allowed", "unreachable", "bad_url")

    is_refused()
    assert connected == []


def test_a_name_of_an_inner_address_is_refused(names: Names) -> None:
    allow()
    names.answers = {name.lower(): [["127.0.0.1"]] for name in NAMES}

    @each("name", NAMES)
    def is_refused(name: str) -> None:
        assert refused(f"https://{name}/").reason == "not_allowed"

    is_refused()


def test_an_inner_address_is_refused_in_signs_that_mean_digits() -> None:
    """A library that normalises a name reads an address here."""
    for host in ("①②⑦.⓪.⓪.①", "127。0。0。1", "１２７.0.0.1", "[::１]"):
        assert refused(f"https://{host}/").reason == "bad_url"


@pytest.mark.parametrize(
    "addresses",
    [
        ["10.0.0.1"],
        ["1.1.1.1", "10.0.0.1"],
        ["10.0.0.1", "1.1.1.1"],
        ["1.1.1.1", "2606:4700::1111", "::ffff:169.254.169.254"],
        ["fe80::1%eth0"],
    ],
)
def test_one_inner_address_of_a_name_is_enough_to_refuse_it(
    addresses: list[str], names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda _socket, place: connected.append(place))
    names.answers["provider.test"] = [addresses]

    assert refused("https://provider.test/").reason == "not_allowed"
    assert connected == []


def test_the_address_that_was_checked_is_the_one_that_is_called(names: Names) -> None:
    with (
        serving(answering(b"good")) as good,
        serving(answering(b"bad"), address="127.0.0.2", port=good.port) as bad,
    ):
        # The second answer is for whoever asks again (DNS rebinding).
        names.answers["provider.test"] = [["127.0.0.1"], ["127.0.0.2"]]

        answer = fetch(f"http://provider.test:{good.port}/")
        asked = list(names.asked)

    assert (answer.body, bad.connections) == (b"good", 0)
    assert asked == ["provider.test"]


def test_http_is_for_allowed_networks_alone(names: Names) -> None:
    names.answers["provider.test"] = [["1.1.1.1"]]

    assert refused("http://provider.test/").reason == "not_allowed"


def test_http_is_refused_if_one_address_is_outside_the_allowed_networks(names: Names) -> None:
    names.answers["provider.test"] = [["127.0.0.1", "1.1.1.1"]]

    assert refused("http://provider.test/").reason == "not_allowed"


def test_an_allowed_network_may_be_called_with_and_without_tls(
    names: Names, certificate: Path
) -> None:
    names.answers["provider.test"] = [["127.0.0.1"]]
    with serving(answering()) as plain, serving(answering(), certificate=certificate) as secure:
        allow("127.0.0.1/32")

        assert fetch(f"http://provider.test:{plain.port}/").status == 200
        assert fetch(f"https://provider.test:{secure.port}/").status == 200


def test_another_address_is_tried_where_one_does_not_answer(names: Names) -> None:
    with serving(answering()) as stranger:
        names.answers["provider.test"] = [["127.0.0.3", "127.0.0.2", "127.0.0.1"]]

        assert fetch(f"http://provider.test:{stranger.port}/").body == b"hello"


def test_only_the_first_addresses_are_tried(names: Names) -> None:
    with serving(answering()) as stranger:
        dead = [f"127.0.0.{number}" for number in range(2, 2 + connection.MAX_TRIED)]
        names.answers["provider.test"] = [[*dead, "127.0.0.1"]]

        assert refused(f"http://provider.test:{stranger.port}/").reason == "unreachable"


def test_an_address_of_version_6_is_called() -> None:
    with serving(answering(), address="::1") as stranger:
        assert fetch(f"http://[::1]:{stranger.port}/").body == b"hello"

    assert f"\r\nHost: [::1]:{stranger.port}\r\n".encode() in stranger.requests[0]


@pytest.mark.parametrize(
    ("status", "place"),
    [
        ("301 Moved Permanently", "http://127.0.0.1:6379/"),
        ("302 Found", "https://provider.test/"),
        ("303 See Other", "/"),
        ("307 Temporary Redirect", "file:///etc/passwd"),
        ("308 Permanent Redirect", "//[::1]/"),
        ("302 Found", "http://169.254.169.254/latest/meta-data/"),
    ],
)
def test_a_redirect_is_not_followed(status: str, place: str) -> None:
    with serving(answering(b"", status, f"Location: {place}")) as stranger:
        assert refused(f"http://127.0.0.1:{stranger.port}/").reason == "redirect"

    assert stranger.connections == 1


@pytest.mark.parametrize("name", ["http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"])
def test_a_proxy_of_the_environment_is_not_used(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(answering(b"proxy")) as proxy, serving(answering(b"direct")) as stranger:
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("no_proxy", "")

        assert fetch(f"http://127.0.0.1:{stranger.port}/").body == b"direct"

    assert proxy.connections == 0


# TLS


def test_a_certificate_for_another_name_is_refused(names: Names, certificate: Path) -> None:
    names.answers["other.test"] = [["127.0.0.1"]]
    with serving(answering(), certificate=certificate) as stranger:
        assert refused(f"https://other.test:{stranger.port}/").reason == "bad_certificate"

    assert stranger.requests == []


def test_a_certificate_that_nobody_vouches_for_is_refused(names: Names, tmp_path: Path) -> None:
    names.answers["provider.test"] = [["127.0.0.1"]]
    unknown = make_certificate(tmp_path, "provider.test")
    with serving(answering(), certificate=unknown) as stranger:
        assert refused(f"https://provider.test:{stranger.port}/").reason == "bad_certificate"

    assert stranger.requests == []


def test_a_server_that_does_not_speak_tls_is_refused(certificate: Path) -> None:
    with serving(answering()) as stranger:
        failure = refused(f"https://127.0.0.1:{stranger.port}/", seconds=2)

    assert failure.reason in ("bad_certificate", "unreachable", "too_slow")


# How long, and how much


def drip(connection: socket.socket, _request: bytes) -> None:
    """Send a body that never ends, a byte at a time: no pause is long."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    _send_for_ever(connection, b"x", 0.05)


def drip_headers(connection: socket.socket, _request: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Word: ")
    _send_for_ever(connection, b"x", 0.05)


def drip_chunks(connection: socket.socket, _request: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    _send_for_ever(connection, b"1\r\nx\r\n", 0.05)


def drip_continue(connection: socket.socket, _request: bytes) -> None:
    _send_for_ever(connection, b"HTTP/1.1 100 Continue\r\n\r\n", 0.05)


def say_nothing(connection: socket.socket, _request: bytes) -> None:
    connection.recv(1)


def _send_for_ever(connection: socket.socket, piece: bytes, pause: float) -> None:
    # Whoever hangs up ends it; if nobody does, the test has failed long since.
    for _ in range(400):
        connection.sendall(piece)
        time.sleep(pause)


@pytest.mark.parametrize("behave", [say_nothing, drip, drip_headers, drip_chunks, drip_continue])
def test_a_slow_server_is_left_when_the_time_is_over(behave: Behave) -> None:
    with serving(behave) as stranger:
        began = time.monotonic()
        failure = refused(f"http://127.0.0.1:{stranger.port}/", seconds=0.5)
        took = time.monotonic() - began

    assert failure.reason == "too_slow"
    assert 0.4 < took < 3


def test_a_server_that_never_reads_is_left_too() -> None:
    def read_nothing(_connection: socket.socket, _request: bytes) -> None:
        time.sleep(1.5)

    with serving(read_nothing) as stranger:
        failure = refused(
            f"http://127.0.0.1:{stranger.port}/",
            method="POST",
            body=b"x" * 2**24,
            headers={"X-Unread": "x"},
            seconds=0.5,
        )

    assert failure.reason in ("too_slow", "unreachable")


def test_a_server_that_does_not_accept_is_left_when_the_time_to_connect_is_over(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "SECONDS_TO_CONNECT", 0.5)
    with serving_nobody() as port:
        names.answers["provider.test"] = [["127.0.0.1"]]
        began = time.monotonic()
        failure = refused(f"https://provider.test:{port}/")
        took = time.monotonic() - began

    assert failure.reason == "too_slow"
    assert 0.4 < took < 3


def test_a_look_up_that_hangs_is_left_and_does_not_take_every_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    goes_on = threading.Event()

    def hang(*_: Any, **__: Any) -> list[Any]:
        goes_on.wait(20)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    monkeypatch.setattr(connection, "LOOK_UPS", threading.BoundedSemaphore(1))
    began = time.monotonic()
    first, second = (refused("https://provider.test/", seconds=0.3) for _ in range(2))
    took = time.monotonic() - began

    assert (first.reason, second.reason) == ("too_slow", "too_slow")
    assert 0.5 < took < 5
    goes_on.set()
    assert connection.LOOK_UPS.acquire(timeout=5)


def test_a_thread_that_cannot_start_takes_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(connection, "LOOK_UPS", threading.BoundedSemaphore(1))
    monkeypatch.setattr(threading.Thread, "start", refuse)

    reasons = [refused("https://provider.test/", seconds=1).reason for _ in range(2)]

    assert reasons == ["unreachable", "unreachable"]


@pytest.mark.parametrize("name", ["nobody.test", "a..test", "a" * 64 + ".test"])
def test_a_name_without_an_address_is_not_reachable(name: str, names: Names) -> None:
    if name != "nobody.test":
        names.getaddrinfo = _impossible  # type: ignore[method-assign]

    assert refused(f"https://{name}/").reason == "unreachable"


def _impossible(host: str, *_: Any, **__: Any) -> list[Any]:
    host.encode("idna")
    raise socket.gaierror


def test_a_body_of_the_largest_size_is_read() -> None:
    with serving(answering(b"x" * 1000)) as stranger:
        assert len(fetch(f"http://127.0.0.1:{stranger.port}/", max_bytes=1000).body) == 1000


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_larger_body_is_not(is_chunked: bool) -> None:
    def chunks(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        connection.sendall(b"3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n")

    with serving(chunks if is_chunked else answering(b"x" * 1001)) as stranger:
        failure = refused(f"http://127.0.0.1:{stranger.port}/", max_bytes=1000)

    assert failure.reason == "too_big"


def endless_body(connection: socket.socket, _request: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    _flood(connection, b"x" * 65536)


def endless_headers(connection: socket.socket, _request: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    _flood(connection, b"X-Word: " + b"x" * 60000 + b"\r\n")


def endless_chunk_lines(connection: socket.socket, _request: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    _flood(connection, b"1;" + b"x" * 60000 + b"\r\nx\r\n")


def endless_trailers(connection: socket.socket, _request: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")
    _flood(connection, b"X-Word: " + b"x" * 60000 + b"\r\n")


def endless_continue(connection: socket.socket, _request: bytes) -> None:
    _flood(connection, b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)


def _flood(connection: socket.socket, piece: bytes) -> None:
    sent = 0
    while sent < 2**26:
        sent += len(piece)
        connection.sendall(piece)


@pytest.mark.parametrize("is_announced", [False, True])
def test_of_100_mib_only_the_first_part_is_read(is_announced: bool) -> None:
    sent: list[int] = []

    def floods(connection: socket.socket, _request: bytes) -> None:
        length = b"Content-Length: 104857600\r\n" if is_announced else b""
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n")
        for _ in range(1600):
            connection.sendall(b"x" * 65536)
            sent.append(65536)

    with serving(floods) as stranger:
        failure = refused(f"http://127.0.0.1:{stranger.port}/")

    assert failure.reason == "too_big"
    # The rest of it is what the system keeps on both sides of a connection.
    assert sum(sent) < 16 * 2**20


@pytest.mark.parametrize(
    "behave",
    [endless_body, endless_headers, endless_chunk_lines, endless_trailers, endless_continue],
)
def test_a_server_that_never_ends_is_left_early(behave: Behave) -> None:
    with serving(behave) as stranger:
        failure = refused(f"http://127.0.0.1:{stranger.port}/", max_bytes=1000)

    assert failure.reason == "too_big"


def test_a_compressed_answer_is_refused() -> None:
    bomb = gzip.compress(b"\0" * 2**20)
    with serving(answering(bomb, "200 OK", "Content-Encoding: gzip")) as stranger:
        assert refused(f"http://127.0.0.1:{stranger.port}/").reason == "bad_answer"


def test_an_answer_that_is_cut_off_is_refused() -> None:
    def cut(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")

    def cut_chunk(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhello")

    for behave in (cut, cut_chunk):
        with serving(behave) as stranger:
            assert refused(f"http://127.0.0.1:{stranger.port}/").reason == "bad_answer"


@pytest.mark.parametrize(
    "answer", [b"", b"SSH-2.0-OpenSSH_9.6\r\n", b"-ERR unknown command\r\n", b"HTTP/9 200\r\n\r\n"]
)
def test_an_answer_of_another_protocol_is_refused(answer: bytes) -> None:
    with serving(lambda connection, _: connection.sendall(answer)) as stranger:
        failure = refused(f"http://127.0.0.1:{stranger.port}/")

    assert failure.reason in ("bad_answer", "unreachable")


def test_every_connection_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[socket.socket] = []
    connect = socket.socket.connect

    def noted(sock: socket.socket, place: Any) -> None:
        opened.append(sock)
        connect(sock, place)

    with serving(answering()) as good, serving(endless_body) as bad:
        monkeypatch.setattr(socket.socket, "connect", noted)
        fetch(f"http://127.0.0.1:{good.port}/")
        refused(f"http://127.0.0.1:{bad.port}/", max_bytes=1000)
        monkeypatch.undo()

    assert [sock.fileno() for sock in opened] == [-1, -1]


class serving_nobody:  # noqa: N801 — reads as the verb it is
    """A server whose queue is full, so that the next one waits for the connection."""

    def __enter__(self) -> int:
        self.listening = socket.socket()
        self.listening.bind(("127.0.0.1", 0))
        self.listening.listen(0)
        port: int = self.listening.getsockname()[1]
        self.waiting = [socket.socket() for _ in range(3)]
        for sock in self.waiting:
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", port))
        return port

    def __exit__(self, *_: object) -> None:
        for sock in (*self.waiting, self.listening):
            sock.close()


def test_a_stranger_is_a_server_like_others() -> None:
    """The servers of these tests do what they should; a caller of its own sees it."""
    with (
        serving(answering()) as stranger,
        socket.create_connection(("127.0.0.1", stranger.port)) as caller,
    ):
        caller.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        caller.settimeout(5)

        assert caller.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
    assert isinstance(stranger, Stranger)
