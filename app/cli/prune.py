"""``flask prune``: deletes data that is no longer needed."""

import time
from collections.abc import Callable
from datetime import timedelta

import click
from flask.cli import ScriptInfo, with_appcontext
from sqlalchemy.exc import DBAPIError

from app import features
from app.access import kept_answers
from app.audit import retention, sealing
from app.auth.login import throttle
from app.auth.sessions import sessions
from app.cli.refusals import OperatorCommand, database_refusal
from app.cli.terminal import Duration
from app.extensions import db
from app.mail import delivery
from app.security import one_time_tokens
from app.users import closing

# What is removed, and the function that does it. The function takes the most rows to remove, and
# commits. Features bring others.
PRUNED: dict[str, Callable[[int], int]] = {
    "sessions": sessions.prune,
    "one-time tokens": one_time_tokens.prune,
    "idempotency keys": kept_answers.prune,
    "mails": delivery.prune,
    "failed logins": throttle.prune,
    "closed accounts": closing.erase_due,
    "unconfirmed accounts": closing.erase_unverified,
    "audit events": retention.prune,
}


class PruneCommand(OperatorCommand):
    """Its help lists what the active features remove, too."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        app = ctx.ensure_object(ScriptInfo).load_app()
        with app.app_context():
            rows = [(what, one.name) for one in features.active() for what in one.prunes]
        if rows:
            with formatter.section("Of the features"):
                formatter.write_dl([(what, f"of the feature {name}") for what, name in rows])
        super().format_epilog(ctx, formatter)


@click.command(cls=PruneCommand)
@click.option(
    "--batch",
    type=click.IntRange(1, 10_000),
    default=1000,
    show_default=True,
    help="Delete this many rows in a transaction.",
)
@click.option(
    "--every",
    type=Duration(),
    help="Repeat at this interval, like 1h or 30m; for a small deployment without a scheduler.",
)
@with_appcontext
def prune(batch: int, every: timedelta | None) -> None:
    """Delete data that is no longer needed, in small transactions, while the server runs.

    \b
    sessions         past SESSION_MAX_AGE_DAYS, when all their tokens have expired
    one-time tokens  a week after they expired
    idempotency keys  a day after their call
    mails            delivered a week ago; those set aside stay
    failed logins    a day after the last; counts of an account from anywhere after 30 days, and a
                     suspension after a year
    closed accounts  ACCOUNT_DELETION_GRACE_DAYS after their owner closed them
    unconfirmed accounts
                     UNVERIFIED_ACCOUNT_EXPIRE_DAYS after registration; 0 keeps them
    audit events     sealed ones past AUDIT_RETENTION_DAYS; 0 keeps them

    \b
        flask prune --every 1h
    """
    while True:
        try:
            _prune(batch)
        except DBAPIError as error:
            if every is None:
                raise database_refusal(error) from None
            db.session.rollback()
            click.echo(
                f"The database refused, and the next round tries again: {error.orig}", err=True
            )
        if every is None:
            return
        time.sleep(every.total_seconds())


def _prune(batch: int) -> None:
    sealing.seal_everything()
    pruned = dict(PRUNED)
    for feature in features.active():
        pruned.update(feature.prunes)
    for what, remove in pruned.items():
        total = 0
        while removed := remove(batch):
            total += removed
            if removed == batch:
                click.echo(f"… {total} {what} so far", err=True)
        click.echo(f"Removed {total} {what}.")
