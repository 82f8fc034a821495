"""Who waits for an answer, and whether they still do."""

import socket
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from flask import has_request_context, request

from app.http.client import current_network


class Caller(NamedTuple):
    """Where a call comes from.

    ``is_there`` may be asked while the call's own thread waits, as the answer
    may begin with it; ``sends`` at any time, from any thread.
    """

    network: str
    is_there: Callable[[], bool]
    sends: Callable[[], bool] | None = None

    def seems_there(self) -> bool:
        """Without a doubt in its favour: a client that sends no more may wait for an answer."""
        return (self.sends or self.is_there)()


def current() -> Caller:
    """Who asks at present. Commands come from nowhere, and wait."""
    if not has_request_context():
        return Caller("", lambda: True)
    # gunicorn's alone: the test client and `flask run` hand over none.
    connection = request.environ.get("gunicorn.socket")
    if connection is None:
        return Caller(current_network(), lambda: True)
    return Caller(current_network(), partial(_reads, connection), partial(_sends, connection))


def _reads(connection: socket.socket) -> bool:
    """Whether the other end has not hung up. A proxy hangs up when its own client does."""
    if _sends(connection):
        return True
    # The worker's own can tell: a client may close its half, and wait for the answer.
    still_reads = getattr(connection, "still_reads", None)
    return bool(still_reads and still_reads())


def _sends(connection: socket.socket) -> bool:
    """Whether more may come from the other end.

    What a client sends ahead, the next request perhaps, is looked at and left
    where it is.
    """
    try:
        peek = socket.MSG_PEEK | socket.MSG_DONTWAIT
        # Not the method of our own, which would wait.
        return socket.socket.recv(connection, 1, peek) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
