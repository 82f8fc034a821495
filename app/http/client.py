"""The client of a request: where it is, what it is, and whether it still waits for the answer."""

import socket
import unicodedata
from collections.abc import Callable
from functools import partial
from typing import NamedTuple
from uuid import UUID

from flask import g, has_request_context, request

from app.http import addresses
from app.http.request_id import request_id

MAX_USER_AGENT_LENGTH = 300


def _always() -> bool:
    return True


class Client(NamedTuple):
    """The device that asks for something, as far as it is known.

    A command and background work have no client. For them all members are
    ``None``, and the client counts as connected.

    Only the request's own thread may call ``is_connected``, because the
    question may begin the answer. Any thread may call ``sends`` at any time.
    """

    ip: str | None = None
    user_agent: str | None = None
    request_id: str | None = None
    is_connected: Callable[[], bool] = _always
    sends: Callable[[], bool] | None = None

    @property
    def network(self) -> str:
        """The network that counts as one client, for limits and in waiting lines."""
        return addresses.network(self.ip)

    def seems_connected(self) -> bool:
        """A guess for other threads. A client that sends no more counts as gone here.

        It may still wait for an answer, which ``is_connected`` finds out.
        """
        return (self.sends or self.is_connected)()


def current() -> Client:
    """The client of the current request. Outside a request nothing is known of it."""
    if not has_request_context():
        return Client()
    known = (request.remote_addr or None, _user_agent(), request_id())
    # Only gunicorn gives the connection; the test client and `flask run` do not.
    connection = request.environ.get("gunicorn.socket")
    if connection is None:
        return Client(*known)
    return Client(*known, partial(_reads, connection), partial(_sends, connection))


def acts_with_key(key_id: UUID) -> None:
    """Note that the current request has this API key."""
    g.acting_key = str(key_id)


def acting_key() -> str | None:
    """The id of the API key that the current request has."""
    return g.get("acting_key") if has_request_context() else None


def _user_agent() -> str | None:
    """The ``User-Agent`` without control characters, cut where it is long."""
    # Cut it before the loop as well, because the header may be long.
    claimed = request.headers.get("User-Agent", "")[: 2 * MAX_USER_AGENT_LENGTH]
    if not claimed.isprintable():
        claimed = "".join(c for c in claimed if unicodedata.category(c) not in ("Cc", "Cf"))
    return claimed[:MAX_USER_AGENT_LENGTH] or None


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
