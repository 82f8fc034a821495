"""``flask users …``, ``flask keys …``, ``flask prune``: for operators."""

import json
import re
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import click
from flask import current_app
from flask.cli import AppGroup, with_appcontext
from marshmallow import ValidationError
from sqlalchemy.exc import DBAPIError

from app import clock
from app.auth import registration, sessions
from app.auth.schemas import RegisterSchema, UserSchema
from app.errors import AppError, NotFound
from app.extensions import db
from app.fields import Username
from app.mail import deliverer
from app.mail import outbox as mail_outbox
from app.models import OutboxMessage, User
from app.security import one_time_tokens, signing_keys
from app.users import administration, closing
from config import KEY_ID, settings


class OperatorGroup(AppGroup):
    """Commands that say in one line when the database is away or was not upgraded."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except DBAPIError as error:
            raise _database_refusal(error) from None


def _database_refusal(error: DBAPIError) -> click.ClickException:
    reason = str(error.orig).partition("\n")[0]
    return click.ClickException(
        f"The database does not do it: {reason}. "
        "Is DATABASE_URL right, and was `flask db upgrade` run?"
    )


users = OperatorGroup("users", help="Create and list accounts; give and take rights.")

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


class Duration(click.ParamType[timedelta]):
    """A length of time like 30s, 10m, 1h or 1d."""

    name = "duration"
    UNITS = MappingProxyType({"s": "seconds", "m": "minutes", "h": "hours", "d": "days"})

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        found = re.fullmatch(r"([1-9][0-9]{0,5})([smhd])", str(value))
        length = timedelta(**{self.UNITS[found[2]]: int(found[1])}) if found else timedelta.max
        if length > timedelta(days=365):
            self.fail(f"{value!r} is no length of time. Write one like 30s, 10m, 1h or 1d.")
        return length


class OperatorRegisterSchema(RegisterSchema):
    """As over HTTP, but an operator may take the names that are kept."""

    username = Username(required=True, allow_reserved=True)


@users.command()
@click.option("--email", required=True, help="The address to log in with.")
@click.option("--username", required=True, help="The name others see; reserved ones are allowed.")
@click.option("--full-name", help="How the person is called.")
@click.option("--superuser", is_flag=True, help="May do everything.")
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

    Asks for the password, twice. In scripts, pipe it in:

    \b
        flask users create --email ada@example.com --username ada \\
            --superuser --password-stdin < password.txt
    """
    password = _password_from_stdin() if password_stdin else _password_from_prompt()
    given = {"email": email, "username": username, "password": password, "full_name": full_name}
    try:
        account = OperatorRegisterSchema().load(given)
    except ValidationError as error:
        raise click.ClickException(_in_words(error)) from None
    user = _or_explain(
        lambda: registration.register(**account, is_superuser=superuser, email_verified=True)
    )
    kind = "superuser" if superuser else "user"
    _report(user, f"Created {kind} {user.username} <{user.email}> with id {user.id}.", as_json)


@users.command("list")
@as_json
def list_(as_json: bool) -> None:
    """List all accounts, the oldest first."""
    everybody = administration.list_all()
    if as_json:
        click.echo(json.dumps(UserSchema(many=True).dump(everybody), ensure_ascii=False, indent=2))
        return
    _table(
        ("ID", "EMAIL", "USERNAME", "ACTIVE", "SUPERUSER", "VERIFIED", "CREATED"),
        (
            (
                str(user.id),
                user.email,
                user.username,
                _yes(user.is_active),
                _yes(user.is_superuser),
                _yes(user.email_verified),
                f"{user.created_at:%Y-%m-%d %H:%M}",
            )
            for user in everybody
        ),
    )


@users.command()
@click.argument("email")
@as_json
def promote(email: str, as_json: bool) -> None:
    """Make the account a superuser."""
    user = _or_explain(lambda: administration.set_superuser(email, True), about=email)
    _report(user, f"{user.email} is a superuser.", as_json)


@users.command()
@click.argument("email")
@as_json
def demote(email: str, as_json: bool) -> None:
    """Take the superuser's rights away, from the next request on."""
    user = _or_explain(lambda: administration.set_superuser(email, False), about=email)
    _report(user, f"{user.email} is no superuser.", as_json)


@users.command()
@click.argument("email")
@as_json
def activate(email: str, as_json: bool) -> None:
    """Let the account log in again. Sessions that were ended stay ended."""
    user = _or_explain(lambda: administration.set_active(email, True), about=email)
    _report(user, f"{user.email} is active.", as_json)


@users.command()
@click.argument("email")
@as_json
def deactivate(email: str, as_json: bool) -> None:
    """Sign the account out everywhere, at once, and let it log in no more."""
    user = _or_explain(lambda: administration.set_active(email, False), about=email)
    _report(user, f"{user.email} is deactivated, and signed out everywhere.", as_json)


