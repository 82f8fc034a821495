"""``flask audit …``: lists, seals, verifies and exports the audit log."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

import click
from sqlalchemy.exc import SQLAlchemyError

from app import clock
from app.administration import directory
from app.audit import activity, chain, checks, exporting, reading, sealing, verification
from app.audit.verification import Verdict
from app.cli.arguments import Days, EventName, Head, Instant, Place
from app.cli.people import id_of
from app.cli.refusals import OperatorGroup
from app.cli.terminal import NEW_FILE, as_json, at_most_fifty, in_json, moment, table
from app.database.engines import snapshot
from app.database.types import MAX_ID
from app.extensions import db
from app.models import AuditEvent

REPORT_EVERY = 100_000

audit = OperatorGroup("audit", help="Read, seal, verify and export the audit log.")


@audit.command("list")
@click.option("--subject", metavar="PERSON", help="Only events about this account.")
@click.option("--actor", metavar="PERSON", help="Only events that this account caused.")
@click.option("--event", type=EventName(), help="Only events with this name, like login_failed.")
@click.option(
    "--since",
    type=Instant(),
    help="Only events from this time on, like 2026-11-22 or 2026-11-22T08:00:00Z.",
)
@click.option("--until", type=Instant(), help="Only events before this time.")
@click.option("--ip", help="Only events from this address.")
@click.option("--request-id", metavar="ID", help="Only events of this request.")
@at_most_fifty
@as_json
def list_events(
    subject: str | None,
    actor: str | None,
    event: str | None,
    since: datetime | None,
    until: datetime | None,
    ip: str | None,
    request_id: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List events, the newest first, with the names that people have now.

    \b
        flask audit list --subject ada --event email_changed --since 2026-11-01
    """
    events = activity.matching(
        subject=None if subject is None else id_of(subject),
        actor=None if actor is None else id_of(actor),
        event=event,
        since=since,
        until=until,
        ip=ip,
        request_id=request_id,
        limit=limit,
    ).items
    named = {one for event in events for one in (event.actor_id, event.subject_id) if one}
    names = {user.id: user.username for user in directory.by_ids(named).values()}
    if as_json:
        rows = [_in_json(event) for event in events]
        click.echo(in_json(rows, indent=2))
        return
    table(
        ("ID", "AT", "EVENT", "ACTOR", "SUBJECT", "IP", "DETAILS"),
        (
            (
                str(event.id),
                moment(event.at),
                event.event,
                _actor_of(event, names),
                _with_name(event.subject_id, names),
                event.ip or "",
                _in_words(event.all_details),
            )
            for event in events
        ),
    )


@audit.command()
def seal() -> None:
    """Seal the events that are not sealed yet.

    The server does this by itself, about every second.

    \b
        flask audit seal
    """
    click.echo(f"Sealed {sealing.seal_everything()} events.")


@audit.command()
@click.option(
    "--head",
    "heads",
    type=Head(),
    multiple=True,
    help="A hash that you stored elsewhere; the chain must contain it. May be repeated.",
)
@click.option(
    "--after",
    type=click.IntRange(1, MAX_ID),
    default=None,
    help="A position up to which the chain was verified before; start after it.",
)
@click.option(
    "--retention-days",
    type=Days(min=0, min_open=True, max=36_500),
    help="The shortest AUDIT_RETENTION_DAYS that was ever set, if the setting was changed.",
)
@click.option("--no-note", is_flag=True, help="Do not write the result into the database.")
@as_json
def verify(
    heads: tuple[str, ...],
    after: int | None,
    retention_days: float | None,
    no_note: bool,
    as_json: bool,
) -> None:
    """Check that the log is as it was written, or say where it first differs.

    The exit status is 1 if it differs. The database keeps the last result, for
    the page of the audit log and for `flask doctor`.

    \b
        flask audit verify --head 5f70bf18…
    """
    retention = None if retention_days is None else timedelta(days=retention_days)
    with snapshot(db.engine) as database:
        verdict = verification.verify(
            database, heads=heads, after=after or 0, retention=retention, report=_report
        )
    click.echo(json.dumps(_verdict_in_json(verdict)) if as_json else _verdict_in_words(verdict))
    if not no_note:
        _remember(verdict, after or 0)
    if verdict.broken:
        sys.exit(1)


