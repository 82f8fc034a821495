"""``flask users keys …``: the API keys of accounts."""

from uuid import UUID

import click

from app.api_keys import keys as api_keys
from app.api_keys import operating
from app.api_keys.schemas import KeySchema
from app.cli.people import found, person
from app.cli.refusals import OperatorGroup
from app.cli.terminal import as_json, in_json, moment, or_explain, table

keys = OperatorGroup("keys", help="List the API keys of an account; revoke one.")


@keys.command("list")
@person
@as_json
def list_keys(person: str, as_json: bool) -> None:
    """List the API keys of an account, the newest first.

    \b
        flask users keys list ada
    """
    user = found(person)
    held = api_keys.of(user.id)
    if as_json:
        shown = [KeySchema().dump(api_keys.describe(key)) for key in held]
        click.echo(in_json(shown, indent=2))
        return
    table(
        ("ID", "NAME", "KEY", "SCOPES", "UNTIL", "LAST USED"),
        (
            (
                str(key.id),
                key.name,
                key.shown,
                key.scopes,
                moment(key.expires_at),
                moment(key.last_used_at) if key.last_used_at else "",
            )
            for key in held
        ),
    )


@keys.command()
@person
@click.argument("key_id", metavar="ID", type=click.UUID)
def revoke(person: str, key_id: UUID) -> None:
    """End an API key for good. `flask users keys list` shows the ids.

    \b
        flask users keys revoke ada 4a7c5a3e-6d5c-4a55-8a1a-0d5f0f0a9c11
    """
    user = found(person)
    key = or_explain(
        lambda: operating.revoke(user.id, key_id, actor=None),
        f"{user.email} has no API key with the id {key_id}.",
    )
    click.echo(f"The API key {key.shown} of {user.email} is revoked.")
