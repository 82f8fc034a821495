"""Refuses requests for another host, and paths that are spelt in another way."""

import logging
import re
from datetime import datetime, timedelta
from typing import Any

from flask import Flask, request

from app import clock
from app.errors import BadRequest, NotFound
from config import Settings
from configuration.hosts import is_among

# Load balancers and Prometheus know a server by its IP address and not by the service's name.
FOR_ANY_HOST = {"/healthz", "/readyz", "/metrics"}

# Characters that nobody has to encode (letters, digits, "-", ".", "_" and "~": RFC 3986 §2.3), and
# those that separate the parts of a path ("/", and "\\" for some proxies), in their encoded form.
NEEDLESSLY_ENCODED = re.compile(
    "%(?:2[DEF]|3[0-9]|4[1-9A-F]|5[0-9ACF]|6[1-9A-F]|7[0-9AE])", re.IGNORECASE
)

# The client chooses the host. So each process logs a refused host at most once in this time, and so
# many different ones, and cuts it to this length.
TOLD_ONCE_IN = timedelta(minutes=1)
MOST_TOLD = 10
MAX_TOLD_LENGTH = 100

log = logging.getLogger(__name__)


def init_app(app: Flask, settings: Settings) -> None:
    """Refuse other hosts and other spellings before anything else looks at the request."""

    @app.before_request
    def refuse_other_names() -> None:
        if is_spelt_otherwise(request.environ):
            raise NotFound
        rule = request.url_rule.rule if request.url_rule else None
        if settings.trusted_hosts and rule not in FOR_ANY_HOST:
            host = request.headers.get("Host", "")
            if not is_among(host, settings.trusted_hosts):
                _tell(app, host)
                raise BadRequest


def _tell(app: Flask, host: str) -> None:
    """Log the refused host: an operator who mistyped TRUSTED_HOSTS would only see 400."""
    now = clock.now()
    host = host[:MAX_TOLD_LENGTH]
    told: dict[str, datetime] = app.extensions.get("refused_hosts", {})
    recent = {name: at for name, at in told.items() if now < at + TOLD_ONCE_IN}
    if host in recent or len(recent) >= MOST_TOLD:
        return
    # A new dictionary each time: other threads may be reading the old one.
    app.extensions["refused_hosts"] = recent | {host: now}
    # %r escapes line breaks and control characters.
    log.warning("host %r is not in TRUSTED_HOSTS", host)


def is_spelt_otherwise(environ: dict[str, Any]) -> bool:
    """Whether the path is spelt in another way than the routes are.

    A proxy that blocks ``/metrics`` may let ``//metrics`` and ``/%2Fmetrics``
    through. Werkzeug takes all three for the same path.
    """
    # RAW_URI is gunicorn's and Werkzeug's name for what was sent.
    sent = environ.get("RAW_URI", "").partition("?")[0]
    return (
        environ.get("PATH_INFO", "").startswith("//")
        or "#" in sent
        or ("%" in sent and NEEDLESSLY_ENCODED.search(sent) is not None)
    )
