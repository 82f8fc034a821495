"""The log of a command: warnings only, so that it does not cut through the answer."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import MemoryHandler

import click

# More lines than this are written at once, while the bar is shown.
MOST_HELD = 10_000
# No line is so urgent that it is written before the end of the bar.
NEVER = logging.CRITICAL + 1

_NAME = "verbose"


def _remember(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    ctx.meta[__name__] = value


VERBOSE = click.Option(
    [f"--{_NAME}"],
    is_flag=True,
    expose_value=False,
    callback=_remember,
    help="Write the log to standard error from INFO on, not only warnings.",
)


def with_verbose(params: list[click.Parameter]) -> list[click.Parameter]:
    """The parameters and --verbose, unless they have one of that name for something else."""
    if any(parameter.name == _NAME for parameter in params):
        return params
    return [*params, VERBOSE]


@contextmanager
def quiet(ctx: click.Context) -> Iterator[None]:
    """Log from WARNING on until the command ends. With --verbose or LOG_LEVEL=DEBUG, log more."""
    root = logging.getLogger()
    before = root.level
    if ctx.meta.get(__name__):
        root.setLevel(min(before, logging.INFO))
    elif before == logging.INFO:
        root.setLevel(logging.WARNING)
    try:
        yield
    finally:
        root.setLevel(before)


@contextmanager
def log_held_back() -> Iterator[None]:
    """Write what is logged afterwards, so that no line cuts through a progress bar."""
    root = logging.getLogger()
    before = root.handlers[:]
    held = [MemoryHandler(MOST_HELD, flushLevel=NEVER, target=handler) for handler in before]
    root.handlers[:] = held
    try:
        yield
    finally:
        root.handlers[:] = before
        for handler in held:
            handler.close()
