"""The caller of a request, and whether it still waits for the answer."""

import socket
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from flask import has_request_context, request

from app.http.client import current_network


class Caller(NamedTuple):
    """The network of a caller, and two ways to ask whether it is still there.

    Only the call's own thread may ask ``is_connected``, because the question may
    begin the answer. Any thread may ask ``sends`` at any time.
    """

    network: str
    is_connected: Callable[[], bool]
    sends: Callable[[], bool] | None = None

    def seems_connected(self) -> bool:
        """A guess for other threads. A client that sends no more counts as gone here.

        It may still wait for an answer, which ``is_connected`` finds out.
        """
        return (self.sends or self.is_connected)()


def current() -> Caller:
    """The caller of the current request. A command has no network, and it always waits."""
    if not has_request_context():
        return Caller("", lambda: True)
    # Only gunicorn gives the connection; the test client and `flask run` do not.
    connection = request.environ.get("gunicorn.socket")
    if connection is None:
        return Caller(current_network(), lambda: True)
    return Caller(current_network(), partial(_reads, connection), partial(_sends, connection))


def _reads(connection: socket.socket) -> bool:
    """Whether the other end has not hung up. A proxy hangs up when its own client does."""
    if _sends(connection):
        return True
    # A client may close its sending half and wait for the answer. Our worker's connection can tell.
    still_reads = getattr(connection, "still_reads", None)
    return bool(still_reads and still_reads())


def _sends(connection: socket.socket) -> bool:
    """Whether more may come from the other end.

    This only peeks. If the client has already sent its next request, those
    bytes stay where they are.
    """
    try:
        peek = socket.MSG_PEEK | socket.MSG_DONTWAIT
        # The connection's own ``recv`` would wait.
        return socket.socket.recv(connection, 1, peek) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
