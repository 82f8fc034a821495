"""Adding the calls, the pages and the commands of the features to an application."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from flask import Flask
from werkzeug.routing import Rule

from app.features import clashes
from app.features.feature import Feature
from app.features.registering import refuse
from app.http.blueprint import is_documented
from app.http.openapi import api_of, register_page


def init_app(
    app: Flask,
    features: Sequence[Feature],
    *,
    ours: Sequence[Feature],
    api_prefix: str,
    core: Mapping[str, Iterable[str]],
) -> None:
    """Register what answers requests, and the commands.

    ``core`` has names of the core, by what they name. Raises
    ``SettingsRefused`` with all reasons if a feature does not fit.
    """
    refuse(_flaws(app, features, core))
    refuse(_taken_paths(app, [each for each in features if each not in ours], api_prefix))
    for feature in features:
        earlier = list(app.url_map.iter_rules())
        _register(app, feature, api_prefix, is_ours=feature in ours)
        refuse(_clashing_calls(app, feature, earlier))


def _register(app: Flask, feature: Feature, api_prefix: str, *, is_ours: bool) -> None:
    for blueprint in feature.all_blueprints():
        prefix = f"/{feature.name}{blueprint.url_prefix or ''}"
        if is_ours and blueprint.url_prefix is not None:
            prefix = blueprint.url_prefix
        api_of(app).register_blueprint(blueprint, url_prefix=api_prefix + prefix)
    for page in feature.all_pages():
        register_page(app, page)
    for command in feature.commands:
        app.cli.add_command(command)


def _flaws(
    app: Flask, features: Sequence[Feature], core: Mapping[str, Iterable[str]]
) -> Iterator[str]:
    for feature in features:
        for blueprint in feature.all_blueprints():
            if not is_documented(blueprint):
                yield (
                    f"The feature {feature.name} has the blueprint {blueprint.name} of Flask in "
                    "its blueprints. Make it with Blueprint from app.http.blueprint, or list it in "
                    "pages, where it has its own path."
                )
    yield from clashes.flaws(features, clashes.of_core(app, features) | dict(core))


def _taken_paths(app: Flask, others: Sequence[Feature], api_prefix: str) -> Iterator[str]:
    for feature in others:
        path = f"{api_prefix}/{feature.name}"
        if any(f"{rule.rule}/".startswith(f"{path}/") for rule in app.url_map.iter_rules()):
            yield (
                f"The feature {feature.name} would have its calls under {path}, where the user "
                "system has calls already. Give the feature another name."
            )


def _clashing_calls(app: Flask, feature: Feature, earlier: Sequence[Rule]) -> Iterator[str]:
    owners = {call: rule.endpoint for rule in earlier for call in _calls(rule)}
    ids = {id(rule) for rule in earlier}
    for rule in app.url_map.iter_rules():
        for call in _calls(rule) if id(rule) not in ids else ():
            if call in owners:
                yield (
                    f"The feature {feature.name} has the call {call[0]} {rule.rule}, which "
                    f"{owners[call]} has already. Give it another path."
                )


def _calls(rule: Rule) -> set[tuple[str, str]]:
    """The methods and the path, in which the names of the variables make no difference."""
    path = re.sub(r"<[^>]*>", "<>", rule.rule)
    return {(method, path) for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}
