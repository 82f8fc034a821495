"""Who runs a command, as far as the shell says it.

Commands know no account, so without this the log could not tell two operators
apart. An operator with a shell can claim to be anybody: what is on record here
answers a question among colleagues, and proves nothing.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from app.http import addresses

LONGEST_NAME = 100


class Operator(NamedTuple):
    """The login name at the machine, and the network address of an SSH connection to it."""

    name: str | None = None
    ip: str | None = None


# It is set while a command runs. The server's own background work has no operator.
_running: ContextVar[Operator] = ContextVar("operator")


def current() -> Operator:
    return _running.get(Operator())


@contextmanager
def at_the_shell() -> Iterator[None]:
    """Let what is recorded until the end of the command name its operator."""
    before = _running.set(of(os.environ))
    try:
        yield
    finally:
        _running.reset(before)


def of(environment: Mapping[str, str]) -> Operator:
    """The operator of a shell with these variables.

    Nobody is named where neither SSH nor sudo leads to the shell: in a
    container or in a job the login name is that of a service.
    """
    connection = environment.get("SSH_CONNECTION", "").split()
    address = addresses.parse(connection[0]) if connection else None
    name = environment.get("SUDO_USER") or (environment.get("USER") if connection else None)
    is_known = name is not None and name.isprintable() and len(name) <= LONGEST_NAME
    return Operator(name if is_known else None, str(address) if address else None)
