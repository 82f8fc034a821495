"""Names that two features have, or a feature and the core: they stop the start."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import click
from flask import Flask

from app import models
from app.access import permissions, scopes
from app.audit.vocabulary import Event
from app.errors import AppError
from app.features.feature import Feature
from app.http.blueprint import operation_ids
from app.mail import wordings

# Flask's own commands, which would win.
COMMANDS_OF_FLASK = ("routes", "run", "shell")

# What has names, and the names that a feature brings.
BROUGHT: Mapping[str, Callable[[Feature], Iterable[str]]] = {
    "table": lambda feature: [str(model.__table__) for model in feature.models],
    "permission": lambda feature: [str(one) for one in feature.permissions],
    "scope": lambda feature: [str(one) for one in feature.scopes],
    "event": lambda feature: [event.value for event in feature.events],
    "error code": lambda feature: [one.code for one in feature.errors if "code" in vars(one)],
    "mail": lambda feature: map(wordings.name_of, filter(wordings.is_registered, feature.mails)),
    "part of the export": lambda feature: [part.key for part in feature.exported],
    "kind of pruned rows": lambda feature: list(feature.prunes),
    "check of flask doctor": lambda feature: [check.name for check in feature.checks],
    "command": lambda feature: [str(command.name) for command in feature.commands],
    "blueprint": lambda feature: (
        [one.name for one in feature.all_blueprints()] + [one.name for one in feature.all_pages()]
    ),
    "view": lambda feature: [
        view for blueprint in feature.all_blueprints() for view in operation_ids(blueprint)
    ],
    "page of the menu": lambda feature: [entry.path for entry in feature.menu],
}


def of_core(app: Flask, features: Sequence[Feature]) -> dict[str, set[str]]:
    """The names that the core has. The caller adds those that are known only above."""
    theirs = {error for feature in features for error in feature.errors}
    return {
        "table": {getattr(models, name).__tablename__ for name in models.__all__},
        "permission": set(permissions.OF_CORE),
        "scope": set(scopes.OF_CORE),
        "event": {event.value for event in Event},
        "error code": {error.code for error in _errors_of_core(AppError) if error not in theirs},
        "command": {*app.cli.list_commands(click.Context(app.cli)), *COMMANDS_OF_FLASK},
        "blueprint": set(app.blueprints),
        "view": {view for each in app.blueprints.values() for view in operation_ids(each)},
    }


def flaws(features: Sequence[Feature], core: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """A sentence for each name that somebody else has already, or the feature itself."""
    for kind, names_of in BROUGHT.items():
        owners = dict.fromkeys(core.get(kind, ()), "the user system")
        for feature in features:
            for name in names_of(feature):
                if name in owners:
                    yield (
                        f"The feature {feature.name} has the {kind} {name}, which {owners[name]} "
                        "has already. Rename it."
                    )
                owners.setdefault(name, f"the feature {feature.name}")


def _errors_of_core(kind: type[AppError]) -> Iterator[type[AppError]]:
    for error in kind.__subclasses__():
        if error.__module__.startswith("app.") and "code" in vars(error):
            yield error
        yield from _errors_of_core(error)
