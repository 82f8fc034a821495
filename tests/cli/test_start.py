"""What a command waits for at its start."""

from pkgutil import resolve_name

import click
from flask import Flask

from app import create_app
from app.cli import COMMANDS
from app.cli.groups import users
from config import Settings


def test_the_tables_name_each_command_by_its_place() -> None:
    places = COMMANDS | users.places

    assert {name: resolve_name(place).name for name, place in places.items()} == {
        name: name for name in places
    }


def test_the_rest_of_the_application_is_made_for_those_who_need_it(app: Flask) -> None:
    settings: Settings = app.config["SETTINGS"]
    light = create_app(settings, for_command=True)

    with click.Context(light.cli) as context:
        assert light.cli.get_command(context, "users") is users
        assert list(light.url_map.iter_rules()) == []

        assert light.cli.get_command(context, "doctor") is not None
        assert len(list(light.url_map.iter_rules())) == len(list(app.url_map.iter_rules()))
        assert light.cli.list_commands(context) == app.cli.list_commands(click.Context(app.cli))
