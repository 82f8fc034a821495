"""``flask users …``: an operator manages accounts and their rights."""

import sys
import time

import click

from app import clock
from app.administration import accounts
from app.auth.fields import Username
from app.auth.registration import registration
from app.auth.registration.schemas import RegisterSchema
from app.auth.schemas import UserSchema
from app.auth.sessions import sessions
from app.cli.groups import users
from app.cli.people import found, person
from app.cli.sessions import print_sessions
from app.cli.terminal import (
    as_json,
    confirm,
    in_json,
    loaded,
    or_explain,
    without_asking,
)
from app.extensions import db
from app.models import User
from app.security import tokens

# How long `end-sessions --everybody` waits for rows that other transactions hold.
WAIT_FOR_HELD_SECONDS = 60.0
RETRY_SECONDS = 0.5


class OperatorRegisterSchema(RegisterSchema):
    """The same as over HTTP, except that an operator may use reserved names."""

    username = Username(required=True, allow_reserved=True)


@users.command()
@click.option("--email", required=True, help="The address to log in with.")
@click.option(
    "--username", required=True, help="The name that others see. Reserved ones are allowed."
)
@click.option("--full-name", help="The full name of the person.")
@click.option("--superuser", is_flag=True, help="Give the account all rights.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@as_json
def create(
    email: str,
    username: str,
    full_name: str | None,
    superuser: bool,
    password_stdin: bool,
    as_json: bool,
) -> None:
    """Create an account. Its address counts as verified.

    It asks for the password twice. In scripts, pipe the password in:

    \b
        flask users create --email ada@example.com --username ada \\
            --superuser --password-stdin < password.txt
    """
    password = password_from_stdin() if password_stdin else password_from_prompt()
    given = {"email": email, "username": username, "password": password, "full_name": full_name}
    account = loaded(OperatorRegisterSchema(), given)
    user = or_explain(
        lambda: registration.register(
            **account, is_superuser=superuser, email_verified=True, by_operator=True
        )
    )
    kind = "superuser" if superuser else "user"
    report(user, f"Created {kind} {user.username} <{user.email}> with id {user.id}.", as_json)


@users.command()
@person
@as_json
def promote(person: str, as_json: bool) -> None:
    """Make the account a superuser.

    \b
        flask users promote ada
    """
    user = or_explain(lambda: accounts.set_superuser(found(person).email, True))
    report(user, f"{user.email} is a superuser.", as_json)


@users.command()
@person
@as_json
def demote(person: str, as_json: bool) -> None:
    """Take the rights of a superuser from the account, from the next request on.

    \b
        flask users demote ada
    """
    user = or_explain(lambda: accounts.set_superuser(found(person).email, False))
    report(user, f"{user.email} is not a superuser.", as_json)


@users.command()
@person
@as_json
def activate(person: str, as_json: bool) -> None:
    """Let the account log in again. Its ended sessions stay ended.

    \b
        flask users activate ada
    """
    user = or_explain(lambda: accounts.set_active(found(person).email, True))
    report(user, f"{user.email} is active.", as_json)


@users.command()
@person
@as_json
def deactivate(person: str, as_json: bool) -> None:
    """Sign the account out everywhere at once. It cannot log in again.

    \b
        flask users deactivate ada@example.com
    """
    user = or_explain(lambda: accounts.set_active(found(person).email, False))
    report(user, f"{user.email} is deactivated, and signed out everywhere.", as_json)


@users.command()
@person
@without_asking
def delete(person: str, yes: bool) -> None:
    """Erase an account at once, with its sessions and mails. This cannot be undone.

    \b
        flask users delete ada
    """
    user = found(person)
    confirm(f"{user.email} will be erased for good. Delete the account?", yes)
    or_explain(lambda: accounts.delete(user.id, actor=None))
    click.echo(f"{user.email} is deleted.")


@users.command("reset-password")
@person
def reset_password(person: str) -> None:
    """Mail a link to set a new password. The old password works until the link is used.

    \b
        flask users reset-password ada
    """
    user = found(person)
    or_explain(lambda: accounts.send_reset(user.id, actor=None))
    click.echo(f"A link is on its way to {user.email}.")


@users.command("sessions")
@person
@as_json
def list_sessions(person: str, as_json: bool) -> None:
    """List the devices on which an account is signed in, the last used one first.

    \b
        flask users sessions ada
    """
    print_sessions(sessions.live_sessions(found(person)), as_json)


@users.command("end-sessions")
@click.argument("person", metavar="[PERSON]", required=False)
@click.option(
    "--everybody", is_flag=True, help="Sign all people out, for example after a break-in."
)
@without_asking
def end_sessions(person: str | None, everybody: bool, yes: bool) -> None:
    """Sign an account out everywhere, or with --everybody all accounts.

    Links that were mailed stop working, too, except those that undo something. So do logins
    that wait for their second step, and remembered devices.

    With --everybody it ends every session that had begun when you started the
    command. Where another transaction holds some of them, it tries again for
    a minute. If any are left then, it says how many, and the exit status is 1.

    \b
        flask users end-sessions ada
    """
    if (person is None) != everybody:
        raise click.UsageError("Name a PERSON, or use --everybody.")
    if person is not None:
        user = found(person)
        confirm(f"Sign {user.email} out everywhere?", yes)
        or_explain(lambda: accounts.end_sessions(user.id, actor=None))
        click.echo(f"{user.email} is signed out everywhere.")
        return
    confirm("Sign everybody out everywhere?", yes)
    _end_sessions_of_everybody()


def _end_sessions_of_everybody() -> None:
    # People keep logging in meanwhile. Without this bound the loop might never end. The clock of
    # another server may be ahead of this one's.
    now = clock.now() + tokens.CLOCK_SKEW
    total, give_up = 0, time.monotonic() + WAIT_FOR_HELD_SECONDS
    while True:
        while ended := accounts.end_sessions_of_everybody(1000, begun_by=now):
            total += ended
            click.echo(f"… {total} sessions so far", err=True)
        left = sessions.count_live(begun_by=now)
        db.session.rollback()
        if not left or time.monotonic() >= give_up:
            break
        click.echo(f"… waiting for {left} sessions that other transactions hold", err=True)
        time.sleep(RETRY_SECONDS)
    # After the sessions: a device that is signed out can ask for no further link.
    while accounts.end_links_of_everybody(1000, issued_by=now):
        pass
    last: int | None = 0
    while last is not None:
        last = accounts.shut_out_of_features(100, after=last, known_by=now)
    click.echo(f"Ended {total} sessions.")
    if left:
        raise click.ClickException(
            f"{left} sessions are left: other transactions hold them. Run the command again."
        )


def password_from_stdin() -> str:
    given = sys.stdin.buffer.read().decode("utf-8", "surrogateescape")
    return given.removesuffix("\n").removesuffix("\r")


def password_from_prompt() -> str:
    password: str = click.prompt("Password", hide_input=True, confirmation_prompt="Once more")
    return password


def report(user: User, sentence: str, as_json: bool) -> None:
    click.echo(in_json(UserSchema().dump(user)) if as_json else sentence)
