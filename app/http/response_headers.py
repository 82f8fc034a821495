"""What every answer carries, errors included."""

from flask import Flask, Response, request

from app.http.request_id import request_id
from config import Settings

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    # Tokens, profiles and errors are nothing for a cache; what may be kept says so itself.
    "Cache-Control": "no-store",
}
HSTS = "max-age=31536000; includeSubDomains"


def init_app(app: Flask, settings: Settings) -> None:
    headers = dict(SECURITY_HEADERS)
    if settings.public_url.startswith("https://"):
        headers["Strict-Transport-Security"] = HSTS

    @app.after_request
    def add_headers(response: Response) -> Response:
        # ``setdefault`` would look through all headers for each.
        there = {name.lower() for name, _ in response.headers}
        response.headers.extend([one for one in headers.items() if one[0].lower() not in there])
        response.headers["X-Request-ID"] = request_id()
        if response.status_code == 204 or request.method == "OPTIONS":
            # There is no body, and Flask calls that one HTML or JSON all the same.
            response.headers.pop("Content-Type", None)
        return response
