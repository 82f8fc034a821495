"""``flask users import``, ``flask users export`` and ``flask db-copy``: moving in, out and on."""

import hashlib
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import click
from flask import current_app
from flask.cli import with_appcontext
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

import config
from app.cli.terminal import database_refusal
from app.cli.users import users
from app.database import open_other
from app.extensions import db
from app.moving import copying, exporting, files, importing, systems
from app.moving.checkpoints import Checkpoint
from app.moving.files import UnfitFile
from app.moving.importing import Outcome, Rules
from app.moving.systems import SYSTEMS, Particulars
from config import settings
from config_database import database_url

FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
NEW_FILE = click.Path(dir_okay=False, path_type=Path)


@users.command("import")
@click.argument("file", type=FILE)
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
    help="JSON Lines, a JSON array or CSV; by the file's extension unless given.",
)
@click.option("--dry-run", is_flag=True, help="Do everything but keep it; the report is the same.")
@click.option("--report", type=NEW_FILE, help="Write what became of each row, as JSON Lines.")
@click.option("--allow-reserved", is_flag=True, help="Let in usernames that are kept, like admin.")
@click.option("--allow-superusers", is_flag=True, help="Let in accounts that have all rights.")
@click.option(
    "--derive-usernames",
    is_flag=True,
    help="Derive a username from the address where the given one is taken or unfit here.",
)
@click.option("--assume-verified", is_flag=True, help="Count every address as confirmed.")
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
    help="Firebase: rounds among its password hash parameters.",
)
@click.option(
    "--firebase-memory-cost",
    type=click.IntRange(1, 14),
    default=14,
    show_default=True,
    help="Firebase: mem_cost among them.",
)
@click.option(
    "--firebase-salt-separator",
    default="Bw==",
    show_default=True,
    help="Firebase: base64_salt_separator among them.",
)
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
    """Make accounts of the rows of FILE. Nobody is written to.

    People keep their passwords: hashes of other systems are verified at the
    next login, and made anew then. docs/moving-in.md says how to export from
    each system. Start it again after an interruption, and it goes on where
    it was; rows that are there already are skipped.
    """
    form = form or files.format_of(file)
    if form is None:
        raise click.UsageError("The extension does not tell the format. Say --format.")
    if report and report.exists() and any(report.samefile(f) for f in (file, password_hashes) if f):
        raise click.UsageError("--report would overwrite what is to be read.")
    particulars = Particulars(
        is_csv=form == "csv",
        single_hash=single_hash,
        password_hashes=_read_password_hashes(password_hashes),
        firebase_rounds=firebase_rounds,
        firebase_memory_cost=firebase_memory_cost,
        firebase_salt_separator=firebase_salt_separator,
    )
    rules = Rules(
        allow_reserved=allow_reserved,
        allow_superusers=allow_superusers,
        derive_usernames=derive_usernames,
        assume_verified=assume_verified,
        leave_out=system != "native",
    )
    translate = partial(_translated, system=system, particulars=particulars)
    checkpoint = Checkpoint.find(file, _options(system, form, rules, particulars, report))
    if dry_run:
        checkpoint = Checkpoint(checkpoint.path, checkpoint.fingerprint)
    elif checkpoint.rows:
        click.echo(f"Going on after {checkpoint.rows} rows.", err=True)

    with file.open("rb") as opened, _report_to(report, checkpoint) as tell:
        rows = islice(_rows(opened, form, _size(file)), checkpoint.rows, None)
        for outcomes in importing.take_in(rows, translate, rules, dry_run=dry_run):
            for outcome in outcomes:
                if dry_run and outcome.outcome == "created":
                    outcome.id = None
                checkpoint.counts[outcome.outcome] += 1
                checkpoint.counts[f"{outcome.outcome}: {outcome.reason}"] += bool(outcome.reason)
            checkpoint.rows += len(outcomes)
            checkpoint.report_bytes = tell(outcomes)
            if not dry_run:
                checkpoint.keep()
    if not dry_run:
        checkpoint.forget()
    _summarize(checkpoint.counts, dry_run=dry_run)


@users.command("export")
@click.argument("file", type=NEW_FILE)
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "csv"]),
    help="JSON Lines or CSV; by the file's extension unless given.",
)
@click.option(
    "--with-password-hashes",
    is_flag=True,
    help="Hand out the hashes too. Guard the file: passwords can be guessed with it.",
)
def export_users(file: Path, form: str | None, with_password_hashes: bool) -> None:
    """Write every account to FILE, which is new and readable by you alone.

    `flask users import` reads it back.
    """
    form = form or files.format_of(file)
    if form not in ("jsonl", "csv"):
        raise click.UsageError("The extension tells neither JSON Lines nor CSV. Say --format.")
    columns = exporting.columns(with_password_hashes=with_password_hashes)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise click.ClickException(f"There is a file {file} already.") from None
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


