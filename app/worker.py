"""gunicorn's threaded worker: slow clients cannot take all threads, and stopping loses no request.

A request takes up a thread from its first byte to the last of its answer.
So only half of the threads ever wait for clients who let others wait, and
each of them not for long; who comes on top is hung up on. A proxy that reads
requests whole before it passes them on is never slow.
"""

import ctypes
import errno
import os
import selectors
import signal
import socket
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from select import POLLIN, poll
from time import monotonic
from typing import Any

from gunicorn import util
from gunicorn.http.body import ChunkedReader
from gunicorn.http.errors import ParseException
from gunicorn.workers import gthread

# From the first byte of a request to its last; 64 KiB take 6 s on a line of 100 kbit/s.
PATIENCE_SECONDS = 15
# What a request may take of that before its client counts as slow.
GRACE_SECONDS = 0.05
# How long a client has to hang up after its last answer.
LAST_CALL_SECONDS = 2
# gunicorn kills a worker that has said nothing for its ``timeout``, a minute.
NOTIFY_SECONDS = 1

# What may stop a worker, and must wait until it listens to signals by itself. The master waits
# with it, until the worker is forked off.
STOPPING = (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT)
os.register_at_fork(
    after_in_parent=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING),
)

# The system's own ``accept``. Python's lets all other threads run before it returns.
_accept_at_once = ctypes.PyDLL(None).accept


class Socket(socket.socket):
    """A client's end of the line, which does not wait for it without limit.

    Raises ``ConnectionResetError`` where the client is too slow: gunicorn
    then drops the connection without a fuss.
    """

    slow_clients: threading.Semaphore
    expected_at: float = 0
    deadline: float = 0

    def expect_a_request(self) -> None:
        """From now on the time runs."""
        self.expected_at = monotonic() + GRACE_SECONDS
        self.deadline = monotonic() + PATIENCE_SECONDS

    def setblocking(self, flag: bool) -> None:
        """Nothing: each call says by itself that it does not block.

        gunicorn switches to and fro with every request, and each time lets
        all other threads run first.
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
        """What is there. Raises ``BlockingIOError`` where nothing is."""
        return super().recv(size, flags | socket.MSG_DONTWAIT)

    def sendall(self, data: Any, flags: int = 0) -> None:
        try:
            sent = self.send(data, flags | socket.MSG_DONTWAIT)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            with _one_of(self.slow_clients):
                super().settimeout(PATIENCE_SECONDS)
                try:
                    super().sendall(memoryview(data)[sent:], flags)
                except TimeoutError:
                    raise _too_slow() from None
                finally:
                    super().settimeout(None)

    def _wait(self) -> None:
        """Until there is something to read."""
        ready = poll()
        ready.register(self, POLLIN)
        if ready.poll(_milliseconds_until(self.expected_at)):
            return
        with _one_of(self.slow_clients):
            if not ready.poll(_milliseconds_until(self.deadline)):
                raise _too_slow()


class _one_of:  # noqa: N801 — reads as the words it is
    """A place among those who may be slow, if there is one."""

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
    """A body in chunks. What is wrong with them is the client's fault, and no bug of ours."""

    def __init__(self, reader: ChunkedReader) -> None:
        self._reader = reader

    def read(self, size: int) -> Any:
        try:
            return self._reader.read(size)
        except ParseException:
            # Werkzeug takes an OSError while it reads for a client that went away: 400.
            raise ConnectionAbortedError(errno.ECONNABORTED, "the chunks are broken") from None


class Client(gthread.TConn):  # type: ignore[misc]  # gunicorn has no types
    """A connection that is closed without waiting in the one thread that listens to all."""

    take_leave: Callable[["Client"], None]

    def close(self, graceful: bool = False) -> None:
        if graceful:
            self.take_leave(self)
        else:
            util.close(self.sock)


