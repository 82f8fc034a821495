"""``flask users identities``: the accounts of providers with which somebody can log in."""

import click
from flask.cli import with_appcontext

from app.auth.providers import identities
from app.auth.providers.schemas import IdentitySchema
from app.cli.people import found, person
from app.cli.refusals import OperatorCommand
from app.cli.terminal import as_json, in_json, table
from app.http.fields import as_rfc_3339


@click.command("identities", cls=OperatorCommand)
@person
@as_json
@with_appcontext
def show_identities(person: str, as_json: bool) -> None:
    """List the accounts of providers with which somebody can log in.

    The person unlinks them on the page "Connected accounts".

    \b
        flask users identities ada
    """
    user = found(person)
    linked = identities.of(user.id)
    if as_json:
        described = [identities.describe(one) for one in linked]
        click.echo(in_json(IdentitySchema(many=True).dump(described), indent=2))
        return
    if not linked:
        click.echo(f"{user.email} has no linked accounts.")
        return
    rows = [
        (str(one.id), identities.label_of(one), one.label, as_rfc_3339(one.last_used_at) or "")
        for one in linked
    ]
    table(("ID", "PROVIDER", "ACCOUNT", "LAST USED"), rows)
