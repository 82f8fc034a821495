"""``flask users list``, ``search`` and ``stats``: many accounts at a time."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import click

from app.administration import directory
from app.auth.schemas import UserSchema
from app.cli.arguments import Instant
from app.cli.groups import users
from app.cli.terminal import (
    as_json,
    counting,
    in_json,
    json_list,
    moment,
    table,
    yes_or_no,
)
from app.database.types import MAX_ID
from app.models import User

at_most = click.option("--limit", type=click.IntRange(1, MAX_ID), help="List at most this many.")


@users.command("list")
@click.option("--active/--inactive", "is_active", default=None, help="Whether they may log in.")
@click.option(
    "--verified/--unverified", "email_verified", default=None, help="Whether the address is."
)
@click.option("--superuser/--no-superuser", "is_superuser", default=None, help="All rights or not.")
@click.option(
    "--second-step/--no-second-step",
    default=None,
    help="Only accounts whose logins need a second factor, or only those whose logins do not.",
)
@click.option(
    "--created-after",
    type=Instant(),
    help="Made at this time or later, like 2026-11-22 or 2026-11-22T08:00:00Z.",
)
@click.option("--created-before", type=Instant(), help="Made earlier than this time.")
@at_most
@as_json
def list_(limit: int | None, as_json: bool, **filters: Any) -> None:
    """List accounts, the oldest first: all, or those that fit every filter.

    \b
        flask users list --inactive --created-after 2026-11-01 --limit 20
    """
    given = {name: value for name, value in filters.items() if value is not None}
    _print_all(directory.everybody(**given), limit, as_json)


@users.command()
@click.argument("text")
@at_most
@as_json
def search(text: str, limit: int | None, as_json: bool) -> None:
    """List the accounts whose email, username or full name contain TEXT.

    TEXT may be anywhere in them, in upper or lower case. It is not a pattern.

    \b
        flask users search lovelace
    """
    _print_all(directory.everybody(q=text), limit, as_json)


@users.command()
@as_json
def stats(as_json: bool) -> None:
    """Count the accounts, and the sessions that are alive. It reads every account.

    \b
        flask users stats --json
    """
    counts = directory.statistics()
    if as_json:
        click.echo(in_json(counts))
        return
    for name, number in counts.items():
        click.echo(f"{name.replace('_', ' ')}: {number}")


def _print_all(batches: Iterable[Sequence[User]], limit: int | None, as_json: bool) -> None:
    everybody: Iterator[User] = islice(counting(batches, "accounts"), limit)
    if as_json:
        schema = UserSchema()
        json_list(schema.dump(user) for user in everybody)
        return
    table(
        ("ID", "EMAIL", "USERNAME", "ACTIVE", "SUPERUSER", "VERIFIED", "CREATED", "NAME"),
        map(_row, everybody),
    )


def _row(user: User) -> tuple[Any, ...]:
    return (
        str(user.id),
        user.email,
        user.username,
        yes_or_no(user.is_active),
        yes_or_no(user.is_superuser),
        yes_or_no(user.email_verified),
        moment(user.created_at),
        user.full_name or "",
    )
