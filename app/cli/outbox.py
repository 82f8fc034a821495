"""``flask outbox …``: delivers and manages the mails that wait."""

import signal
import threading

import click
from flask import current_app

from app.administration import mails
from app.cli.refusals import LoggedCommand, OperatorGroup
from app.cli.terminal import as_json, confirm, detail, in_json, or_explain, table, without_asking
from app.mail import deliverer, delivery
from app.models import OutboxMessage

outbox = OperatorGroup("outbox", help="Deliver mail, and handle mails that could not be delivered.")


@outbox.command("run", cls=LoggedCommand)
@click.option(
    "--once", is_flag=True, help="Deliver the mails that are due now, and exit; for cron."
)
def run_outbox(once: bool) -> None:
    """Deliver mail until stopped (SIGTERM or Ctrl-C).

    The server delivers mail by itself. If there is much mail, run this command
    beside it, as often as you need, on any host.

    \b
        flask outbox run --once
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if not once:
        click.echo("Delivering mail. Stop with Ctrl-C.", err=True)
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    tried = deliverer.run(app, stop, until_empty=once)
    if once:
        click.echo(f"Tried {tried} {'mail' if tried == 1 else 'mails'}.")


@outbox.command("list")
@click.option(
    "--all", "everything", is_flag=True, help="Also list mails delivered in the last week."
)
@as_json
def list_outbox(everything: bool, as_json: bool) -> None:
    """List the mails that wait, and those that were set aside.

    \b
        flask outbox list --all
    """
    rows = [
        {
            "id": row.id,
            "message": row.message,
            "recipient": row.recipient,
            "state": row.state,
            "attempts": row.attempts,
            "error": row.last_error,
        }
        for row in delivery.list_all(everything)
    ]
    if as_json:
        click.echo(in_json(rows, indent=2))
        return
    table(
        ("ID", "MESSAGE", "RECIPIENT", "STATE", "ATTEMPTS", "ERROR"),
        (tuple("" if value is None else str(value) for value in row.values()) for row in rows),
    )


@outbox.command("show")
@click.argument("number", type=int)
def show_mail(number: int) -> None:
    """Show everything about one mail, except the link in it.

    \b
        flask outbox show 7
    """
    row = _mail(number)
    for name in ("id", "message_id", "message", "recipient", "locale", "state", "attempts"):
        detail(name, getattr(row, name))
    for name in ("created_at", "due_at", "delivered_at", "set_aside_at", "last_error"):
        if getattr(row, name) is not None:
            detail(name, getattr(row, name))


@outbox.command("retry")
@click.argument("number", type=int)
def retry_mail(number: int) -> None:
    """Try a mail again now. Its attempts are counted from the start.

    \b
        flask outbox retry 7
    """
    _mail(number)
    if not or_explain(lambda: mails.retry(number, actor=None)):
        raise click.ClickException(f"Mail {number} was delivered already.")
    click.echo(f"Mail {number} is due.")


@outbox.command("drop")
@click.argument("number", type=int)
@without_asking
def drop_mail(number: int, yes: bool) -> None:
    """Delete a mail.

    \b
        flask outbox drop 7
    """
    _mail(number)
    confirm(f"Mail {number} will not be delivered. Drop it?", yes)
    or_explain(lambda: mails.drop(number, actor=None))
    click.echo(f"Mail {number} is gone.")


def _mail(number: int) -> OutboxMessage:
    row = delivery.find(number)
    if row is None:
        raise click.ClickException(f"There is no mail {number}.")
    return row
