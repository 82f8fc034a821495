"""The commands of ``flask users …`` about accounts that failed logins have stopped."""

from typing import Any

import click

from app.administration import directory, operating
from app.auth.login import suspensions
from app.auth.login.suspensions import Throttled
from app.auth.login.throttle import Kind
from app.cli.groups import users
from app.cli.people import found, person
from app.cli.terminal import as_json, in_json, moment, or_explain, table
from app.cli.users import report
from app.models import User

WORDS = {Kind.PASSWORD: "password", Kind.FACTOR: "second factor"}


@users.command()
@as_json
def suspended(as_json: bool) -> None:
    """List the accounts that cannot log in now because of failed logins.

    After a hundred wrong passwords in a row an account is suspended until its
    owner sets a new one by mail. After five from one network, it waits there.

    \b
        flask users suspended
        flask users unlock ada
    """
    found = suspensions.throttled()
    people = directory.by_ids({one.user_id for one in found})
    rows = [_described(one, people[one.user_id]) for one in found if one.user_id in people]
    if as_json:
        click.echo(in_json(rows, indent=2))
        return
    table(
        ("ID", "EMAIL", "USERNAME", "FAILED", "FAILURES", "FROM", "UNTIL"),
        (tuple(str(value) for value in row.values()) for row in rows),
    )


@users.command()
@person
@as_json
def unlock(person: str, as_json: bool) -> None:
    """Forget the failed logins of an account, so that its owner may try again.

    \b
        flask users unlock ada
    """
    user = found(person)
    had_failures = or_explain(lambda: operating.unlock(user.id))
    words = "may try to log in again" if had_failures else "has no failed logins"
    report(user, f"{user.email} {words}.", as_json)


def _described(one: Throttled, user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "email": user.email,
        "username": user.username,
        "failed": WORDS[one.kind],
        "failures": one.failures,
        "from": "anywhere" if one.is_suspended else one.network,
        "until": "suspended" if one.is_suspended or not one.until else moment(one.until),
    }
