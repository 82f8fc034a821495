"""Adding what the features bring to an application."""

from collections.abc import Sequence

from flask import Flask

from app.database import branches
from app.features.feature import Feature
from app.http.blueprint import api


def init_app(app: Flask, features: Sequence[Feature], *, api_prefix: str) -> None:
    """Register the calls, the pages and the commands of the features.

    Other parts of the application read the rest with ``features.active()``.
    """
    app.extensions["features"] = tuple(features)
    branches.init_app(app, {each.name: each.migrations for each in features if each.migrations})
    for feature in features:
        for blueprint in feature.blueprints:
            prefix = blueprint.url_prefix or f"/{feature.name}"
            api.register_blueprint(blueprint, url_prefix=api_prefix + prefix)
        for page in feature.pages:
            app.register_blueprint(page)
        for command in feature.commands:
            app.cli.add_command(command)
