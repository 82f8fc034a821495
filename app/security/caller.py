"""Who waits for an answer, and whether they still do."""

import socket
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from flask import has_request_context, request

from app.security.client_address import current_network


class Caller(NamedTuple):
    """Where a call comes from; ``is_there`` may be asked from any thread."""

    network: str
    is_there: Callable[[], bool]


def current() -> Caller:
    """Who asks at present. Commands come from nowhere, and wait."""
    if not has_request_context():
        return Caller("", lambda: True)
    # gunicorn's alone: the test client and `flask run` hand over none.
    connection = request.environ.get("gunicorn.socket")
    is_there = partial(_is_open, connection) if connection is not None else lambda: True
    return Caller(current_network(), is_there)


def _is_open(connection: socket.socket) -> bool:
    """Whether the other end has not hung up.

    A proxy hangs up when its own client does. What a client sends ahead, the
    next request perhaps, is looked at and left where it is.
    """
    try:
        peek = socket.MSG_PEEK | socket.MSG_DONTWAIT
        # Not the method of our own, which would wait.
        return socket.socket.recv(connection, 1, peek) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
