"""``flask passwords …``: the list of passwords that nobody may set."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import click

from app.cli.refusals import OperatorGroup
from app.security.passwords import breached_list_making
from config import INSTANCE, settings

passwords = OperatorGroup("passwords", help="Make the list of passwords that nobody may set.")


@passwords.command("build-breached")
@click.argument("dump", metavar="FILE", type=click.File("rb"))
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write. Default: PASSWORD_BREACHED_FILE, or else a file in instance/.",
)
@click.option(
    "--at-least",
    type=click.IntRange(1),
    default=1,
    metavar="COUNT",
    help="Leave out hashes that were stolen less often than this. Only for FILEs with counts.",
)
def build_breached(dump: BinaryIO, output: Path | None, at_least: int) -> None:
    """Make the list for PASSWORD_BREACHED of a downloaded dump.

    FILE has one password a line, in UTF-8, or one SHA-1 a line, with or
    without a count, as Have I Been Pwned's dump: HASH:COUNT. A - reads
    standard input, so that a compressed dump need not be unpacked first:

    \b
        gzip -dc dump.gz | flask passwords build-breached - --output breached.bin

    Passwords with fewer than 8 or more than 100 characters are left out, as
    nobody can set them. The list needs 8 bytes for each of the others, and as
    much again on the same disk while it is made. It needs 250 MiB of memory,
    however long FILE is. A list that is there stays in use until the new one is
    complete. Then restart the servers.
    """
    output = output or settings.breached_passwords_file or INSTANCE / "breached_passwords.bin"
    if output.parent == INSTANCE:
        INSTANCE.mkdir(exist_ok=True)
    if not output.parent.is_dir():
        raise click.ClickException(f"There is no folder {output.parent}.")
    try:
        made = breached_list_making.make(
            _lines(dump),
            output,
            at_least=at_least,
            tell=lambda lines: click.echo(f"… {lines:,} lines so far", err=True),
        )
    except breached_list_making.UnfitDump as flaw:
        raise click.ClickException(f"The dump cannot be used. {flaw}") from None
    click.echo(
        f"Wrote {made.entries:,} passwords to {output}, out of {made.lines:,} lines. "
        f"{made.left_out:,} lines were left out: rarer than --at-least, shorter than 8 "
        "or longer than 100 characters, or not in UTF-8."
    )
    if output.resolve() != settings.breached_passwords_file:
        click.echo(
            f"To use the list in place of the one that ships, set "
            f"PASSWORD_BREACHED_FILE={output.resolve()}."
        )
    if settings.breached_passwords == "off":
        click.echo("PASSWORD_BREACHED is off here. Set it to local, or no list is used.")


def _lines(dump: BinaryIO) -> Iterator[bytes]:
    """The lines. One that is too long for a password is read in pieces, to save memory."""
    while line := dump.readline(breached_list_making.MAX_LINE_BYTES):
        yield line
        while line and not line.endswith(b"\n"):
            line = dump.readline(breached_list_making.MAX_LINE_BYTES)
