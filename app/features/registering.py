"""Adding what the features bring to an application, but for what answers requests."""

from collections.abc import Iterable, Iterator, Sequence

from flask import Flask

from app.database import branches
from app.features import tables
from app.features.feature import Feature
from app.mail import wordings
from config import Settings, SettingsRefused


def init_app(app: Flask, features: Sequence[Feature], *, ours: Sequence[Feature]) -> None:
    """Make the features known, and call what each does when the application is made.

    Other parts of the application read the rest with ``features.active()``.
    Raises ``SettingsRefused`` with all reasons if a feature does not fit.
    """
    refuse(_flaws(app, features, ours))
    app.extensions["features"] = tuple(features)
    branches.init_app(app, {each.name: each.migrations for each in features if each.migrations})
    readers = [feature.key_reader for feature in features if feature.key_reader]
    app.extensions["key_reader"] = readers[0] if readers else None
    factors = [feature.has_factor for feature in features if feature.has_factor]
    refuse(_demanded_in_vain(app.config["SETTINGS"], factors))
    app.extensions["has_factor"] = lambda user_id: any(has(user_id) for has in factors)
    for feature in features:
        if feature.init_app:
            feature.init_app(app)


def refuse(reasons: Iterable[str]) -> None:
    if found := list(reasons):
        raise SettingsRefused(*found)


def _flaws(app: Flask, features: Sequence[Feature], ours: Sequence[Feature]) -> Iterator[str]:
    for feature in features:
        yield from _missing_parts(app, feature)
        if feature.needs and feature.needs not in {each.name for each in features}:
            yield (
                f"The feature {feature.name} needs the feature {feature.needs}, which is not "
                f"there. Put {feature.needs} back, or take {feature.name} out too."
            )
        yield from tables.flaws(feature, features, is_ours=feature in ours)


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