keys = AppGroup("keys", help="Make, list and retire the keys that sign tokens.")

directory = click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder of the keys; SIGNING_KEYS_DIR unless given.",
)


@keys.command()
@click.option("--id", "key_id", help="Its name: letters, digits, _ and -. By default the date.")
@click.option(
    "--algorithm",
    type=click.Choice(["ES256", "RS256", "EdDSA"]),
    help="What it signs with; ALGORITHM unless given.",
)
@directory
def generate(key_id: str | None, algorithm: str | None, directory: Path | None) -> None:
    """Make a private key, readable by you alone.

    It signs nothing until SIGNING_KEY_ID names it. Copy it to every host and
    restart them; give other services five minutes to fetch the new JWK Set;
    then switch SIGNING_KEY_ID on every host. The very first key is made
    while ALGORITHM is not set yet:

    \b
        mkdir keys
        flask keys generate --algorithm ES256 --directory keys
    """
    folder = _key_folder(directory)
    algorithm = algorithm or (settings.algorithm if settings.algorithm != "HS256" else None)
    if algorithm is None:
        raise click.UsageError("Say which --algorithm: ES256, RS256 or EdDSA.")
    key_id = key_id or f"{clock.now():%Y-%m-%d}-{secrets.token_hex(2)}"
    if not KEY_ID.fullmatch(key_id):
        raise click.UsageError("A key id consists of letters, digits, _ and -, 64 at most.")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = signing_keys.generate(folder, key_id, algorithm)
    except FileExistsError:
        raise click.ClickException(f"There is a key {key_id} already.") from None
    except OSError as error:
        raise click.ClickException(f"Cannot write to {folder}: {error.strerror}.") from None
    click.echo(f"Made {key.path}, a key for {algorithm}.")


@keys.command("list")
@directory
@as_json
def list_keys(directory: Path | None, as_json: bool) -> None:
    """List the keys: which one signs, which wait, and until when retired ones verify."""
    found = _keys_in(_key_folder(directory))
    if as_json:
        listed = [{"id": key.id, "algorithm": key.algorithm, "state": _state(key)} for key in found]
        click.echo(json.dumps(listed, indent=2))
        return
    _table(("ID", "ALGORITHM", "STATE"), ((k.id, k.algorithm, _state(k)) for k in found))


@keys.command()
@click.argument("key_id")
@directory
def retire(key_id: str, directory: Path | None) -> None:
    """Destroy the private half of a key that signs no more.

    Its public half goes on verifying until the last token that it signed has
    expired. Do it on every host, after SIGNING_KEY_ID was switched on all.
    """
    if key_id == settings.signing_key_id:
        raise click.ClickException(
            f"{key_id} is the key that signs. Switch SIGNING_KEY_ID to another one first."
        )
    known = {key.id: key for key in _keys_in(_key_folder(directory)) if key.private}
    if key_id not in known:
        raise click.ClickException(f"There is no private key {key_id}.")
    until = clock.now() + signing_keys.longest_token_life(settings)
    retired = signing_keys.retire(known[key_id], until)
    click.echo(f"Retired {key_id}. {retired.path.name} verifies until {until:%Y-%m-%d %H:%M} UTC.")


def _key_folder(given: Path | None) -> Path:
    folder = given or settings.signing_keys_dir
    if folder is None:
        raise click.UsageError("Say which --directory, or set SIGNING_KEYS_DIR.")
    return folder


def _keys_in(folder: Path) -> list[signing_keys.Key]:
    try:
        return signing_keys.read_all(folder)
    except (OSError, signing_keys.UnfitKey) as error:
        raise click.ClickException(f"{folder} {error}") from None


def _state(key: signing_keys.Key) -> str:
    if key.until:
        word = "retired, verifies until" if key.verifies else "retired, of no use since"
        return f"{word} {key.until:%Y-%m-%d %H:%M} UTC"
    return "signs" if key.id == settings.signing_key_id else "waits, verifies"


# What is removed, and by whom; each takes the most to remove at once, and commits.
PRUNED: dict[str, Callable[[int], int]] = {
    "sessions": sessions.prune,
    "one-time tokens": one_time_tokens.prune,
    "mails": mail_outbox.prune,
    "closed accounts": closing.erase_due,
    "unconfirmed accounts": closing.erase_unverified,
}


