"""The OpenAPI document: what flask-smorest makes of the routes, and the rest.

Generators read it too, so it avoids what they stumble over. A rule that they
cannot express stands in a description, and in an extension (``x-…``) for tests.
"""

from typing import Any

from flask import Flask

from app.access import cookies
from app.auth.login.schemas import ReauthenticationSchema
from app.auth.proof_fields import SecondProofSchema
from app.field_errors import MAX_ERRORS
from app.http import openapi
from app.http.strict_request import Digits
from app.version import VERSION
from config import Settings

DESCRIPTION = """\
Accounts, logins and sessions, as JSON in and out.

**To authorize**, call `POST /api/v1/auth/login` and send the `access_token` of its answer as
`Authorization: Bearer …`. It works for `expires_in` seconds. `POST /api/v1/auth/refresh` swaps the
`refresh_token` for a new pair. At `/docs`, press **Authorize** and sign in with your username and
password.

**Errors** are problem documents (RFC 9457) of the schema `Problem`. Their `code` is for programs,
and it never changes. Each answer lists its codes in its description, and in `x-codes`.
"""

# What takes exactly one of these fields. Generators turn `oneOf` into a model without types.
EXACTLY_ONE: dict[str, tuple[str, ...]] = {
    "Login": ("email", "username"),
    "Mfa": SecondProofSchema.PROOFS,
    "Reauthentication": ReauthenticationSchema.PROOFS,
}

# What takes at most one second proof beside the password.
TWO_PROOFS = ("Login", "TokenForm")
AT_MOST_ONE = "Send at most one of `otp` and `recovery_code`."
PASSKEY = {"ceremony": ["credential"], "credential": ["ceremony"]}

PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "An error (RFC 9457). `code` is for programs, `detail` for people.",
    "required": ["type", "title", "status", "detail", "code", "request_id"],
    "examples": [
        {
            "type": "about:blank",
            "title": "Forbidden",
            "status": 403,
            "detail": "Incorrect password",
            "code": "wrong_password",
            "request_id": "0b6f3a52-8f8e-4c6b-9a55-5a3f4f0f8a11",
        }
    ],
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
            "items": {"$ref": "#/components/schemas/FieldError"},
        },
        "errors_left_out": {
            "type": "integer",
            "minimum": 1,
            "description": "How many more errors there are; absent if `errors` has them all.",
        },
        "mfa_token": {
            "type": "string",
            "description": "Only with `mfa_required` and `wrong_factor` at a login: the ticket.",
        },
        "expires_in": {"type": "integer", "description": "Seconds that `mfa_token` works."},
        "methods": {
            "type": "array",
            "description": "Only with `mfa_required`: the second factors that may follow.",
            "items": {"type": "string"},
        },
        "tries_left": {"type": "integer", "description": "How often `mfa_token` may be tried."},
        "error": {"type": "string", "description": "Only for OAuth 2 clients: the `code`."},
        "error_description": {"type": "string", "description": "Only for OAuth 2 clients."},
        "checks": {
            "type": "object",
            "description": "Only from `/readyz`: part → `ok` or `away`.",
            "additionalProperties": {"type": "string"},
        },
    },
}

FIELD_ERROR: dict[str, Any] = {
    "type": "object",
    "description": "What is wrong with one field of the body, or one parameter of the query.",
    "required": ["code", "detail"],
    "properties": {
        "pointer": {"type": "string", "examples": ["#/email"]},
        "parameter": {"type": "string", "examples": ["limit"]},
        "code": {"type": "string"},
        "detail": {"type": "string"},
    },
}


def init_app(app: Flask, settings: Settings) -> None:
    """Begin the document. The calls are added when it is written."""
    app.config.update(
        API_TITLE=f"{settings.brand_name} API",
        API_VERSION=VERSION,
        OPENAPI_VERSION="3.1.0",
        API_SPEC_OPTIONS={
            "info": {"description": DESCRIPTION},
            "servers": [{"url": settings.public_url}],
        },
    )
    app.url_map.converters["digits"] = Digits
    api = openapi.init_app(app)
    api.register_converter(Digits, lambda _: {"type": "integer", "minimum": 0})
    _leave_directions_out(api)
    components = api.spec.components
    # flask-smorest adds these, but no call here answers with them.
    for unused in ("Error", "PaginationMetadata"):
        components.schemas.pop(unused, None)
    components.schema("Problem", PROBLEM)
    components.schema("FieldError", FIELD_ERROR)
    components.security_scheme(
        "login_form",
        {
            "type": "oauth2",
            "description": (
                "Your email address or username, and your password. "
                "Leave the fields of the client empty."
            ),
            "flows": {"password": {"tokenUrl": "/api/v1/auth/token", "scopes": {}}},
        },
    )
    components.security_scheme(
        "access_token",
        {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "An access token that you have.",
        },
    )
    components.security_scheme(
        "api_key",
        {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key of `POST /api/v1/auth/keys`, for calls that take one.",
        },
    )
    components.security_scheme(
        "session_cookie",
        {
            "type": "apiKey",
            "in": "cookie",
            "name": cookies.SESSION,
            "description": "For pages of this origin: the cookie of a login with `cookie=true`.",
        },
    )


def _leave_directions_out(api: openapi.ProblemApi) -> None:
    """Leave out ``readOnly`` and ``writeOnly``.

    Each schema describes what is sent or what is answered, and never both. Where
    a field says so again, generators write a second model of the schema.
    """
    converter = api.ma_plugin.converter
    directions = (converter.field2read_only, converter.field2write_only)
    converter.attribute_functions = [
        function for function in converter.attribute_functions if function not in directions
    ]


def written(app: Flask) -> dict[str, Any]:
    """The whole document. marshmallow's declarations cannot say the rules that are added here."""
    document = openapi.api_of(app).document()
    schemas = document["components"]["schemas"]
    for name, choices in EXACTLY_ONE.items():
        if name in schemas:
            schemas[name]["description"] = _exactly_one_of(choices)
            schemas[name]["x-exactly-one"] = list(choices)
            if "credential" in choices:
                schemas[name]["dependentRequired"] = PASSKEY
    for name in TWO_PROOFS:
        # The schemas are those of the last time.
        described = schemas[name].get("description", "").removesuffix(AT_MOST_ONE).strip()
        schemas[name]["description"] = f"{described} {AT_MOST_ONE}".strip()
        schemas[name]["x-at-most-one"] = ["otp", "recovery_code"]
    return document


def _exactly_one_of(choices: tuple[str, ...]) -> str:
    named = ", ".join(f"`{choice}`" for choice in choices[:-1])
    beside = " `credential` goes with its `ceremony`." if "credential" in choices else ""
    return f"Send exactly one of {named} and `{choices[-1]}`.{beside}"
