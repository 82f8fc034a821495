"""The headers of every answer, errors included."""

from flask import Flask, Response, request

from app.http.request_id import request_id
from config import Settings

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    # No cache may keep tokens, profiles and errors. An answer that may be kept has its own header.
    "Cache-Control": "no-store",
}
HSTS = "max-age=31536000; includeSubDomains"


def init_app(app: Flask, settings: Settings) -> None:
    headers = dict(SECURITY_HEADERS)
    if settings.public_url.startswith("https://"):
        headers["Strict-Transport-Security"] = HSTS

    @app.after_request
    def add_headers(response: Response) -> Response:
        # ``setdefault`` would look through all headers for each one.
        there = {name.lower() for name, _ in response.headers}
        response.headers.extend([one for one in headers.items() if one[0].lower() not in there])
        response.headers["X-Request-ID"] = request_id()
        is_refusal = response.status_code >= 400
        if response.status_code == 204 or (request.method == "OPTIONS" and not is_refusal):
            # There is no body, but Flask still calls it HTML or JSON.
            response.headers.pop("Content-Type", None)
        return response
