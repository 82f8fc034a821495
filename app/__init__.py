"""The application factory. It lists every part of the application, one line each."""

from collections.abc import Mapping
from pathlib import Path

from flask import Flask

from app import cli
from app.api_keys import feature as api_keys
from app.auth.mfa import feature as mfa
from app.auth.mfa.recovery_codes import feature as recovery_codes
from app.auth.mfa.remembered_devices import feature as remembered_devices
from app.auth.mfa.totp import feature as totp
from app.auth.passkeys import feature as passkeys
from app.auth.providers import feature as providers
from app.database import engines
from app.extensions import ma
from app.features import Feature, loading, registering
from app.http import languages, templates
from app.http.strict_json import StrictJSONProvider
from app.mail import composing, delivery, transport
from app.observability import logs
from app.security import signing_keys
from app.security.passwords import breached, pool
from app.serving import development
from config import INSTANCE, Settings

# The optional features of this tree. Remove a line and its folder, and the feature is gone. Delete
# app/cli/factors.py together with app/auth/mfa, app/cli/api_keys.py together with app/api_keys,
# app/cli/identities.py together with app/auth/providers, the lines of app/cli/groups.py that name
# the file, and the pages that app/pages/registering.py names for a feature together with that
# feature.
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


def create_app(settings: Settings | None = None, *, for_command: bool = False) -> Flask:
    """Build the whole application from the given settings, or from the environment.

    With ``for_command``, what answers requests is left out until a command
    needs it. Raises ``SettingsRefused`` (exit status 1) when the environment
    is not fit to start with.
    """
    cli.end_in_one_sentence()
    settings = settings or read_settings(port=development.port())
    features = loading.load(settings, OPTIONAL)
    logs.configure(settings)
    logs.announce(settings)

    app = Flask(__name__, instance_path=str(INSTANCE), static_folder=None, template_folder=None)
    app.config.update(
        SETTINGS=settings, SECRET_KEY=settings.secret_key, **engines.configuration(settings)
    )
    app.json = StrictJSONProvider(app)
    app.cli = commands = cli.commands()

    engines.init_app(app)
    ma.init_app(app)
    signing_keys.init_app(app, settings)
    pool.init_app(app, settings)
    breached.init_app(app, settings)
    delivery.init_app(app)
    languages.init_app(app, [one.translations for one in features if one.translations])
    templates.init_app(
        app, settings, {one.name: one.templates for one in features if one.templates}
    )
    registering.init_app(app, features, ours=OPTIONAL)
    templates.check(app)
    composing.check(app)
    transport.check(app)

    def answer_requests() -> None:
        # Two thirds of what a short command would load: all routes, all pages and their schemas.
        from app import answering

        answering.init_app(app, settings, features, ours=OPTIONAL)

    if for_command:
        commands.make_rest_later(answer_requests)
    else:
        answer_requests()
    development.init_app(app)
    return app
