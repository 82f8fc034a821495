"""A client's connection, for gunicorn's threads. Every wait on it has a limit."""

import errno
import socket
import threading
from collections.abc import Iterator
from select import POLLIN, poll
from time import monotonic
from typing import Any

from gunicorn.http.body import ChunkedReader
from gunicorn.http.errors import ParseException

# From the first byte of a request to its last; 64 KiB take 6 s on a line of 100 kbit/s.
PATIENCE_SECONDS = 15
# A client whose request takes longer than this counts as slow.
GRACE_SECONDS = 0.05
# The server closes the connection of a client that reads its answer more slowly than this.
SLOWEST_BYTES_PER_SECOND = 4096
# The first bytes of every answer.
BEGINNING = b"HTTP/1."
# A packet's way to a client and back takes about this long.
ROUND_TRIP_MILLISECONDS = 50

# A body in chunks may come in so many pieces of any size. If there are more, they must have so many
# bytes on average: 64 KiB in chunks of one byte would take 0.2 s.
PIECES_OF_ANY_SIZE = 1000
LEAST_BYTES_OF_A_PIECE = 32


class Socket(socket.socket):
    """A client's connection, which waits for the client only for a limited time.

    Raises ``ConnectionResetError`` if the client is too slow: gunicorn then
    drops the connection without an error in the log.
    """

    slow_clients: threading.Semaphore
    expected_at: float = 0
    deadline: float = 0
    # The client must have read the answer by then; 0 while the client keeps up.
    taken_by: float = 0
    has_begun: bool = False

    def expect_a_request(self) -> None:
        """Start the clock for the next request."""
        self.expected_at = monotonic() + GRACE_SECONDS
        self.deadline = monotonic() + PATIENCE_SECONDS
        self.taken_by = 0

    def setblocking(self, flag: bool) -> None:
        """Do nothing: each call here says by itself that it does not block.

        gunicorn switches between both modes with every request, and each
        switch lets all other threads run first.
        """

    def settimeout(self, seconds: float | None) -> None:
        """Wait no longer than that for the rest of this request."""
        if seconds is not None:
            self.deadline = min(self.deadline, monotonic() + seconds)

    def recv(self, size: int, flags: int = 0) -> bytes:
        try:
            return self.recv_at_once(size, flags)
        except BlockingIOError:
            self._wait()
            return self.recv_at_once(size, flags)

    def recv_at_once(self, size: int, flags: int = 0) -> bytes:
        """Read the bytes that have come. Raises ``BlockingIOError`` if there are none."""
        return super().recv(size, flags | socket.MSG_DONTWAIT)

    def send(self, data: Any, flags: int = 0) -> int:
        """Send all. gunicorn sends ``100 Continue`` with this, and would wait without a limit."""
        self.sendall(data, flags)
        return len(data)

    def sendall(self, data: Any, flags: int = 0) -> None:
        if self.has_begun:
            self.has_begun, data = False, data[len(BEGINNING) :]
        try:
            sent = super().send(data, flags | socket.MSG_DONTWAIT)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            with _one_of(self.slow_clients):
                super().settimeout(self._seconds_to_take(len(data) - sent))
                try:
                    super().sendall(memoryview(data)[sent:], flags)
                except TimeoutError:
                    raise _too_slow() from None
                finally:
                    super().settimeout(None)

    def still_reads(self) -> bool:
        """Whether a client that sends no more still waits for its answer.

        Call it before there is an answer. A client that hung up looks the
        same, until something is sent to it. So the first bytes of the answer
        are sent early: the system of a client that hung up refuses them.
        """
        try:
            if not self.has_begun:
                self.has_begun = super().send(BEGINNING, socket.MSG_DONTWAIT) == len(BEGINNING)
        except BlockingIOError:
            return True
        except OSError:
            return False
        refused = poll()
        # It asks for no event, because poll always reports errors.
        refused.register(self, 0)
        return not refused.poll(ROUND_TRIP_MILLISECONDS)

    def _seconds_to_take(self, size: int) -> float:
        now = monotonic()
        self.taken_by = (self.taken_by or now + PATIENCE_SECONDS) + size / SLOWEST_BYTES_PER_SECOND
        if self.taken_by <= now:
            raise _too_slow()
        return self.taken_by - now

    def _wait(self) -> None:
        """Wait until there is something to read."""
        ready = poll()
        ready.register(self, POLLIN)
        if ready.poll(_milliseconds_until(self.expected_at)):
            return
        with _one_of(self.slow_clients):
            if not ready.poll(_milliseconds_until(self.deadline)):
                raise _too_slow()


class _one_of:  # noqa: N801 — reads as the words it is
    """One of the places for slow clients. Refuses the client if all places are taken."""

    def __init__(self, places: threading.Semaphore) -> None:
        self._places = places

    def __enter__(self) -> None:
        if not self._places.acquire(blocking=False):
            raise _too_slow()

    def __exit__(self, *_: object) -> None:
        self._places.release()


def _milliseconds_until(instant: float) -> int:
    return max(0, int((instant - monotonic()) * 1000))


def _too_slow() -> ConnectionResetError:
    return ConnectionResetError(errno.ECONNRESET, "the client was too slow")


class Chunks:
    """A body in chunks. Wrong chunks are the client's fault, and not an error of ours."""

    def __init__(self, reader: ChunkedReader) -> None:
        self._reader = reader
        reader.parser = _not_too_small(reader.parser)

    def read(self, size: int) -> Any:
        try:
            return self._reader.read(size)
        except ParseException:
            # Werkzeug takes an OSError while it reads for a client that went away, and answers 400.
            # gunicorn, which reads the rest of an unread body, does not log this one as an error.
            reason = "the chunks are broken or too small"
            raise ConnectionResetError(errno.ECONNRESET, reason) from None


def _not_too_small(pieces: Iterator[bytes]) -> Iterator[bytes]:
    size = 0
    for number, piece in enumerate(pieces, 1):
        size += len(piece)
        if number > PIECES_OF_ANY_SIZE and size < number * LEAST_BYTES_OF_A_PIECE:
            raise ParseException
        yield piece
