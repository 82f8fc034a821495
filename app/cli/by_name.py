"""Groups of commands whose modules are imported when a command is called, or listed by --help."""

from collections.abc import Callable, Mapping
from pkgutil import resolve_name
from typing import Any

import click
from flask.cli import AppGroup


class ByName(AppGroup):
    """A group that finds its commands by name: ``{"list": "app.cli.listing:list_users"}``.

    So a command does not wait for the modules of all the others.
    """

    def __init__(self, *args: Any, places: Mapping[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.places = dict(places or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*self.places, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.places:
            return super().get_command(ctx, cmd_name)
        command: click.Command = resolve_name(self.places[cmd_name])
        return command


class Commands(ByName):
    """All commands of an application. Some of them need no more of it than its database.

    The rest of the application is made for the others, and for --help, which
    lists the commands of features and libraries too.
    """

    def __init__(self, places: Mapping[str, str], *, need_all: frozenset[str]) -> None:
        super().__init__(places=places)
        self._need_all = need_all
        self._make_rest: Callable[[], None] | None = None

    def make_rest_later(self, make_rest: Callable[[], None]) -> None:
        self._make_rest = make_rest

    def list_commands(self, ctx: click.Context) -> list[str]:
        self._complete()
        return super().list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self._need_all or cmd_name not in self.places:
            self._complete()
        return super().get_command(ctx, cmd_name)

    def _complete(self) -> None:
        make_rest, self._make_rest = self._make_rest, None
        if make_rest is not None:
            make_rest()
