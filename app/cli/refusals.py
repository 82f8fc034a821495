"""How a command ends when it cannot go on: with one sentence and an exit status.

An operator must not have to read a traceback to learn that the database is
away or that an argument is not in UTF-8. Only errors from outside become a
sentence: those of the database, of files and streams, and of what was typed.
Errors of the program itself keep their traceback, because they need one.
With LOG_LEVEL=DEBUG the log has the traceback of the others as well.
"""

import errno
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.audit import operators
from app.cli.by_name import ByName
from app.cli.quiet import quiet, with_verbose

WHAT_A_PERSON_IS = "PERSON is an email address, a username or an id."


class OperatorCommand(click.Command):
    """A command whose refusals are one sentence, whatever its arguments are."""

    # Whether the log is what the command has to say, as with one that runs until it is stopped.
    is_logged = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.is_logged:
            self.params = with_verbose(self.params)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        if any("PERSON" in (parameter.metavar or "") for parameter in self.params):
            formatter.write_paragraph()
            formatter.write_text(WHAT_A_PERSON_IS)

    def invoke(self, ctx: click.Context) -> Any:
        with in_one_sentence(), operators.at_the_shell():
            _refuse_what_is_no_text(ctx)
            if self.is_logged:
                return super().invoke(ctx)
            with quiet(ctx):
                return super().invoke(ctx)


class LoggedCommand(OperatorCommand):
    """A command that writes its log as the server does."""

    is_logged = True


class OperatorGroup(ByName):
    """A group of commands whose refusals are one sentence, whatever their arguments are."""

    command_class = OperatorCommand

    def invoke(self, ctx: click.Context) -> Any:
        with in_one_sentence():
            return super().invoke(ctx)


@contextmanager
def in_one_sentence() -> Iterator[None]:
    """Turn errors from outside into a sentence."""
    _make_streams_forgiving()
    try:
        try:
            yield
        finally:
            # A buffer that cannot be written would fail at the exit, with a traceback of Python.
            _flush_stdout()
    except (DBAPIError, PoolTimeout) as error:
        raise database_refusal(error) from None
    except UnicodeError as error:
        # Commands of Flask and Flask-Migrate do not check their arguments before they use them.
        if "'idna' codec" in str(error):
            _keep_traceback(error)
            raise click.ClickException(f"A host has a name that none can have: {error}.") from None
        if not isinstance(error, UnicodeEncodeError):
            raise
        if not any(not _is_text(argument) for argument in sys.argv):
            raise
        _keep_traceback(error)
        raise click.ClickException("An argument is not text in UTF-8.") from None
    except OSError as error:
        # click ends a command silently when the reader of its output went away.
        if error.errno == errno.EPIPE:
            raise
        _keep_traceback(error)
        raise click.ClickException(_os_refusal(error)) from None


def database_refusal(error: DBAPIError | PoolTimeout) -> click.ClickException:
    _keep_traceback(error)
    reason = error.orig if isinstance(error, DBAPIError) else error
    return click.ClickException(
        f"The database refused: {_first_line(reason)}. "
        "Is DATABASE_URL right, and was `flask db upgrade` run?"
    )


def _keep_traceback(error: Exception) -> None:
    logging.getLogger(__name__).debug("The command failed", exc_info=error)


def _first_line(error: object) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")


def _os_refusal(error: OSError) -> str:
    reason = error.strerror or str(error) or type(error).__name__
    if error.filename is not None:
        return f"{os.fsdecode(str(error.filename))}: {reason}."
    if error.errno == errno.ENOSPC:
        return f"Cannot write the output: {reason}."
    return f"{reason}."


def _flush_stdout() -> None:
    try:
        sys.stdout.flush()
    except ValueError:
        # The stream is closed.
        pass
    except OSError:
        _give_stdout_up()
        raise


def _make_streams_forgiving() -> None:
    """Escape characters that the terminal cannot show, and replace closed streams by empty ones."""
    sys.stdin = sys.stdin or Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115 — for good
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if hasattr(sys.stdin, "reconfigure"):
        # Arguments that are not UTF-8 have such characters too. So one check covers both.
        sys.stdin.reconfigure(errors="surrogateescape")


def _give_stdout_up() -> None:
    """Send the rest of the buffer to nowhere, as it cannot be written at the exit either."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _refuse_what_is_no_text(ctx: click.Context) -> None:
    """Refuse arguments that are not text. Names of files may be any bytes."""
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