class Worker(gthread.ThreadWorker):  # type: ignore[misc]
    """The worker that ``gunicorn.conf.py`` names."""

    sockets: list[Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """In the master, which forks right afterwards.

        A worker begins with the master's way to take a signal: note it, and do
        it later. Of what stopped it then nothing would be known any more, and
        it would serve on until it is killed.
        """
        super().__init__(*args, **kwargs)
        self.slow_clients = threading.Semaphore(max(1, self.cfg.threads // 2))
        # Those who have had their last answer, and have not hung up yet.
        self.leaving: deque[Client] = deque()
        self._notify_at = 0.0
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)

    def init_signals(self) -> None:
        super().init_signals()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)

    def notify(self) -> None:
        """Say that this worker lives: once a second, and not at each event."""
        if monotonic() >= self._notify_at:
            self._notify_at = monotonic() + NOTIFY_SECONDS
            super().notify()

    def accept(self, listener: Any) -> None:
        """Take a connection; a thread takes it up when its first byte has come."""
        try:
            accepted, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        self._take(accepted, address, listener.getsockname())

    def _take(self, accepted: socket.socket, address: Any, here: Any) -> None:
        connection = Socket(accepted.family, accepted.type, accepted.proto, accepted.detach())
        connection.slow_clients = self.slow_clients
        client = Client(self.cfg, connection, address, here)
        client.take_leave = self._take_leave
        client.timeout = monotonic() + PATIENCE_SECONDS
        self.nr_conns += 1
        self.pending_conns.append(client)
        ready = partial(self.on_pending_socket_readable, client)
        self.poller.register(connection, selectors.EVENT_READ, ready)

    def handle(self, conn: Client) -> Any:
        """Answer one request, in a thread; say whether there may be another."""
        conn.sock.expect_a_request()
        return super().handle(conn)

    def handle_request(self, req: Any, conn: Client) -> Any:
        if isinstance(req.body.reader, ChunkedReader):
            req.body.reader = Chunks(req.body.reader)
        return super().handle_request(req, conn)

    def _take_leave(self, client: Client) -> None:
        """Say that there will be no more, and listen until the client has hung up.

        Closing at once would take back the answer where part of the request is
        unread (RFC 9112 §9.6).
        """
        try:
            client.sock.shutdown(socket.SHUT_WR)
        except OSError:
            util.close(client.sock)
            return
        client.timeout = monotonic() + LAST_CALL_SECONDS
        self.leaving.append(client)
        hear_out = partial(self._hear_out, client)
        self.poller.register(client.sock, selectors.EVENT_READ, hear_out)

    def _hear_out(self, client: Client, _: object) -> None:
        try:
            if client.sock.recv_at_once(65536):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self.leaving.remove(client)
        self._drop(client)

    def _drop(self, client: Client) -> None:
        self.poller.unregister(client.sock)
        util.close(client.sock)

    def murder_pending(self) -> None:
        super().murder_pending()
        while self.leaving and self.leaving[0].timeout <= monotonic():
            self._drop(self.leaving.popleft())

    def set_accept_enabled(self, enabled: bool) -> None:
        super().set_accept_enabled(enabled)
        if not (enabled or self.alive):
            self._stop_listening()

    def _stop_listening(self) -> None:
        """Take the connections that were made already, and close the door behind them.

        gunicorn leaves it open until the last request is answered: the system
        goes on making connections, whose requests nobody would ever read.
        """
        for listener in self.sockets:
            here, waiting = listener.getsockname(), []
            # Whoever connects after the last look and before the closing is lost. So as little as
            # may be happens in between.
            while (connection := _accept_at_once(listener.fileno(), None, None)) >= 0:
                waiting.append(socket.socket(fileno=connection))
            listener.close()
            for accepted in waiting:
                accepted.set_inheritable(False)
                with suppress(OSError):
                    self._take(accepted, accepted.getpeername(), here)
        self.sockets = []

    def _cap_keepalive(self, deadline: float) -> None:
        super()._cap_keepalive(deadline)
        for client in self.pending_conns:
            client.timeout = min(client.timeout, deadline)
