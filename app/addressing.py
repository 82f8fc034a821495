"""Whether a request names this service and a path as they are written here."""

import re
from typing import Any
from urllib.parse import unquote

from flask import Flask, request

from app.errors import BadRequest, NotFound
from config import Settings, is_among

# Load balancers and Prometheus ask a server by its address, whatever the service is called.
FOR_ANY_HOST = {"/healthz", "/readyz", "/metrics"}

ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
# What nobody has to encode (RFC 3986 §2.3), and what separates the parts of a path.
NEVER_ENCODED = re.compile(r"[A-Za-z0-9._~/\\-]")


def init_app(app: Flask, settings: Settings) -> None:
    """Refuse other hosts and other spellings, before anything else is looked at."""

    @app.before_request
    def refuse_other_names() -> None:
        if is_spelt_otherwise(request.environ):
            raise NotFound
        rule = request.url_rule.rule if request.url_rule else None
        if settings.trusted_hosts and rule not in FOR_ANY_HOST:
            host = request.headers.get("Host", "")
            if not is_among(host, settings.trusted_hosts):
                raise BadRequest


def is_spelt_otherwise(environ: dict[str, Any]) -> bool:
    """Whether the path is another spelling of a path.

    A proxy that closes ``/metrics`` may not close ``//metrics`` and
    ``/%2Fmetrics``, which Werkzeug takes for the same.
    """
    # RAW_URI is gunicorn's and Werkzeug's name for what was sent.
    sent = str(environ.get("RAW_URI", "")).partition("?")[0]
    return (
        str(environ.get("PATH_INFO", "")).startswith("//")
        or "#" in sent
        or any(NEVER_ENCODED.match(unquote(code)) for code in ENCODED.findall(sent))
    )
