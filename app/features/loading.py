"""Finding the features that ``FEATURES`` names, in other packages."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import is_dataclass
from functools import reduce
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from app.features.feature import Feature
from app.version import VERSION
from config import Settings, SettingsRefused

# A package may offer its feature under this group of entry points.
GROUP = "user_system.features"
NAME = re.compile(r"[a-z][a-z0-9_]{0,29}")
# The branch of our own migrations, and words that mean revisions to Alembic.
TAKEN_BY_MIGRATIONS = ("core", "base", "current", "head", "heads")


class _Refused(Exception):
    """The reason why one feature cannot be used."""


def load(settings: Settings, ours: Sequence[Feature]) -> tuple[Feature, ...]:
    """The features of this tree, and those that the setting ``FEATURES`` names.

    Raises ``SettingsRefused`` with all reasons if one of them cannot be used.
    """
    others: list[Feature] = []
    reasons: list[str] = []
    for given in settings.features:
        try:
            others.append(_find(given))
        except _Refused as refused:
            reasons.append(f"FEATURES names {given!r}, {refused}")
    reasons += _flaws_of_names((*ours, *others))
    if reasons:
        raise SettingsRefused(*reasons)
    return (*ours, *others)


def _find(given: str) -> Feature:
    """The object with this name: ``acme_billing``, ``acme_billing:FEATURE`` or an entry point."""
    found = list(entry_points(group=GROUP, name=given))
    if len({each.value for each in found}) > 1:
        packages = " and ".join(sorted(each.dist.name for each in found if each.dist))
        raise _Refused(f"which several packages offer ({packages}). Remove one of them.")
    path = found[0].value if found else given
    module, _, attribute = path.partition(":")
    feature = _imported(module, attribute or "FEATURE")
    if not isinstance(feature, Feature):
        raise _Refused(
            f"and {module}:{attribute or 'FEATURE'} is of the type {type(feature).__name__}. "
            "It must be a Feature, from app.features."
        )
    if flaw := _version_flaw(feature):
        raise _Refused(flaw)
    if feature.settings and not is_dataclass(feature.settings):
        raise _Refused(
            f"whose settings, {feature.settings.__qualname__}, are not a dataclass. Decorate them "
            "with @dataclass(frozen=True, kw_only=True)."
        )
    return feature


def _imported(module: str, attribute: str) -> Any:
    try:
        found = import_module(module)
    except Exception as error:
        package = module.partition(".")[0]
        remedy = f"""Correct it; `python -c "import {module}"` shows the whole error."""
        if isinstance(error, ModuleNotFoundError) and error.name == package:
            remedy = "Install its package into this environment, or correct the name."
        reason = f"{type(error).__name__}: {error}".partition("\n")[0].rstrip(".")
        raise _Refused(f"which cannot be imported ({reason}). {remedy}") from error
    try:
        return reduce(getattr, attribute.split("."), found)
    except AttributeError:
        raise _Refused(
            f"and {module} has no {attribute}. Name its Feature: {module}:NAME."
        ) from None


def _version_flaw(feature: Feature) -> str | None:
    # Without features of other packages, no command needs it.
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        accepted = SpecifierSet(feature.requires)
    # A value that is not a string raises one of the other two.
    except (InvalidSpecifier, TypeError, AttributeError):
        return f'whose "requires" is {feature.requires!r}. Write versions like ">=0.2,<0.4".'
    if accepted.contains(VERSION, prereleases=True):
        return None
    return (
        f"which works with the versions {feature.requires} of the user system, and this is "
        f"{VERSION}. Install a version of the feature for {VERSION}."
    )


def _flaws_of_names(features: Sequence[Feature]) -> Iterator[str]:
    seen: set[str] = set()
    for feature in features:
        if not isinstance(feature.name, str) or not NAME.fullmatch(feature.name):
            yield (
                f"The feature {feature.name!r} has a name that is not accepted. Use 1 to 30 of the "
                "characters a-z, 0-9 and _, with a letter first."
            )
        if feature.name in TAKEN_BY_MIGRATIONS:
            yield (
                f"The feature {feature.name} has a name that has another meaning in flask db. Give "
                "the feature another name."
            )
        if feature.name in seen:
            yield f"Two features have the name {feature.name}. Remove one of them from FEATURES."
        seen.add(feature.name)
