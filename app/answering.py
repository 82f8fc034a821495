"""What answers requests: their hooks, the calls, the pages and the OpenAPI document.

A server makes it before the first request, and a short command does without
it: ``create_app`` imports this module where it is needed.
"""

from collections.abc import Iterable, Sequence

from flask import Flask

from app import cli
from app.access import csrf, flask_jwt, guards, key_rules, limits
from app.access.flask_jwt import jwt
from app.administration.role_routes import bp as roles
from app.administration.routes import bp as administration
from app.auth.oauth.routes import key_set
from app.auth.oauth.routes import metadata as oauth_metadata
from app.auth.routes import bp as auth
from app.cli import prune
from app.database import migrating
from app.doctor import deployment_warnings, findings
from app.doctor.glance import glance
from app.features import Feature
from app.features import answering as of_features
from app.http import (
    addressing,
    cors,
    forwarding,
    problems,
    request_headers,
    response_headers,
    security_txt,
)
from app.http.openapi import api_of
from app.http.strict_request import NoCookies, StrictRequest
from app.observability import measuring
from app.observability.routes import bp as operations
from app.pages import api_docs
from app.pages import registering as pages
from app.users import export_schemas
from app.users.routes import bp as users
from config import Settings

API_PREFIX = "/api/v1"
MAX_BODY_BYTES = 64 * 1024

# Names that no feature may use again, from the folders that app/features/ must not import.
NAMES_OF_CORE: dict[str, Iterable[str]] = {
    "part of the export": export_schemas.ExportSchema().fields,
    "kind of pruned rows": prune.PRUNED,
    "check of flask doctor": [check.name for check in findings.CHECKS],
}


def init_app(
    app: Flask, settings: Settings, features: Sequence[Feature], *, ours: Sequence[Feature]
) -> None:
    """``ours`` are the features of this tree. Raises ``SettingsRefused``."""
    app.config.update(MAX_CONTENT_LENGTH=MAX_BODY_BYTES, **flask_jwt.configuration(settings))
    app.request_class = StrictRequest
    app.session_interface = NoCookies()
    # A path with doubled slashes is another path. It is not found, and there is no redirect.
    app.url_map.merge_slashes = False

    forwarding.init_app(app, settings)
    measuring.init_app(app)
    addressing.init_app(app, settings)
    migrating.init_app(app)
    jwt.init_app(app)
    limits.init_app(app, settings)
    deployment_warnings.init_app(app)
    guards.init_app(app)
    csrf.init_app(app)
    problems.init_app(app)
    response_headers.init_app(app, settings)
    cors.init_app(app, settings)
    api_docs.init_app(app, settings)

    api = api_of(app)
    api.register_blueprint(auth, url_prefix=API_PREFIX + "/auth")
    api.register_blueprint(users, url_prefix=API_PREFIX + "/users")
    api.register_blueprint(administration, url_prefix=API_PREFIX + "/users")
    api.register_blueprint(roles, url_prefix=API_PREFIX)
    api.register_blueprint(operations)
    api.register_blueprint(key_set)
    api.register_blueprint(oauth_metadata)
    api.register_blueprint(security_txt.bp)
    pages.init_app(app, settings, [feature.name for feature in features], glance=glance)
    cli.init_app(app)
    of_features.init_app(app, features, ours=ours, api_prefix=API_PREFIX, core=NAMES_OF_CORE)
    export_schemas.init_app(app)

    # Last: it wraps all of the above, and so cuts the headers before other code reads them.
    request_headers.init_app(app)
    key_rules.check(app)
