"""``flask keys …``: the keys that sign tokens, and moving sealed texts to the newest data key."""

import json
import secrets
from pathlib import Path

import click

from app import clock, features
from app.cli.refusals import OperatorGroup
from app.cli.terminal import as_json, table
from app.features import keyed
from app.features.keyed import KeyedRows, SealedRows
from app.security import key_ring, signing_keys
from config import settings
from configuration.values import KEY_ID

keys = OperatorGroup(
    "keys", help="Make, list and retire the keys that sign tokens; change the key of sealed texts."
)

directory = click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder of the keys. Default: SIGNING_KEYS_DIR.",
)


@keys.command()
@click.option("--id", "key_id", help="The key's name: letters, digits, _ and -. Default: by date.")
@click.option(
    "--algorithm",
    type=click.Choice(["ES256", "RS256", "EdDSA"]),
    help="The algorithm that the key signs with. Default: ALGORITHM.",
)
@directory
def generate(key_id: str | None, algorithm: str | None, directory: Path | None) -> None:
    """Make a private key that only you can read.

    It signs nothing until SIGNING_KEY_ID names it. Copy it to every host, and
    restart the servers. Give other services five minutes to fetch the new JWK
    Set. Then switch SIGNING_KEY_ID on every host. Make the very first key
    before you set ALGORITHM:

    \b
        mkdir keys
        flask keys generate --algorithm ES256 --directory keys
    """
    folder = _key_folder(directory)
    algorithm = algorithm or (settings.algorithm if settings.algorithm != "HS256" else None)
    if algorithm is None:
        raise click.UsageError("Choose an --algorithm: ES256, RS256 or EdDSA.")
    key_id = key_id or f"{clock.now():%Y-%m-%d}-{secrets.token_hex(2)}"
    if not KEY_ID.fullmatch(key_id):
        raise click.UsageError("A key id has at most 64 characters: letters, digits, _ and -.")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = signing_keys.generate(folder, key_id, algorithm)
    except FileExistsError:
        raise click.ClickException(f"The key {key_id} exists already.") from None
    except OSError as error:
        raise click.ClickException(f"Cannot write to {folder}: {error.strerror}.") from None
    click.echo(f"Made {key.path}, a key for {algorithm}.")


@keys.command("list")
@directory
@as_json
def list_keys(directory: Path | None, as_json: bool) -> None:
    """List the keys: which one signs, which ones wait, and how long retired ones verify.

    \b
        flask keys list
    """
    found = _keys_in(_key_folder(directory))
    if as_json:
        listed = [{"id": key.id, "algorithm": key.algorithm, "state": _state(key)} for key in found]
        click.echo(json.dumps(listed, indent=2))
        return
    table(("ID", "ALGORITHM", "STATE"), ((k.id, k.algorithm, _state(k)) for k in found))


@keys.command()
@click.argument("key_id")
@directory
def retire(key_id: str, directory: Path | None) -> None:
    """Destroy the private half of a key that no longer signs.

    Its public half keeps verifying until the last token that it signed has
    expired. Switch SIGNING_KEY_ID on every host first. Then run this command
    on every host.

    \b
        flask keys retire 2026-11-22-5f70
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


@keys.command()
@click.option(
    "--batch",
    type=click.IntRange(1, 10_000),
    default=500,
    show_default=True,
    help="Move this many rows in a transaction.",
)
def reseal(batch: int) -> None:
    """Seal again, with the newest of DATA_KEYS, what older keys have sealed.

    The server may run meanwhile. You may interrupt the command, and run it
    again: it goes on with what is left. Put the new key first in DATA_KEYS on
    every host before. Take the old key out when this command says that
    nothing needs it any more:

    \b
        DATA_KEYS=new:…,old:…
        flask keys reseal
    """
    found = [rows for feature in features.active() for rows in feature.keyed]
    click.echo(f"The newest key is {key_ring.newest_key_id()}.")
    for rows in found:
        if isinstance(rows, SealedRows):
            _reseal(rows, batch)
    without_key = sum(_report_keys(rows) for rows in found)
    for key_id in key_ring.key_ids()[1:]:
        if not any(keyed.number_under(key_id, rows) for rows in found):
            click.echo(_not_needed(key_id))
    if without_key:
        raise click.ClickException(
            f"{without_key} rows need a key that is not in DATA_KEYS, or that of another "
            "SECRET_KEY. Put it back, and run the command again."
        )


def _not_needed(key_id: str) -> str:
    if key_id in settings.data_keys:
        return f"Nothing needs the key {key_id} any more. Take it out of DATA_KEYS."
    return "Nothing needs the key of SECRET_KEY any more. Second factors outlive a new SECRET_KEY."


def _reseal(rows: SealedRows, batch: int) -> None:
    moved = not_opened = 0
    for step in keyed.reseal(rows, batch):
        moved += step.moved
        not_opened += step.not_opened
        click.echo(f"… {moved} {rows.what} so far", err=True)
    click.echo(f"Moved {moved} {rows.what} to the newest key.")
    if not_opened:
        click.echo(f"{not_opened} {rows.what} do not open: somebody has changed their rows.")


def _report_keys(rows: KeyedRows) -> int:
    """Say what still needs another key than the newest. Returns how many rows have lost theirs."""
    older = keyed.number_under_older_keys(rows)
    if older and not isinstance(rows, SealedRows):
        click.echo(
            f"{older} {rows.what} need an older key: they are digests, which cannot be moved. "
            "They stop working when you take their key out of DATA_KEYS."
        )
    return keyed.number_without_key(rows)


def _key_folder(given: Path | None) -> Path:
    folder = given or settings.signing_keys_dir
    if folder is None:
        raise click.UsageError("Name the folder with --directory, or set SIGNING_KEYS_DIR.")
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
