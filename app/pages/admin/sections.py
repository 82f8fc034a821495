"""The parts of the page of an account that belong to optional features.

A feature's page file has a ``Section``, and ``app/pages/registering.py`` names
it beside the pages of the feature. Without the feature there is no such part.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Flask, current_app

from app.access.permissions import Permission, Rights
from app.models import User

_KEY = "sections of a person"


@dataclass(frozen=True)
class Section:
    """What administrators with the permission see about an account.

    The template gets what the page has, and beside it what ``read`` returns,
    as ``held``.
    """

    permission: Permission
    template: str
    read: Callable[[User], Any]


def init_app(app: Flask, sections: Sequence[Section]) -> None:
    app.extensions[_KEY] = tuple(sections)


def read(person: User, rights: Rights) -> list[tuple[str, Any]]:
    """The template of each section that somebody with these rights may see, and its content."""
    sections: tuple[Section, ...] = current_app.extensions[_KEY]
    return [
        (section.template, section.read(person))
        for section in sections
        if rights.include(section.permission)
    ]
