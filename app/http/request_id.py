"""The id of a request. It stands in the answer, in errors and in the log."""

import os
import re
from collections import deque
from uuid import UUID

from flask import g, has_request_context, request

# Anything else could carry line breaks or whole sentences into the log.
ACCEPTABLE = re.compile(r"[A-Za-z0-9-]{1,64}")


def request_id() -> str:
    """The client's own ``X-Request-ID`` where it is harmless, else one made here."""
    if "request_id" not in g:
        sent = request.headers.get("X-Request-ID", "")
        g.request_id = sent if ACCEPTABLE.fullmatch(sent) else _new()
    return str(g.request_id)


def request_id_or_none() -> str | None:
    """The id of the current request. It is None outside a request (commands, start-up)."""
    return request_id() if has_request_context() else None


# Ids are made in advance, because asking the system for random bits lets all other threads run
# first.
_ahead: deque[str] = deque()
# Two processes must not use the same ids.
os.register_at_fork(after_in_child=_ahead.clear)


def _new() -> str:
    try:
        return _ahead.popleft()
    except IndexError:
        bits = os.urandom(16 * 100)
        made = [str(UUID(bytes=bits[at : at + 16], version=4)) for at in range(0, len(bits), 16)]
        _ahead.extend(made[1:])
        return made[0]
