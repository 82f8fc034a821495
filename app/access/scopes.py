"""The scopes of API keys: permissions, and what everybody may do with their own things.

A permission is a scope as it is. The other scopes are declared here and by
features, in one line each.
"""

from dataclasses import dataclass

from app.access import permissions
from app.access.permissions import MAX_NAME_LENGTH, Permission


@dataclass(frozen=True)
class Scope:
    """What a key may do with the things of its owner. No role gives it: every owner may do it."""

    name: str
    description: str

    def __str__(self) -> str:
        return self.name


_declared: dict[str, Scope] = {}


def declare(name: str, description: str) -> Scope:
    """A new scope for calls on the caller's own things: ``notes``."""
    scope = Scope(name, description)
    permissions.reserve(name)
    if _declared.setdefault(name, scope) != scope:
        raise ValueError(f"The scope {name} is already declared.")
    if len(name) > MAX_NAME_LENGTH or not name.isprintable() or " " in name:
        raise ValueError(
            f"The name {name!r} has a space, or more than {MAX_NAME_LENGTH} characters."
        )
    return scope


def declared() -> list[Scope]:
    """Every scope that is not a permission, by name."""
    return sorted(_declared.values(), key=str)


def known() -> list[Scope | Permission]:
    """Everything that the scopes of a key can name."""
    return [*declared(), *permissions.declared()]


PROFILE = declare("profile", "Read and change your own profile.")

# The scopes that this file declares. Features declare others.
OF_CORE = frozenset(_declared)
