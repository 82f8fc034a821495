"""Whether a request names this service and a path as they are written here."""

import re
from typing import Any

from flask import Flask, request

from app.errors import BadRequest, NotFound
from config import Settings, is_among

# Load balancers and Prometheus ask a server by its address, whatever the service is called.
FOR_ANY_HOST = {"/healthz", "/readyz", "/metrics"}

# Characters that nobody has to encode (letters, digits, "-", ".", "_" and "~": RFC 3986 §2.3), and
# those that separate the parts of a path ("/", and "\\" for some proxies), in their encoded form.
NEEDLESSLY_ENCODED = re.compile(
    "%(?:2[DEF]|3[0-9]|4[1-9A-F]|5[0-9ACF]|6[1-9A-F]|7[0-9AE])", re.IGNORECASE
)


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
        or NEEDLESSLY_ENCODED.search(sent) is not None
    )
