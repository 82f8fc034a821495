"""Serves ``/openapi.json``, made from the routes, and ``/docs``, where people read and try it."""

from pathlib import Path
from typing import Any

import flask_swagger_ui
from flask import Blueprint, Flask, Response, current_app, send_from_directory

from app.auth.login.schemas import ReauthenticationSchema
from app.auth.proof_fields import SecondProofSchema
from app.field_errors import MAX_ERRORS
from app.http.blueprint import api
from app.http.strict_request import Digits

HERE = Path(__file__).parent
SWAGGER_UI = Path(flask_swagger_ui.__file__).parent / "dist"

# Only this page allows what Swagger UI needs: its own scripts, the styles that it writes into
# elements, and calls to this server.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'"
)

CONFIGURATION = {
    "API_TITLE": "User system",
    "API_VERSION": "1",
    "OPENAPI_VERSION": "3.1.0",
}

PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "An error (RFC 9457). `code` is for programs, `detail` for people.",
    "required": ["type", "title", "status", "detail", "code", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "description": "Only on 422: the errors, each with its field or parameter.",
            "maxItems": MAX_ERRORS,
            "items": {
                "type": "object",
                "required": ["code", "detail"],
                "properties": {
                    "pointer": {"type": "string", "examples": ["#/email"]},
                    "parameter": {"type": "string", "examples": ["limit"]},
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
        "errors_left_out": {
            "type": "integer",
            "minimum": 1,
            "description": "How many more errors there are; absent if `errors` has them all.",
        },
        "checks": {
            "type": "object",
            "description": "Only from `/readyz`: part → `ok` or `away`.",
            "additionalProperties": {"type": "string"},
        },
    },
}

bp = Blueprint("docs", __name__)


def init_app(app: Flask) -> None:
    """Begin the OpenAPI document; blueprints registered with ``api`` then add themselves."""
    app.config.update(CONFIGURATION)
    app.url_map.converters["digits"] = Digits
    api.init_app(app)
    api.register_converter(Digits, lambda _: {"type": "integer", "minimum": 0})
    components = api.spec.components
    # flask-smorest adds these, but no call here answers with them.
    for unused in ("Error", "PaginationMetadata"):
        components.schemas.pop(unused, None)
    components.schema("Problem", PROBLEM)
    components.security_scheme(
        "access_token", {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    )
    components.security_scheme(
        "login_form",
        {
            "type": "oauth2",
            "flows": {"password": {"tokenUrl": "/api/v1/auth/login", "scopes": {}}},
        },
    )
    app.register_blueprint(bp)


@bp.get("/openapi.json")
def openapi() -> Any:
    document = api.spec.to_dict()
    # marshmallow's declarations cannot say these rules.
    schemas = document["components"]["schemas"]
    schemas["Login"]["oneOf"] = [{"required": ["email"]}, {"required": ["username"]}]
    for name, proofs in (
        ("Mfa", SecondProofSchema.PROOFS),
        ("Reauthentication", ReauthenticationSchema.PROOFS),
    ):
        schemas[name]["oneOf"] = [{"required": [proof]} for proof in proofs]
        schemas[name]["dependentRequired"] = {
            "ceremony": ["credential"],
            "credential": ["ceremony"],
        }
    for name in schemas:
        if name.endswith("Form"):
            # Other fields are ignored, unless they come twice (RFC 6749 §3.2).
            schemas[name]["additionalProperties"] = {"type": "string"}
    return current_app.json.response(document)


@bp.get("/docs")
def page() -> Response:
    response = send_from_directory(HERE, "index.html")
    response.headers["Content-Security-Policy"] = PAGE_POLICY
    return response


@bp.get("/docs/start.js")
def start() -> Response:
    return send_from_directory(HERE, "start.js")


@bp.get("/docs/assets/<path:name>")
def assets(name: str) -> Response:
    response = send_from_directory(SWAGGER_UI, name)
    response.headers["Cache-Control"] = "public, max-age=86400"
    return response
