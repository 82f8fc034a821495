"""``flask users export``: writes all accounts to a file."""

import os
from pathlib import Path

import click
from flask.cli import with_appcontext

from app.cli.refusals import OperatorCommand
from app.cli.terminal import NEW_FILE
from app.moving import exporting, files


@click.command("export", cls=OperatorCommand)
@click.argument("file", type=NEW_FILE)
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "csv"]),
    help="JSON Lines or CSV. Default: what the file's extension says.",
)
@click.option(
    "--with-password-hashes",
    is_flag=True,
    help="Write the password hashes too. Guard the file: passwords can be guessed with it.",
)
@with_appcontext
def export_users(file: Path, form: str | None, with_password_hashes: bool) -> None:
    """Write every account to FILE, a new file that only you can read.

    `flask users import` reads it back.

    \b
        flask users export accounts.jsonl
    """
    form = form or files.format_of(file)
    if form not in ("jsonl", "csv"):
        raise click.UsageError("The file's extension is not .jsonl or .csv. Use --format.")
    columns = exporting.columns(with_password_hashes=with_password_hashes)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise click.ClickException(f"The file {file} exists already.") from None
    except OSError as error:
        raise click.ClickException(f"Cannot write {file}: {error.strerror}.") from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as opened:
            accounts = exporting.accounts(with_password_hashes=with_password_hashes)
            number = files.write(opened, form, columns, accounts)
    except BaseException:
        # Half an export would be taken for a whole one.
        file.unlink()
        raise
    click.echo(f"Wrote {number} accounts to {file}.")
