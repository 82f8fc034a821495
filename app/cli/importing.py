"""``flask users import``: creates accounts from a file."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click
from flask.cli import with_appcontext

from app.cli.quiet import log_held_back
from app.cli.refusals import OperatorCommand
from app.cli.terminal import NEW_FILE, PROGRESS_EVERY
from app.moving import files, reports, systems
from app.moving.candidates import Rules
from app.moving.checkpoints import Checkpoint
from app.moving.files import UnfitFile
from app.moving.run import Plan, WrongFile, run
from app.moving.systems import SYSTEMS, Particulars
from config import settings

FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
FILE_OR_STDIN = click.Path(
    exists=True, dir_okay=False, readable=True, allow_dash=True, path_type=Path
)
STDIN = Path("-")


@click.command("import", cls=OperatorCommand)
@click.argument("file", type=FILE_OR_STDIN)
@click.option(
    "--from",
    "system",
    type=click.Choice(list(SYSTEMS)),
    default="native",
    show_default=True,
    help="The system that the file comes from.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(files.FORMATS),
    help="JSON Lines, a JSON array or CSV. Default: what the file's extension says.",
)
@click.option(
    "--dry-run", is_flag=True, help="Try the import and keep nothing. The report is the same."
)
@click.option("--report", type=NEW_FILE, help="Write the result of each row, as JSON Lines.")
@click.option("--allow-reserved", is_flag=True, help="Accept reserved usernames, like admin.")
@click.option("--allow-superusers", is_flag=True, help="Accept accounts that have all rights.")
@click.option(
    "--derive-usernames",
    is_flag=True,
    help="Derive a username from the address if the given one is taken or not valid here.",
)
@click.option("--assume-verified", is_flag=True, help="Treat every address as confirmed.")
@click.option(
    "--single-hash",
    is_flag=True,
    help="Flask-Security: SECURITY_PASSWORD_SINGLE_HASH was true there.",
)
@click.option("--password-hashes", type=FILE, help="Auth0: the file of password hashes.")
@click.option(
    "--firebase-rounds",
    type=click.IntRange(1, 8),
    default=8,
    show_default=True,
    help="Firebase: rounds in its password hash parameters.",
)
@click.option(
    "--firebase-memory-cost",
    type=click.IntRange(1, 14),
    default=14,
    show_default=True,
    help="Firebase: mem_cost in the same parameters.",
)
@click.option(
    "--firebase-salt-separator",
    default="Bw==",
    show_default=True,
    help="Firebase: base64_salt_separator in the same parameters.",
)
@with_appcontext
def import_users(
    file: Path,
    system: str,
    form: str | None,
    dry_run: bool,
    report: Path | None,
    allow_reserved: bool,
    allow_superusers: bool,
    derive_usernames: bool,
    assume_verified: bool,
    single_hash: bool,
    password_hashes: Path | None,
    firebase_rounds: int,
    firebase_memory_cost: int,
    firebase_salt_separator: str,
) -> None:
    """Create accounts from the rows of FILE, or of standard input (-).

    It sends no mail. People keep their passwords: the next login verifies the
    hash of the other system, and replaces it. docs/moving-in.md says how to
    export from each system. If the import is interrupted, run the command
    again: it continues where it stopped, and skips accounts that exist
    already. A pipe starts from its beginning again.

    The exit status is 2 if rows were refused and there is no --report. With
    one it is 0, as the report says which rows they are.

    Try it first; the report has a line for every row:

    \b
        flask users import users.csv --from django --dry-run --report report.jsonl
    """
    form = form or files.format_of(file)
    if form is None:
        raise click.UsageError("The file's extension does not name a format. Use --format.")
    if report == STDIN:
        raise click.UsageError(
            "The report needs a file of its own: standard output has the summary. "
            "Write --report report.jsonl."
        )
    _refuse_to_overwrite(report, file, password_hashes)
    particulars = Particulars(
        is_csv=form == "csv",
        single_hash=single_hash,
        password_hashes=_read_password_hashes(password_hashes),
        firebase_rounds=firebase_rounds,
        firebase_memory_cost=firebase_memory_cost,
        firebase_salt_separator=firebase_salt_separator,
    )
    rules = Rules(
        system=system,
        allow_reserved=allow_reserved,
        allow_superusers=allow_superusers,
        derive_usernames=derive_usernames,
        assume_verified=assume_verified,
        leave_out=system != "native",
    )
    plan = Plan(form, rules, particulars, report)
    checkpoint = plan.checkpoint(file) if _is_regular(file) else Checkpoint.none()
    if dry_run:
        checkpoint = Checkpoint(None, checkpoint.fingerprint)
    elif checkpoint.rows:
        click.echo(f"Continuing after {checkpoint.rows} rows.", err=True)
    _warn_if_not_kept(checkpoint)

    try:
        with _opened(file) as opened, _progress(_size(file)) as advance:
            unreadable = run(opened, plan, checkpoint, dry_run=dry_run, advance=advance)
    except WrongFile as reason:
        raise click.ClickException(str(reason)) from None
    except reports.NotWritten as reason:
        raise click.ClickException(f"Cannot write {report}: {reason}.") from None
    _summarize(checkpoint.counts, dry_run=dry_run)
    if checkpoint.counts["refused"] and report is None:
        # A script must not take this for a whole import.
        number = checkpoint.counts["refused"]
        click.echo(
            f"Refused {number} {'row' if number == 1 else 'rows'}. "
            "`--report FILE` writes down which ones, and why.",
            err=True,
        )
    if unreadable:
        raise click.ClickException(f"{unreadable} The rest of the file was not imported.")
    if checkpoint.counts["refused"] and report is None:
        sys.exit(2)


def _refuse_to_overwrite(report: Path | None, *read: Path | None) -> None:
    files_read = (file for file in read if file is not None and file != STDIN)
    if report and report.exists() and any(report.samefile(file) for file in files_read):
        raise click.UsageError("--report would overwrite a file that the import reads.")


def _opened(file: Path) -> BinaryIO:
    return sys.stdin.buffer if file == STDIN else file.open("rb")


def _warn_if_not_kept(checkpoint: Checkpoint) -> None:
    """Say before the first row that an interrupted import could not continue where it stopped."""
    if why := checkpoint.objection():
        click.echo(
            f"No checkpoint can be kept beside the file ({why}). If the import is interrupted, "
            "the next one begins at the start and skips accounts that exist already.",
            err=True,
        )


@contextmanager
def _progress(size: int) -> Iterator[Callable[[int], None]]:
    """A bar if the size is known and somebody watches; otherwise a line now and then."""
    if size and sys.stderr is not None and sys.stderr.isatty():
        with (
            log_held_back(),
            click.progressbar(length=size, label="Importing", file=sys.stderr) as bar,
        ):
            yield lambda end: bar.update(end - bar.pos)
        return
    number = 0

    def advance(_end: int) -> None:
        nonlocal number
        number += 1
        if number % PROGRESS_EVERY == 0:
            click.echo(f"… {number} rows so far", err=True)

    yield advance


def _is_regular(file: Path) -> bool:
    return file != STDIN and file.resolve().is_file()


def _size(file: Path) -> int:
    return file.stat().st_size if _is_regular(file) else 0


def _read_password_hashes(file: Path | None) -> dict[str, str]:
    if file is None:
        return {}
    with file.open("rb") as opened:
        try:
            rows = [row.content for row in files.read(opened, files.format_of(file) or "jsonl")]
        except UnfitFile as reason:
            raise click.ClickException(str(reason)) from None
    found = [systems.auth0_password_hash(row) for row in rows if isinstance(row, dict)]
    usable = [pair for pair in found if pair]
    if unusable := len(rows) - len(usable):
        click.echo(
            f"{file}: {unusable} of {len(rows)} rows have no id of a user or no hash, or cannot be "
            "read. The accounts that they belong to come without a password.",
            err=True,
        )
    return dict(usable)


def _summarize(counts: Counter[str], *, dry_run: bool) -> None:
    for word in ("created", "skipped", "refused"):
        click.echo(f"{word}: {counts[word]}")
        for reason, number in sorted(counts.items()):
            if number and reason.startswith(f"{word}: "):
                click.echo(f"  {reason.partition(': ')[2]}: {number}")
    if dry_run:
        click.echo("Nothing was kept: this was a dry run.")
    elif counts["created"] and settings.unverified_account_lifetime:
        click.echo(
            "UNVERIFIED_ACCOUNT_EXPIRE_DAYS is set: `flask prune` erases accounts that are older "
            "than that and have no confirmed address. Imported accounts are no exception.",
            err=True,
        )
