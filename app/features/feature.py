"""An optional feature as one object. ``docs/extending.md`` explains each field."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import click
import flask
from flask import Flask, current_app
from marshmallow.fields import Field

from app.access.keys import KeyReader
from app.access.permissions import Permission
from app.access.proof import Proof
from app.access.scopes import Scope
from app.audit.vocabulary import FeatureEvent
from app.errors import AppError
from app.extensions import Base
from app.features.checks import Check
from app.features.credentials import CredentialChange
from app.features.keyed import KeyedRows
from app.models import Session, User
from app.security.tokens import TokenPair

if TYPE_CHECKING:
    from app.http.blueprint import Blueprint

# It runs between the first proof and the session. It may raise `LoginRefused`, or return a proof
# that says more.
Stage = Callable[[User, Proof], Proof]
# It removes up to this many rows, and commits. It returns how many it removed.
Prune = Callable[[int], int]


@dataclass(frozen=True)
class ExportPart:
    """A member of ``GET /users/me/export``: its name, its type, and the function that reads it.

    The result may be an iterator if the field is a list.
    """

    key: str
    field: Field[Any]
    held_about: Callable[[User], Any]


@dataclass(frozen=True)
class MenuEntry:
    """A link in the menu of the account pages."""

    label: str
    path: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Feature:
    """What a feature brings. Everything but the name may be left out."""

    # The prefix of its tables, its part of the URL, and its branch of the migrations:
    # [a-z][a-z0-9_]{0,29}.
    name: str
    # The versions of the user system that it works with, like ">=0.2,<0.4".
    requires: str = ""
    # The name of another feature, without which it cannot work.
    needs: str = ""

    # Calls under /api/v1/<name>. A feature of this tree may name other paths. A blueprint may be
    # given by its name, like "acme.routes:bp". Then commands, which need no routes, start sooner.
    blueprints: Sequence["Blueprint | str"] = ()
    # Pages at their own paths, or their names.
    pages: Sequence[flask.Blueprint | str] = ()
    commands: Sequence[click.Command] = ()
    # Entries of the account pages.
    menu: Sequence[MenuEntry] = ()

    models: Sequence[type[Base]] = ()
    # The folder with its branch of the migrations. None if its tables are in ours.
    migrations: Path | None = None
    # Its part of GET /users/me/export.
    exported: Sequence[ExportPart] = ()
    # Deletes or cleans the rows of these users, before the users are deleted. It does not commit.
    # None if each foreign key says ON DELETE.
    erased: Callable[[Sequence[int]], None] | None = None
    # Its rows that need a key of the key ring. `flask keys reseal` moves the sealed ones to the
    # newest key, and `flask doctor` counts those whose key is gone.
    keyed: Sequence[KeyedRows] = ()
    # What `flask prune` removes, and the function that does it.
    prunes: Mapping[str, Prune] = field(default_factory=dict)

    permissions: Sequence[Permission] = ()
    # The scopes of API keys for its calls on the caller's own things.
    scopes: Sequence[Scope] = ()
    events: Sequence[FeatureEvent] = ()
    errors: Sequence[type[AppError]] = ()
    # The messages and resolvers that it queues.
    mails: Sequence[Any] = ()
    # A dataclass whose fields are `variable(...)`.
    settings: type[Any] | None = None
    # Runs when the application is made. It may raise `SettingsRefused`.
    init_app: Callable[[Flask], None] | None = None
    # What `flask doctor` looks at.
    checks: Sequence[Check] = ()
    stages: Sequence[Stage] = ()
    # Whether the user with this id has a second factor.
    has_factor: Callable[[int], bool] | None = None
    # Whether the user with this id can log in by what the feature has, without a password.
    has_way_in: Callable[[int], bool] | None = None
    # Compares a second proof of a signed-in user. It locks the user, and the caller commits.
    prove_again: Callable[[Session, Mapping[str, Any]], Proof] | None = None
    # Recognizes and opens API keys. Only the first feature that has one is asked.
    key_reader: KeyReader | None = None
    # Ways to a token for OAuth clients, by their `grant_type`.
    grants: Mapping[str, Callable[[Mapping[str, str]], TokenPair]] = field(default_factory=dict)
    # Ends what must not outlive a change of a password, an address or a factor. The caller has
    # locked the user, and commits.
    credentials_changed: Callable[[User, CredentialChange], None] | None = None

    # Folders. A template is found as <name>/<file>; translations are those of the domain messages.
    templates: Path | None = None
    translations: Path | None = None

    def all_blueprints(self) -> "list[Blueprint]":
        """The blueprints of its calls. Those that were given by name are imported."""
        return [_imported(each) for each in self.blueprints]

    def all_pages(self) -> list[flask.Blueprint]:
        """The blueprints of its pages. Those that were given by name are imported."""
        return [_imported(each) for each in self.pages]


def _imported(blueprint: Any) -> Any:
    return resolve_name(blueprint) if isinstance(blueprint, str) else blueprint


def active() -> tuple[Feature, ...]:
    """The features of the current application."""
    features: tuple[Feature, ...] = current_app.extensions["features"]
    return features