@click.command("db-copy")
@click.option(
    "--to",
    "target",
    metavar="URL",
    help="The database to copy into. Leave the password out: others can see it in the process "
    "list. PGPASSWORD or ~/.pgpass can hold it.",
)
@click.option(
    "--to-env",
    metavar="NAME",
    help="The environment variable that holds the URL of the database to copy into.",
)
@with_appcontext
def db_copy(target: str | None, to_env: str | None) -> None:
    """Copy the whole database into another one, which is empty.

    From SQLite to PostgreSQL or the other way round: everything as of one
    instant, compared in the end, or nothing at all. The target must have its
    tables. Keep its URL in a variable, so that the password is not in the
    process list:

    \b
        export TARGET_URL=postgresql://…
        DATABASE_URL="$TARGET_URL" flask db upgrade
        flask db-copy --to-env TARGET_URL
    """
    engine = open_other(_target(target, to_env), current_app.config["SETTINGS"])
    try:
        for name in copying.left_behind(db.engine, db.metadata):
            click.echo(f"Not copied, as no model describes it: {name}", err=True)
        copied: Counter[str] = Counter()
        with click.progressbar(
            length=copying.count(db.engine, db.metadata), label="Copying", file=sys.stderr
        ) as bar:
            for step in copying.copy(db.engine, engine, db.metadata):
                copied[step.table] += step.rows
                bar.update(step.rows)
    except copying.NotCopied as reason:
        raise click.ClickException(str(reason)) from None
    except DBAPIError as error:
        raise database_refusal(error) from None
    finally:
        engine.dispose()
    for name, rows in copied.items():
        click.echo(f"{name}: {rows} rows")
    click.echo(f"Copied and compared {copied.total()} rows.")


def _target(given: str | None, variable: str | None) -> URL:
    if (given is None) == (variable is None):
        raise click.UsageError("Name the target: --to-env NAME, or --to URL.")
    if variable is not None:
        text = config.variable(variable)
        if not text:
            raise click.UsageError(f"--to-env names {variable}, which is not set.")
        return _parsed(text, variable)
    url = _parsed(given or "", "--to")
    if url.password:
        click.echo(
            "Warning: every account of this machine can see the password of --to in the process "
            "list. Use --to-env, PGPASSWORD or ~/.pgpass.",
            err=True,
        )
    return url


def _parsed(text: str, source: str) -> URL:
    try:
        return database_url(text)
    except ValueError as wrong:
        raise click.UsageError(f"{source} {wrong}") from None


def _rows(opened: BinaryIO, form: str, size: int) -> Iterator[files.Row]:
    with click.progressbar(length=size, label="Importing", file=sys.stderr) as bar:
        read = 0
        try:
            for row in files.read(opened, form):
                yield row
                bar.update(row.end - read)
                read = row.end
        except UnfitFile as reason:
            raise click.ClickException(str(reason)) from None


def _size(file: Path) -> int:
    return max(file.stat().st_size, 1)


def _translated(row: dict[str, Any], *, system: str, particulars: Particulars) -> dict[str, Any]:
    return SYSTEMS[system](row, particulars)


def _read_password_hashes(file: Path | None) -> dict[str, str]:
    if file is None:
        return {}
    with file.open("rb") as opened:
        try:
            rows = [row.content for row in files.read(opened, files.format_of(file) or "jsonl")]
        except UnfitFile as reason:
            raise click.ClickException(str(reason)) from None
    found = (systems.auth0_password_hash(row) for row in rows if isinstance(row, dict))
    return dict(pair for pair in found if pair)


def _options(
    system: str, form: str, rules: Rules, particulars: Particulars, report: Path | None
) -> dict[str, Any]:
    """What makes an import another one, for the checkpoint."""
    of_system = asdict(particulars) | {
        "password_hashes": _digest(json.dumps(particulars.password_hashes, sort_keys=True))
    }
    named = str(report.resolve()) if report else None
    # Rows that are done in one database are not in another.
    where = _digest(str(current_app.config["SQLALCHEMY_DATABASE_URI"]))
    words = {"from": system, "format": form, "report": named, "database": where}
    return words | asdict(rules) | of_system


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@contextmanager
def _report_to(report: Path | None, checkpoint: Checkpoint) -> Iterator[Any]:
    """What writes outcomes down and says how long the report is with them."""
    if report is None:
        yield lambda _outcomes: 0
        return
    try:
        descriptor = os.open(report, os.O_WRONLY | os.O_CREAT, 0o600)
        os.fchmod(descriptor, 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            # What was written after the checkpoint comes again.
            opened.truncate(min(checkpoint.report_bytes, report.stat().st_size))
            opened.seek(0, os.SEEK_END)

            def tell(outcomes: list[Outcome]) -> int:
                for outcome in outcomes:
                    opened.write(_as_json(outcome) + b"\n")
                opened.flush()
                return opened.tell()

            yield tell
    except OSError as error:
        raise click.ClickException(f"Cannot write {report}: {error.strerror}.") from None


def _as_json(outcome: Outcome) -> bytes:
    told = {
        "line": outcome.line,
        "outcome": outcome.outcome,
        "reason": outcome.reason,
        "id": outcome.id,
        "source_id": outcome.source_id,
    }
    return json.dumps(told | outcome.details, ensure_ascii=False, default=str).encode()


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
            "than that, and whose address is not confirmed, these too.",
            err=True,
        )
