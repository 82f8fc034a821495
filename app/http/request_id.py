"""The id of a request. It stands in the answer, in errors and in the log."""

import random
import re
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


def _new() -> str:
    """A new id. It is not a secret, so it need not be hard to guess.

    The bits come from ``random`` and not from ``uuid4``, because asking the
    system for random bits lets all other threads run first. Python seeds
    ``random`` anew in a forked process, so no two workers make the same ids.
    """
    return str(UUID(int=random.getrandbits(128), version=4))
