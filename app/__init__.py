"""The application factory. It lists every part of the application, one line each."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from flask import Flask

from app import cli
from app.access import csrf, flask_jwt, guards, key_rules, limits
from app.access.flask_jwt import jwt
from app.administration.role_routes import bp as roles
from app.administration.routes import bp as administration
from app.api_keys import feature as api_keys
from app.auth.mfa import feature as mfa
from app.auth.mfa.recovery_codes import feature as recovery_codes
from app.auth.mfa.remembered_devices import feature as remembered_devices
from app.auth.mfa.totp import feature as totp
from app.auth.oauth.routes import key_set
from app.auth.oauth.routes import metadata as oauth_metadata
from app.auth.passkeys import feature as passkeys
from app.auth.providers import feature as providers
from app.auth.routes import bp as auth
from app.cli import prune
from app.database import engines
from app.doctor import deployment_warnings, findings
from app.doctor.glance import glance
from app.extensions import db, ma, migrate
from app.features import Feature, loading, registering
from app.http import (
    addressing,
    cors,
    forwarding,
    languages,
    problems,
    request_headers,
    response_headers,
    security_txt,
    templates,
)
from app.http.openapi import api
from app.http.strict_json import StrictJSONProvider
from app.http.strict_request import NoCookies, StrictRequest
from app.mail import composing, delivery, transport
from app.observability import logs, measuring
from app.observability.routes import bp as operations
from app.pages import api_docs
from app.pages import registering as pages
from app.security import signing_keys
from app.security.passwords import breached, pool
from app.serving import development
from app.users import export_schemas
from app.users.routes import bp as users
from config import INSTANCE, ROOT, Settings

API_PREFIX = "/api/v1"
# The optional features of this tree. Remove a line and its folder, and the feature is gone. Delete
# app/cli/factors.py together with app/auth/mfa, app/cli/api_keys.py together with app/api_keys,
# app/cli/identities.py together with app/auth/providers, and the pages that
# app/pages/registering.py names for a feature together with that feature.
OPTIONAL: tuple[Feature, ...] = (
    # A remembered device is looked at before the second step is asked for.
    remembered_devices.FEATURE,
    mfa.FEATURE,
    totp.FEATURE,
    recovery_codes.FEATURE,
    passkeys.FEATURE,
    providers.FEATURE,
    api_keys.FEATURE,
)
MAX_BODY_BYTES = 64 * 1024


# Names that no feature may use again, from the folders that app/features/ must not import.
NAMES_OF_CORE: dict[str, Iterable[str]] = {
    "part of the export": export_schemas.ExportSchema().fields,
    "kind of pruned rows": prune.PRUNED,
    "check of flask doctor": [check.name for check in findings.CHECKS],
}


def read_settings(
    environment: Mapping[str, str] | None = None,
    *,
    instance: Path = INSTANCE,
    port: int | None = None,
) -> Settings:
    """The settings of the core and of all features, from the environment.

    ``port`` stands in the place of PORT. Raises ``SettingsRefused``.
    """

    def tables(core: Settings) -> list[type]:
        found = [feature.settings for feature in loading.load(core, OPTIONAL)]
        return [table for table in found if table is not None]

    return Settings.from_environment(environment, instance=instance, tables=tables, port=port)


def create_app(settings: Settings | None = None) -> Flask:
    """Build the whole application from the given settings, or from the environment.

    Raises ``SettingsRefused`` (exit status 1) when the environment is not fit
    to start with.
    """
    cli.end_in_one_sentence()
    settings = settings or read_settings(port=development.port())
    features = loading.load(settings, OPTIONAL)
    logs.configure(settings)
    logs.announce(settings)

    app = Flask(__name__, instance_path=str(INSTANCE), static_folder=None, template_folder=None)
    app.config.update(
        SETTINGS=settings,
        SECRET_KEY=settings.secret_key,
        **engines.configuration(settings),
        MAX_CONTENT_LENGTH=MAX_BODY_BYTES,
        **flask_jwt.configuration(settings),
    )
    app.request_class = StrictRequest
    app.session_interface = NoCookies()
    app.json = StrictJSONProvider(app)
    # A path with doubled slashes is another path. It is not found, and there is no redirect.
    app.url_map.merge_slashes = False

    forwarding.init_app(app, settings)
    engines.init_app(app)
    measuring.init_app(app)
    addressing.init_app(app, settings)
    migrate.init_app(app, db, directory=str(ROOT / "migrations"), render_as_batch=True)
    ma.init_app(app)
    jwt.init_app(app)
    signing_keys.init_app(app, settings)
    pool.init_app(app, settings)
    breached.init_app(app, settings)
    limits.init_app(app, settings)
    delivery.init_app(app)
    deployment_warnings.init_app(app)
    guards.init_app(app)
    csrf.init_app(app)
    problems.init_app(app)
    languages.init_app(app, [one.translations for one in features if one.translations])
    templates.init_app(
        app, settings, {one.name: one.templates for one in features if one.templates}
    )
    response_headers.init_app(app, settings)
    cors.init_app(app, settings)
    api_docs.init_app(app, settings)

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
    registering.init_app(app, features, ours=OPTIONAL, api_prefix=API_PREFIX, core=NAMES_OF_CORE)
    export_schemas.init_app(app)

    # Last: it wraps all of the above, and so cuts the headers before other code reads them.
    request_headers.init_app(app)
    key_rules.check(app)
    templates.check(app)
    composing.check(app)
    transport.check(app)
    development.init_app(app)
    return app
