"""The application factory: what there is, one line each."""

from flask import Flask

from app import (
    account_pages,
    addressing,
    api_docs,
    cli,
    cors,
    database,
    errors,
    languages,
    limits,
    logs,
    ops,
    request_headers,
    response_headers,
)
from app.auth.routes import bp as auth
from app.blueprint import NoCookies, StrictRequest
from app.extensions import api, db, jwt, ma, migrate
from app.mail import composing, transport
from app.security import access, client_address, hashing_pool, signing_keys, tokens
from app.strict_json import StrictJSONProvider
from app.users.admin_routes import bp as administration
from app.users.role_routes import bp as roles
from app.users.routes import bp as users
from config import INSTANCE, ROOT, Settings

API_PREFIX = "/api/v1"
MAX_BODY_BYTES = 64 * 1024


def create_app(settings: Settings | None = None) -> Flask:
    """The whole application, by the given settings or by the environment's.

    Raises ``SettingsRefused`` (exit status 1) when the environment is not fit
    to start with.
    """
    cli.end_in_one_sentence()
    settings = settings or Settings.from_environment()
    logs.configure(settings)

    app = Flask(
        __name__,
        instance_path=str(INSTANCE),
        static_folder=None,
        template_folder="mail/templates",
    )
    app.config.update(
        SETTINGS=settings,
        SECRET_KEY=settings.secret_key,
        **database.configuration(settings),
        MAX_CONTENT_LENGTH=MAX_BODY_BYTES,
        **tokens.configuration(settings),
    )
    app.request_class = StrictRequest
    app.session_interface = NoCookies()
    app.json = StrictJSONProvider(app)
    # A path that is written otherwise is another path: no answer is a redirect.
    app.url_map.merge_slashes = False

    client_address.init_app(app, settings)
    database.init_app(app)
    ops.init_app(app)
    addressing.init_app(app, settings)
    migrate.init_app(app, db, directory=str(ROOT / "migrations"), render_as_batch=True)
    ma.init_app(app)
    jwt.init_app(app)
    signing_keys.init_app(app, settings)
    hashing_pool.init_app(app, settings)
    limits.init_app(app, settings)
    access.init_app(app)
    errors.init_app(app)
    languages.init_app(app)
    response_headers.init_app(app, settings)
    cors.init_app(app, settings)
    api_docs.init_app(app)

    api.register_blueprint(auth, url_prefix=API_PREFIX + "/auth")
    api.register_blueprint(users, url_prefix=API_PREFIX + "/users")
    api.register_blueprint(administration, url_prefix=API_PREFIX + "/users")
    api.register_blueprint(roles, url_prefix=API_PREFIX)
    api.register_blueprint(ops.bp)
    app.register_blueprint(account_pages.bp)

    # Last, since it comes before everything else that looks at a request.
    request_headers.init_app(app)
    cli.init_app(app)
    composing.check(app)
    transport.check(app)
    return app
