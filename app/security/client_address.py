"""Where a request comes from."""

import unicodedata
from typing import NamedTuple

from flask import has_request_context, request

MAX_USER_AGENT_LENGTH = 300


class Client(NamedTuple):
    """The device that asks, as far as it can be known."""

    ip: str | None
    user_agent: str | None


def current_client() -> Client:
    """The peer of the socket, and what it calls itself.

    Headers that claim another address (``X-Forwarded-For`` and its like) are
    not read: anybody can send them. Outside a request (commands) nothing is known.
    """
    if not has_request_context():
        return Client(None, None)
    claimed = request.headers.get("User-Agent", "")
    printable = "".join(c for c in claimed if unicodedata.category(c) not in ("Cc", "Cf"))
    return Client(request.remote_addr or None, printable[:MAX_USER_AGENT_LENGTH] or None)