@audit.command()
@click.option(
    "--since",
    type=Place(),
    default=0,
    help="The position of the last line of an earlier export; or a time: events sealed since then.",
)
@click.option(
    "--output",
    type=NEW_FILE,
    help="A new file that only you can read. Default: standard output.",
)
def export(since: int | datetime, output: Path | None) -> None:
    """Write the sealed events as JSON Lines, and the head of the chain as the last line.

    \b
        flask audit export --output audit.jsonl
    """
    with snapshot(db.engine) as database, _open_new(output) as file:
        after = since if isinstance(since, int) else reading.position_before(database, since)
        for number, line in enumerate(exporting.lines(database, after), 1):
            file.write(line)
            if number % REPORT_EVERY == 0:
                click.echo(f"… {number} events so far", err=True)


@contextmanager
def _open_new(output: Path | None) -> Iterator[TextIO]:
    if output is None:
        yield sys.stdout
        return
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise click.ClickException(f"Cannot create {output}: {error.strerror}.") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        yield file


def _remember(verdict: Verdict, after: int) -> None:
    try:
        checks.remember(verdict, after=after)
    except SQLAlchemyError as error:
        # A copy of the log, or a role that only reads, can be verified too.
        db.session.rollback()
        reason = str(getattr(error, "orig", error)).partition("\n")[0]
        click.echo(f"The database did not keep the result: {reason}.", err=True)


def _report(done: int) -> None:
    click.echo(f"… {done} events so far", err=True)


def _verdict_in_words(verdict: Verdict) -> str:
    waiting = f" {verdict.unsealed} are not sealed yet." if verdict.unsealed else ""
    if verdict.broken is None:
        return (
            f"The audit log is whole: {verdict.sealed} events up to position {verdict.position}, "
            f"head {verdict.head}.{waiting}"
        )
    where = {"position": verdict.broken.position, "event": verdict.broken.event_id}
    places = ", ".join(f"{name} {number}" for name, number in where.items() if number is not None)
    return (
        f"The audit log is NOT what was written{f' ({places})' if places else ''}. "
        f"{verdict.broken.sentence} Whole up to position {verdict.position}, head {verdict.head}."
    )


def _verdict_in_json(verdict: Verdict) -> dict[str, Any]:
    broken = verdict.broken
    return {
        "is_whole": broken is None,
        "sealed": verdict.sealed,
        "position": verdict.position,
        "head": verdict.head,
        "unsealed": verdict.unsealed,
        "verified_at": chain.instant(clock.now()),
        "broken": broken
        and {
            "kind": broken.kind,
            "position": broken.position,
            "event_id": broken.event_id,
            "sentence": broken.sentence,
        },
    }


def _actor_of(event: AuditEvent, names: Mapping[int, str]) -> str:
    if event.actor_id is None and event.details.get("via") == "cli":
        return "a command"
    return _with_name(event.actor_id, names)


def _with_name(user_id: int | None, names: Mapping[int, str]) -> str:
    return f"{user_id or ''} {names.get(user_id or 0, '')}".strip()


def _in_json(event: AuditEvent) -> dict[str, Any]:
    return {
        "id": event.id,
        "at": chain.instant(event.at),
        "event": event.event,
        "actor_id": event.actor_id,
        "subject_id": event.subject_id,
        "ip": event.ip,
        "user_agent": event.user_agent,
        "request_id": event.request_id,
        "details": event.all_details,
    }


def _in_words(details: dict[str, Any]) -> str:
    return " ".join(f"{name}={json.dumps(value)}" for name, value in details.items())
