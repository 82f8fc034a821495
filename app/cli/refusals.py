"""How a command ends when it cannot go on: with one sentence and an exit status.

Whatever a command is given, an operator must not have to read a traceback to
learn that the database is away or that a file is not in UTF-8. Errors of the
program itself are not caught: those need one.
"""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click
from flask.cli import AppGroup
from sqlalchemy.exc import DBAPIError, SQLAlchemyError


class OperatorCommand(click.Command):
    """A command that ends in one sentence, whatever it is given."""

    def invoke(self, ctx: click.Context) -> Any:
        with in_one_sentence():
            _refuse_what_is_no_text(ctx)
            return super().invoke(ctx)


class OperatorGroup(AppGroup):
    """Commands that end in one sentence, whatever they are given."""

    command_class = OperatorCommand

    def invoke(self, ctx: click.Context) -> Any:
        with in_one_sentence():
            return super().invoke(ctx)


@contextmanager
def in_one_sentence() -> Iterator[None]:
    """Turn what the world outside does wrong into a sentence."""
    _make_streams_forgiving()
    try:
        yield
    except DBAPIError as error:
        raise database_refusal(error) from None
    except SQLAlchemyError as error:
        raise click.ClickException(f"The database does not do it: {_first_line(error)}.") from None
    except UnicodeError:
        raise click.ClickException(
            "Something that was given is not text in UTF-8: an argument, a file or standard input."
        ) from None
    except OverflowError:
        raise click.ClickException("A number or a time is out of range.") from None
    except OSError as error:
        # click ends a command whose reader went away, without a word.
        if error.errno == errno.EPIPE:
            raise
        raise click.ClickException(_os_refusal(error)) from None


def database_refusal(error: DBAPIError) -> click.ClickException:
    return click.ClickException(
        f"The database does not do it: {_first_line(error.orig)}. "
        "Is DATABASE_URL right, and was `flask db upgrade` run?"
    )


def _first_line(error: object) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")


def _os_refusal(error: OSError) -> str:
    reason = error.strerror or str(error) or type(error).__name__
    if error.filename is not None:
        return f"{os.fsdecode(str(error.filename))}: {reason}."
    if error.errno == errno.ENOSPC:
        _give_stdout_up()
        return f"Cannot write the output: {reason}."
    return f"{reason}."


def _make_streams_forgiving() -> None:
    """Let output show what the terminal cannot, and let streams that are closed be empty."""
    sys.stdin = sys.stdin or Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115 — for good
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _give_stdout_up() -> None:
    """What is left in the buffer cannot be written at the exit either."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _refuse_what_is_no_text(ctx: click.Context) -> None:
    """Names of files may be any bytes; everything else that is typed is text."""
    for name, value in ctx.params.items():
        for given in value if isinstance(value, tuple) else (value,):
            if isinstance(given, str) and not isinstance(given, Path) and not _is_text(given):
                raise click.UsageError(f"The {name.replace('_', ' ')} is not text in UTF-8.")


def _is_text(given: str) -> bool:
    try:
        given.encode()
    except UnicodeEncodeError:
        return False
    return True
