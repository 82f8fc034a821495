"""How a command finds the account that was named: by its address, its username or its id."""

import click

from app.administration import directory
from app.models import User

person = click.argument("person", metavar="PERSON")


def found(text: str) -> User:
    """The account that was named. Ends with one sentence if there is none, or if two fit."""
    accounts = _named(text)
    if not accounts:
        raise click.ClickException(nobody_is(text))
    return accounts[0]


def id_of(text: str) -> int:
    """The id of the account that was named. A number may be the id of an erased account."""
    accounts = _named(text)
    if not accounts and directory.is_id(text):
        return int(text)
    return accounts[0].id if accounts else found(text).id


def nobody_is(text: str) -> str:
    if "@" in text:
        return f"Nobody has the address {text}."
    what = "id or the username" if directory.is_id(text) else "username"
    return f"Nobody has the {what} {text}."


def _named(text: str) -> list[User]:
    accounts = directory.named(text)
    if len(accounts) > 1:
        by_id, by_username = accounts
        raise click.ClickException(
            f"{text} is the id of {by_id.email} and the username of {by_username.email}. "
            "Give the address."
        )
    return accounts
