"""Listening to what is exchanged with the mail server, for somebody who looks for a fault."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# The answers to questions of AUTH are no verbs, and hold the password.
PUBLIC_VERBS = frozenset({"EHLO", "HELO", "STARTTLS", "MAIL", "RCPT", "DATA", "QUIT"})

_listener: ContextVar[Callable[[str], object]] = ContextVar("listener")


@contextmanager
def listening(hear: Callable[[str], object]) -> Iterator[None]:
    """Pass each line of this thread's deliveries to a function, without the password."""
    before = _listener.set(hear)
    try:
        yield
    finally:
        _listener.reset(before)


def sent(verb: str, arguments: str) -> None:
    if hear := _listener.get(None):
        said = f"{verb} {arguments}".strip() if verb.upper() in PUBLIC_VERBS else "(hidden)"
        hear(f"> AUTH {said}" if verb == "AUTH" else f"> {said}")


def answered(code: int, said: bytes) -> None:
    if hear := _listener.get(None):
        hear(f"< {code} {said.decode(errors='replace')}")
