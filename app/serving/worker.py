"""gunicorn's threaded worker: slow clients cannot take all threads, and stopping loses no request.

A request occupies a thread from its first byte to the last byte of its answer.
So at most half of the threads wait for slow clients, and each of them for a
limited time. If more clients are slow, the server closes their connections. A
proxy that reads whole requests before it passes them on is never slow.

gunicorn does not document what is replaced here. The test
``test_gunicorn_names.py`` lists each name, and fails if gunicorn changes one.
"""

import ctypes
import errno
import os
import resource
import selectors
import signal
import socket
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from time import monotonic, sleep
from typing import Any

from gunicorn import util
from gunicorn.http.body import ChunkedReader
from gunicorn.http.message import Request
from gunicorn.http.parser import RequestParser
from gunicorn.workers import gthread

from app.serving.client_socket import PATIENCE_SECONDS, Chunks, Socket

# How long a client has to hang up after its last answer.
LAST_CALL_SECONDS = 2
# gunicorn kills a worker that has said nothing for its ``timeout``, a minute.
NOTIFY_SECONDS = 1

# All headers of a request together; nginx takes 32 KiB by default.
MAX_HEAD_BYTES = 64 * 1024

# The file descriptors that a worker needs beside those of its clients: some for the log, the
# counters and the like, and for each thread some for the database (SQLite takes three), Redis or
# a file.
OF_ITS_OWN = 64
FOR_EACH_THREAD = 4
NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
# How long a worker waits for a descriptor if it can close no connection.
MOMENT_SECONDS = 0.05

# The signals that stop a worker. They are blocked until the worker has its own handlers, and in
# the master until the worker is forked.
STOPPING = (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT)
os.register_at_fork(
    after_in_parent=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING),
)

# The system's own ``accept``. Python's lets all other threads run before it returns.
_accept_at_once = ctypes.PyDLL(None).accept


class Head(Request):  # type: ignore[misc]  # gunicorn has no types
    """A request with a limit for all its headers together, beside gunicorn's for each of them.

    gunicorn searches everything that it has read whenever another piece comes:
    half a megabyte takes 22 ms, in which no other thread runs, and 64 KiB take
    less than one.
    """

    max_buffer_headers: int

    def parse(self, unreader: Any) -> Any:
        self.max_buffer_headers = min(self.max_buffer_headers, MAX_HEAD_BYTES)
        return super().parse(unreader)


class Client(gthread.TConn):  # type: ignore[misc]  # gunicorn has no types
    """A connection. Closing it does not make the thread wait that listens to all clients."""

    take_leave: Callable[["Client"], None]
    is_gone = False

    def init(self) -> None:
        super().init()
        if isinstance(self.parser, RequestParser):
            self.parser.mesg_class = Head

    def close(self, graceful: bool = False) -> None:
        if graceful:
            self.take_leave(self)
        else:
            util.close(self.sock)


class Worker(gthread.ThreadWorker):  # type: ignore[misc]
    """The worker that ``gunicorn.conf.py`` names."""

    sockets: list[Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Run in the master, which forks right afterwards.

        A new worker has the master's signal handlers, which only note a signal
        for later. A signal in that window would be lost, and the worker would
        keep serving until it is killed. So the signals are blocked until then.
        """
        super().__init__(*args, **kwargs)
        self.slow_clients = threading.Semaphore(max(1, self.cfg.threads // 2))
        # The clients that have had their last answer, and have not hung up yet.
        self.leaving: deque[Client] = deque()
        self._notify_at = 0.0
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)

    def init_process(self) -> None:
        threads = self.cfg.threads
        self.worker_connections = connections_that_fit(self.cfg.worker_connections, threads)
        self.max_keepalived = max(0, self.worker_connections - threads)
        super().init_process()

    def init_signals(self) -> None:
        super().init_signals()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)

    def notify(self) -> None:
        """Tell the master that this worker lives: once a second, and not at each event."""
        if monotonic() >= self._notify_at:
            self._notify_at = monotonic() + NOTIFY_SECONDS
            super().notify()

    def accept(self, listener: Any) -> None:
        """Accept a connection. A thread handles it when its first byte has come."""
        try:
            accepted, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            if error.errno not in NO_DESCRIPTOR:
                raise
            if not self._hang_up_on_one():
                sleep(MOMENT_SECONDS)
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
        # One connection less than the limit: at the limit gunicorn accepts nobody until one ends.
        while self.nr_conns + len(self.leaving) >= self.worker_connections:
            if not self._hang_up_on_one():
                break

    def _hang_up_on_one(self) -> bool:
        """Close the connection that is needed least; ``False`` if all are at work.

        First come those that had their last answer, then those that have been
        silent for the longest since they came, then those that are kept for
        another request. The newest connection is not among them.
        """
        if self.leaving:
            self._drop(self.leaving.popleft())
            return True
        for idle, newcomers in ((self.pending_conns, 1), (self.keepalived_conns, 0)):
            if len(idle) > newcomers:
                self.nr_conns -= 1
                self._drop(idle.popleft())
                return True
        return False

    def on_pending_socket_readable(self, conn: Client, client: Any) -> None:
        # It may have been closed after the system said that it is readable.
        if not conn.is_gone:
            super().on_pending_socket_readable(conn, client)

    def on_client_socket_readable(self, conn: Client, client: Any) -> None:
        if not conn.is_gone:
            super().on_client_socket_readable(conn, client)

    def handle(self, conn: Client) -> Any:
        """Answer one request, in a thread. Returns whether another one may follow."""
        conn.sock.expect_a_request()
        return super().handle(conn)

    def handle_request(self, req: Any, conn: Client) -> Any:
        if isinstance(req.body.reader, ChunkedReader):
            req.body.reader = Chunks(req.body.reader)
        return super().handle_request(req, conn)

    def _take_leave(self, client: Client) -> None:
        """Tell the client that nothing more comes, and listen until it has hung up.

        Closing at once would destroy the answer if part of the request is
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
        if client.is_gone:
            return
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
        client.is_gone = True
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
        """Accept the connections that were made already, and close the listening socket.

        gunicorn leaves it open until the last request is answered. The system
        would keep making connections, and nobody would read their requests.
        """
        for listener in self.sockets:
            here, waiting = listener.getsockname(), []
            # A connection that is made between the last accept and the closing is lost. So as
            # little as possible happens in between.
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


def connections_that_fit(wanted: int, threads: int) -> int:
    """How many clients this process can hold at a time, with descriptors left for its work.

    It raises the soft limit as far as necessary, and as far as the hard limit allows.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    beside = OF_ITS_OWN + FOR_EACH_THREAD * threads
    if soft == resource.RLIM_INFINITY or soft >= wanted + beside:
        return wanted
    more = wanted + beside if hard == resource.RLIM_INFINITY else min(hard, wanted + beside)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (more, hard))
        soft = more
    return min(wanted, max(soft // 4, soft - beside))
