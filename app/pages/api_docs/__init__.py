"""Serves ``/openapi.json``, made from the routes, and ``/docs``, where people read and try it."""

from pathlib import Path
from typing import Any

import flask_swagger_ui
from flask import Blueprint, Flask, Response, current_app, send_from_directory

from app.pages.api_docs import document
from config import Settings

HERE = Path(__file__).parent
SWAGGER_UI = Path(flask_swagger_ui.__file__).parent / "dist"

# Only this page allows what Swagger UI needs: its own scripts, the styles that it writes into
# elements, and calls to this server.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'"
)

bp = Blueprint("docs", __name__)


def init_app(app: Flask, settings: Settings) -> None:
    document.init_app(app, settings)
    app.register_blueprint(bp)


@bp.get("/openapi.json")
def openapi() -> Any:
    return current_app.json.response(document.written(current_app))


@bp.get("/docs")
def page() -> Response:
    response = send_from_directory(HERE, "index.html")
    response.headers["Content-Security-Policy"] = PAGE_POLICY
    return response


@bp.get("/docs/start.js")
def start() -> Response:
    return send_from_directory(HERE, "start.js")


@bp.get("/docs/page.css")
def style() -> Response:
    return send_from_directory(HERE, "page.css")


@bp.get("/docs/assets/<path:name>")
def assets(name: str) -> Response:
    response = send_from_directory(SWAGGER_UI, name)
    response.headers["Cache-Control"] = "public, max-age=86400"
    return response
