"""``flask settings show``: what the settings are, and where each comes from."""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

import click
from flask import current_app
from sqlalchemy.engine import URL

import config
from app.cli.refusals import OperatorGroup
from app.cli.terminal import as_json, in_json, table
from configuration import env_file
from configuration.table import variables_of

HIDDEN = "(hidden)"
# What a variable holds that ends with one of these words. RATELIMIT_TOKEN is a limit.
SECRET = re.compile(r"(?<!RATELIMIT_)(SECRET|KEYS?|TOKEN|PASSWORD|PEPPERS?|SALT)$|^SECRET_")
PASSWORD_IN_URL = re.compile(r"(://[^/?#\s]*?:)[^/?#\s]*(@)|((?:password|passwd)=)[^&\s]*")
UNITS = {
    "SECONDS": timedelta(seconds=1),
    "MINUTES": timedelta(minutes=1),
    "HOURS": timedelta(hours=1),
    "DAYS": timedelta(days=1),
}

settings = OperatorGroup("settings", help="Show the settings, and where each comes from.")


class Setting(NamedTuple):
    name: str
    value: str
    source: str


@settings.command()
@click.argument("text", required=False, default="")
@as_json
def show(text: str, as_json: bool) -> None:
    """Show the effective settings: all, or those whose names contain TEXT.

    The source of each is the environment of this command, the file .env, or
    the default. Secrets, and passwords in URLs, are hidden. The server may
    have been started with another environment.

    \b
        flask settings show mail
    """
    found = [each for each in _every() if text.upper() in each.name]
    if not found:
        raise click.ClickException(f"No setting has {text} in its name.")
    if as_json:
        click.echo(in_json([each._asdict() for each in found], indent=2))
        return
    table(("NAME", "VALUE", "SOURCE"), found)


def _every() -> Iterator[Setting]:
    effective: config.Settings = current_app.config["SETTINGS"]
    of_file = env_file.of_checkout(config.ROOT)
    for settings_of, holder in ((type(effective), effective), *effective.tables.items()):
        for field, variable in variables_of(settings_of).items():
            yield _setting(variable.name, getattr(holder, field), of_file)
    for name, value in effective.dynamic.items():
        yield _setting(name, value, of_file)


def _setting(name: str, value: Any, of_file: Mapping[str, str]) -> Setting:
    return Setting(name, _in_words(name, value), env_file.source_of(name, of_file))


def _in_words(name: str, value: Any) -> str:
    if SECRET.search(name):
        return HIDDEN if value else ""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case timedelta():
            return f"{value / UNITS.get(name.rpartition('_')[2], UNITS['SECONDS']):g}"
        case URL():
            text = value.render_as_string(hide_password=True)
        case list() | tuple() | frozenset() | set():
            text = ", ".join(map(str, value))
        case _:
            text = str(value)
    return PASSWORD_IN_URL.sub(r"\1\3***\2", text)
