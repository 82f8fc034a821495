"""Which other origins' pages may call the API from a browser (the Fetch standard's CORS)."""

from flask import Flask, Response, request

from config import Settings
from configuration.hosts import origin_of

METHODS = "DELETE, GET, PATCH, POST, PUT"
# The headers that a browser may send, besides the few that are always allowed.
REQUEST_HEADERS = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "X-Request-ID",
)
# The headers that a page may read.
RESPONSE_HEADERS = (
    "ETag, Link, Location, RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate, X-Request-ID"
)
PREFLIGHT_MAX_AGE_SECONDS = 600


def init_app(app: Flask, settings: Settings) -> None:
    if not settings.cors_origins:
        return
    allowed = {origin_of(origin) for origin in settings.cors_origins}
    request_headers = ", ".join([*REQUEST_HEADERS, *settings.cors_headers])

    @app.after_request
    def allow(response: Response) -> Response:
        # On every answer: a cache must not give one origin the answer for another.
        response.vary.add("Origin")
        origin = request.headers.get("Origin", "")
        if origin_of(origin) not in allowed:
            return response
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = RESPONSE_HEADERS
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            response.headers["Access-Control-Allow-Methods"] = METHODS
            response.headers["Access-Control-Allow-Headers"] = request_headers
            response.headers["Access-Control-Max-Age"] = str(PREFLIGHT_MAX_AGE_SECONDS)
        return response