@click.command()
@click.option(
    "--batch",
    type=click.IntRange(1, 10_000),
    default=1000,
    show_default=True,
    help="Rows a transaction.",
)
@click.option(
    "--every",
    type=Duration(),
    help="Do it again and again, like 1h or 30m; for a small deployment without a scheduler.",
)
@with_appcontext
def prune(batch: int, every: timedelta | None) -> None:
    """Delete what is past its use, in small transactions, beside traffic.

    \b
    sessions         past SESSION_MAX_AGE_DAYS, when all their tokens have expired
    one-time tokens  a week after they expired
    mails            delivered a week ago; those set aside stay
    closed accounts  ACCOUNT_DELETION_GRACE_DAYS after their owner closed them
    unconfirmed accounts
                     UNVERIFIED_ACCOUNT_EXPIRE_DAYS after registration; 0 keeps them
    """
    while True:
        try:
            _prune(batch)
        except DBAPIError as error:
            if every is None:
                raise _database_refusal(error) from None
            db.session.rollback()
            click.echo(f"The database does not do it, next time then: {error.orig}", err=True)
        if every is None:
            return
        time.sleep(every.total_seconds())


def _prune(batch: int) -> None:
    for what, remove in PRUNED.items():
        total = 0
        while removed := remove(batch):
            total += removed
            if removed == batch:
                click.echo(f"… {total} {what} so far")
        click.echo(f"Removed {total} {what}.")


outbox = AppGroup("outbox", help="Deliver mail, and look after what could not be delivered.")


@outbox.command("run")
@click.option("--once", is_flag=True, help="Deliver what is due now, and end; for cron.")
def run_outbox(once: bool) -> None:
    """Deliver mail until stopped (SIGTERM or Ctrl-C).

    The server delivers by itself. Where there is much mail, run this as a
    process of its own, as many of them as needed, on any host.
    """
    if once:
        tried = 0
        while batch := mail_outbox.deliver_due():
            tried += batch
        click.echo(f"Tried {tried} mails.")
        return
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    click.echo("Delivering mail. Stop with Ctrl-C.")
    deliverer.run(current_app._get_current_object(), stop)  # type: ignore[attr-defined]


@outbox.command("list")
@click.option("--all", "everything", is_flag=True, help="Delivered ones of the last week too.")
@as_json
def list_outbox(everything: bool, as_json: bool) -> None:
    """List the mails that wait or were set aside."""
    rows = [
        {
            "id": row.id,
            "message": row.message,
            "recipient": row.recipient,
            "state": row.state,
            "attempts": row.attempts,
            "error": row.last_error,
        }
        for row in mail_outbox.list_all(everything)
    ]
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    _table(
        ("ID", "MESSAGE", "RECIPIENT", "STATE", "ATTEMPTS", "ERROR"),
        (tuple("" if value is None else str(value) for value in row.values()) for row in rows),
    )


@outbox.command("show")
@click.argument("number", type=int)
def show_mail(number: int) -> None:
    """Show what is known of one mail, save the link that is in it."""
    row = _mail(number)
    for name in ("id", "message_id", "message", "recipient", "locale", "state", "attempts"):
        click.echo(f"{name}: {getattr(row, name)}")
    for name in ("created_at", "due_at", "delivered_at", "set_aside_at", "last_error"):
        if getattr(row, name) is not None:
            click.echo(f"{name}: {getattr(row, name)}")


@outbox.command("retry")
@click.argument("number", type=int)
def retry_mail(number: int) -> None:
    """Try a mail again, now, from the first attempt."""
    mail_outbox.retry(_mail(number))
    click.echo(f"Mail {number} is due.")


@outbox.command("drop")
@click.argument("number", type=int)
@click.confirmation_option(
    "--yes", prompt="The mail will not be delivered. Drop it?", help="Do not ask."
)
def drop_mail(number: int) -> None:
    """Delete a mail."""
    mail_outbox.drop(_mail(number))
    click.echo(f"Mail {number} is gone.")


def _mail(number: int) -> OutboxMessage:
    row = mail_outbox.find(number)
    if row is None:
        raise click.ClickException(f"There is no mail {number}.")
    return row


def _password_from_stdin() -> str:
    given = sys.stdin.buffer.read().decode("utf-8", "surrogateescape")
    return given.removesuffix("\n").removesuffix("\r")


def _password_from_prompt() -> str:
    password: str = click.prompt("Password", hide_input=True, confirmation_prompt="Once more")
    return password


def _or_explain(verb: Callable[[], User], about: str = "") -> User:
    """Do it, or say in one line why not, with exit status 1."""
    try:
        return verb()
    except NotFound:
        raise click.ClickException(f"Nobody has the address {about}.") from None
    except AppError as error:
        raise click.ClickException(f"{error.detail}.") from None


def _in_words(error: ValidationError) -> str:
    return "\n".join(
        f"{field.replace('_', ' ')}: {message}"
        for field, messages in error.normalized_messages().items()  # type: ignore[no-untyped-call]
        for message in messages
    )


def _report(user: User, sentence: str, as_json: bool) -> None:
    click.echo(json.dumps(UserSchema().dump(user), ensure_ascii=False) if as_json else sentence)


def _yes(flag: bool) -> str:
    return "yes" if flag else "no"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    lines: list[Any] = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(cells).rstrip())
