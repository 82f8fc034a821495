"""The name under which one request is known: in its answer, in errors and in the log."""

import re
from uuid import uuid4

from flask import g, has_request_context, request

# Anything else could carry line breaks or whole sentences into the log.
ACCEPTABLE = re.compile(r"[A-Za-z0-9-]{1,64}")


def request_id() -> str:
    """The client's own ``X-Request-ID`` where it is harmless, else one made here."""
    if "request_id" not in g:
        sent = request.headers.get("X-Request-ID", "")
        g.request_id = sent if ACCEPTABLE.fullmatch(sent) else str(uuid4())
    return str(g.request_id)


def request_id_or_none() -> str | None:
    """The same where a request is being answered, ``None`` elsewhere (commands, start-up)."""
    return request_id() if has_request_context() else None
