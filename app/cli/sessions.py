"""``flask sessions …``: the devices on which people are signed in."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import click

from app.administration import accounts, directory
from app.auth.sessions import sessions as auth_sessions
from app.cli.people import found
from app.cli.refusals import OperatorGroup
from app.cli.terminal import as_json, at_most_fifty, in_json, or_explain, table
from app.models import Session

sessions = OperatorGroup("sessions", help="List the devices where people are signed in; end one.")


@sessions.command("list")
@click.argument("person", metavar="[PERSON]", required=False)
@at_most_fifty
@as_json
def list_sessions(person: str | None, limit: int, as_json: bool) -> None:
    """List the live sessions of an account, or of everybody: the last used ones first.

    \b
        flask sessions list ada
        flask sessions list --limit 20
    """
    if person is None:
        print_sessions(directory.live_sessions(limit), as_json, with_people=True)
        return
    print_sessions(auth_sessions.live_sessions(found(person))[:limit], as_json, with_people=True)


@sessions.command()
@click.argument("session_id", metavar="ID", type=click.UUID)
def end(session_id: UUID) -> None:
    """Sign one device out. `flask sessions list` shows the ids.

    To sign an account out everywhere, use `flask users end-sessions`.

    \b
        flask sessions end 4a7c5a3e-6d5c-4a55-8a1a-0d5f0f0a9c11
    """
    user = or_explain(
        lambda: accounts.end_session(session_id, actor=None),
        f"No session with the id {session_id} is alive.",
    )
    click.echo(f"{user.email} is signed out on that device.")


def print_sessions(found: Iterable[Session], as_json: bool, *, with_people: bool = False) -> None:
    """Print sessions of one account, or of several with the people whose they are."""
    rows: list[dict[str, Any]] = [
        {
            "id": str(session.id),
            **(_whose(session) if with_people else {}),
            "ip": session.ip,
            "user_agent": session.user_agent,
            "created_at": f"{session.created_at:%Y-%m-%dT%H:%M:%SZ}",
            "last_seen_at": f"{session.refreshed_at:%Y-%m-%dT%H:%M:%SZ}",
            "expires_at": f"{session.expires_at:%Y-%m-%dT%H:%M:%SZ}",
        }
        for session in found
    ]
    if as_json:
        click.echo(in_json(rows, indent=2))
        return
    people = ("USER", "USERNAME") if with_people else ()
    table(
        ("ID", *people, "ADDRESS", "DEVICE", "SINCE", "LAST SEEN", "UNTIL"),
        (tuple(str(value or "") for value in row.values()) for row in rows),
    )


def _whose(session: Session) -> dict[str, Any]:
    return {"user_id": session.user_id, "username": session.user.username}
