"""The commands of ``flask users …`` that know the second factors of accounts."""

from typing import Any

import click
from flask.cli import with_appcontext

from app.access import permissions
from app.auth.mfa import factors, operating
from app.auth.mfa.schemas import FactorsSchema
from app.auth.schemas import UserSchema
from app.cli.people import found, person
from app.cli.refusals import OperatorCommand
from app.cli.terminal import as_json, confirm, detail, in_json, or_explain, without_asking


@click.command(cls=OperatorCommand)
@person
@as_json
@with_appcontext
def show(person: str, as_json: bool) -> None:
    """Show an account, its roles and its second factors.

    \b
        flask users show ada
    """
    user = found(person)
    names = [role.name for role in permissions.roles_of(user.id)]
    held = factors.describe(user)
    shown = UserSchema().dump(user) | {"roles": names}
    if as_json:
        click.echo(in_json(shown | {"factors": FactorsSchema().dump(held)}))
        return
    words_for = {
        "roles": ", ".join(names),
        "second_step": held["second_step"],
        "factors": _factors_in_words(held),
    }
    for name, value in (shown | words_for).items():
        detail(name, value)


@click.command("reset-factors", cls=OperatorCommand)
@person
@without_asking
@as_json
@with_appcontext
def reset_factors(person: str, yes: bool, as_json: bool) -> None:
    """Remove the second factors of an account whose owner has lost them.

    Its passkeys, recovery codes and remembered devices go, too. It is signed
    out everywhere, and a mail says so. The password stays.

    \b
        flask users reset-factors ada
    """
    user = found(person)
    confirm(
        f"{user.email} will be able to log in with the password alone. "
        "Remove the second factors, and sign the account out everywhere?",
        yes,
    )
    count = or_explain(lambda: operating.reset(user.id, actor=None))
    if as_json:
        click.echo(in_json(UserSchema().dump(user) | {"factors_removed": count or 0}))
    elif count is None:
        click.echo(f"Nothing to reset: {user.email} has no second factor.")
    else:
        factors = "1 second factor" if count == 1 else f"{count} second factors"
        click.echo(f"Removed {factors} of {user.email}, which is signed out everywhere.")


def _factors_in_words(held: dict[str, Any]) -> str:
    words = ["authenticator app"] if held["totp"] else []
    if held["passkeys"]:
        words.append(f"passkeys: {len(held['passkeys'])}")
    if held["recovery_codes"]:
        words.append(f"recovery codes: {held['recovery_codes']['left']}")
    return ", ".join(words)
