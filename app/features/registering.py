"""Adding what the features bring to an application."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from flask import Flask
from werkzeug.routing import Rule

from app.database import branches
from app.features import clashes, tables
from app.features.feature import Feature
from app.http.blueprint import is_documented
from app.http.openapi import api, register_page
from app.mail import wordings
from config import Settings, SettingsRefused


def init_app(
    app: Flask,
    features: Sequence[Feature],
    *,
    ours: Sequence[Feature],
    api_prefix: str,
    core: Mapping[str, Iterable[str]],
) -> None:
    """Register the calls, the pages and the commands of the features.

    Other parts of the application read the rest with ``features.active()``.
    ``core`` has names of the core, by what they name. Raises
    ``SettingsRefused`` with all reasons if a feature does not fit.
    """
    _refuse(_flaws(app, features, ours, core))
    _refuse(_taken_paths(app, [each for each in features if each not in ours], api_prefix))
    app.extensions["features"] = tuple(features)
    branches.init_app(app, {each.name: each.migrations for each in features if each.migrations})
    readers = [feature.key_reader for feature in features if feature.key_reader]
    app.extensions["key_reader"] = readers[0] if readers else None
    factors = [feature.has_factor for feature in features if feature.has_factor]
    _refuse(_demanded_in_vain(app.config["SETTINGS"], factors))
    app.extensions["has_factor"] = lambda user_id: any(has(user_id) for has in factors)
    for feature in features:
        if feature.init_app:
            feature.init_app(app)
        earlier = list(app.url_map.iter_rules())
        _register(app, feature, api_prefix, is_ours=feature in ours)
        _refuse(_clashing_calls(app, feature, earlier))


def _refuse(reasons: Iterable[str]) -> None:
    if found := list(reasons):
        raise SettingsRefused(*found)


def _register(app: Flask, feature: Feature, api_prefix: str, *, is_ours: bool) -> None:
    for blueprint in feature.blueprints:
        prefix = f"/{feature.name}{blueprint.url_prefix or ''}"
        if is_ours and blueprint.url_prefix is not None:
            prefix = blueprint.url_prefix
        api.register_blueprint(blueprint, url_prefix=api_prefix + prefix)
    for page in feature.pages:
        register_page(app, page)
    for command in feature.commands:
        app.cli.add_command(command)


def _flaws(
    app: Flask,
    features: Sequence[Feature],
    ours: Sequence[Feature],
    core: Mapping[str, Iterable[str]],
) -> Iterator[str]:
    for feature in features:
        yield from _missing_parts(app, feature)
        if feature.needs and feature.needs not in {each.name for each in features}:
            yield (
                f"The feature {feature.name} needs the feature {feature.needs}, which is not "
                f"there. Put {feature.needs} back, or take {feature.name} out too."
            )
        yield from tables.flaws(feature, features, is_ours=feature in ours)
    yield from clashes.flaws(features, clashes.of_core(app, features) | dict(core))


def _demanded_in_vain(settings: Settings, factors: Sequence[object]) -> Iterator[str]:
    if settings.mfa_required != "none" and not factors:
        yield (
            f"MFA_REQUIRED is {settings.mfa_required}, and this tree has no feature for second "
            "factors. Set MFA_REQUIRED=none, or put the features back into OPTIONAL."
        )


def _missing_parts(app: Flask, feature: Feature) -> Iterator[str]:
    for part in ("migrations", "templates", "translations"):
        folder = getattr(feature, part)
        if folder is not None and not folder.is_dir():
            yield f"The feature {feature.name} has its {part} in {folder}, which is not a folder."
    for blueprint in feature.blueprints:
        if not is_documented(blueprint):
            yield (
                f"The feature {feature.name} has the blueprint {blueprint.name} of Flask in its "
                "blueprints. Make it with Blueprint from app.http.blueprint, or list it in pages, "
                "where it has its own path."
            )
    for mail in feature.mails:
        if not wordings.is_registered(mail):
            yield (
                f"The feature {feature.name} has the mail {mail.__qualname__}, which has no name "
                'in the outbox. Decorate it with @message("a_name"), from app.mail.wordings.'
            )
    if feature.settings and feature.settings not in app.config["SETTINGS"].tables:
        yield (
            f"The settings of the feature {feature.name} were not read. Make the settings with "
            "read_settings(…), from app."
        )


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
