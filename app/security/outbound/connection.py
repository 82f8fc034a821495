"""A connection to an address that was checked, with one deadline for all that happens on it."""

import io
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import cache
from http.client import HTTPConnection
from threading import BoundedSemaphore, Thread
from typing import Any

# A name with more addresses than this is tried at the first ones alone.
MAX_TRIED = 4
# A look-up of a name has no time limit of its own. A thread that nobody waits for any longer lives
# on until the resolver gives up, so there may be only so many.
LOOK_UPS = BoundedSemaphore(16)

# What getaddrinfo returns of an address: the family of the socket, and where to connect.
Place = tuple[socket.AddressFamily, tuple[Any, ...]]


class TooMuch(Exception):
    """The server sends more than it may."""


class Deadline:
    """An instant by which something must have happened."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def left(self) -> float:
        """The seconds until then. Raises ``TimeoutError`` if there are none."""
        seconds = self._at - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        return seconds


def look_up(host: str, port: int, deadline: Deadline) -> list[Place]:
    """All addresses of the name. Raises ``OSError``, or ``UnicodeError`` for an impossible name."""
    if not LOOK_UPS.acquire(timeout=deadline.left()):
        raise TimeoutError
    found: Future[list[Place]] = Future()
    try:
        Thread(target=_look_up, args=(host, port, found), daemon=True).start()
    except RuntimeError as error:
        # The machine has no room for another thread, which alone would give the place back.
        LOOK_UPS.release()
        raise OSError(str(error)) from None
    return found.result(deadline.left())


def _look_up(host: str, port: int, found: "Future[list[Place]]") -> None:
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        found.set_result([(family, place) for family, _, _, _, place in answers])
    except Exception as error:
        found.set_exception(error)
    finally:
        LOOK_UPS.release()


class PinnedConnection(HTTPConnection):
    """HTTP to one of the given addresses. The name is used for TLS and ``Host`` alone.

    The name is not looked up again, as a second answer may differ from the
    one that was checked (DNS rebinding).
    """

    def __init__(
        self,
        host: str,
        port: int,
        places: Sequence[Place],
        *,
        is_tls: bool,
        connecting: Deadline,
        deadline: Deadline,
        max_received: int,
    ) -> None:
        self.default_port = 443 if is_tls else 80
        super().__init__(host, port)
        self._places = places[:MAX_TRIED]
        self._is_tls = is_tls
        self._connecting = connecting
        self._deadline = deadline
        self._max_received = max_received
        self._socket: socket.socket | None = None

    def connect(self) -> None:
        self._socket = self._first_that_answers()
        if self._is_tls:
            self._socket.settimeout(self._connecting.left())
            self._socket = tls().wrap_socket(self._socket, server_hostname=self.host)
        self.sock = _Timed(self._socket, self._deadline, self._max_received)

    def hang_up(self) -> None:
        """Close the socket. ``close`` comes before the body is read, so it does not do this."""
        if self._socket:
            self._socket.close()

    def _first_that_answers(self) -> socket.socket:
        """Connect to the first address that answers; each one gets its share of the time."""
        for place, others in zip(self._places, reversed(range(len(self._places))), strict=True):
            try:
                return _connected(place, self._connecting.left() / (others + 1))
            except OSError:
                if not others:
                    raise
        raise OSError("no address")


def _connected(place: Place, seconds: float) -> socket.socket:
    family, address = place
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(seconds)
        sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock


@cache
def tls() -> ssl.SSLContext:
    """Reading the certificates of the system takes 20 ms, so it is done once."""
    return ssl.create_default_context()


class _Timed:
    """What ``http.client`` uses of a socket.

    The time limit of a socket begins again with every piece. A server that
    sends one byte every few seconds would never reach it.
    """

    def __init__(self, sock: socket.socket, deadline: Deadline, max_received: int) -> None:
        self._sock = sock
        self._deadline = deadline
        self._max_received = max_received

    def sendall(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            self._sock.settimeout(self._deadline.left())
            left = left[self._sock.send(left) :]

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Received(self._receive, self._max_received))

    def close(self) -> None:
        """The response is still to be read; ``hang_up`` closes the socket."""

    def _receive(self, buffer: Any) -> int:
        self._sock.settimeout(self._deadline.left())
        return self._sock.recv_into(buffer)


class _Received(io.RawIOBase):
    """What the server sends: status, headers and body, and no more than that many bytes."""

    def __init__(self, receive: Callable[[Any], int], most: int) -> None:
        super().__init__()
        self._receive = receive
        self._left = most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._receive(buffer)
        self._left -= count
        if self._left < 0:
            raise TooMuch
        return count
