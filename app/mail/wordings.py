"""The messages and the resolvers, by the names under which the outbox stores them.

A mail may wait in the outbox while the code changes. So its name is written
out, and a function may be moved or renamed.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from app.mail.content import Content
from app.models.outbox_message import OutboxMessage

# The length of the column in the database.
MAX_NAME_LENGTH = 40

Wording = Callable[..., Content]
# A resolver decides outside the HTTP request whether somebody gets a mail, so that the time of the
# answer does not tell. It finds the user, and returns the message, or None for no mail.
Resolver = Callable[[OutboxMessage], tuple[Wording, dict[str, Any]] | None]

F = TypeVar("F", bound=Callable[..., Any])

_messages: dict[str, Wording] = {}
_resolvers: dict[str, Resolver] = {}
_names: dict[Callable[..., Any], str] = {}


class UnknownMessage(LookupError):
    """No message has this name."""


def message(name: str) -> Callable[[F], F]:
    """Store the mails that this function words under a name that never changes."""
    return _registering(_messages, name)


def resolver(name: str) -> Callable[[F], F]:
    """Store the requests that this function decides under a name. It must not commit."""
    return _registering(_resolvers, name)


def name_of(function: Callable[..., Any]) -> str:
    """The name under which mails of this message, or requests for this resolver, are stored."""
    if function not in _names:
        raise UnknownMessage(
            f"{function.__qualname__} has no name in the outbox. Decorate it with "
            '@message("a_name"), from app.mail.wordings.'
        )
    return _names[function]


def is_registered(function: Callable[..., Any]) -> bool:
    return function in _names


def message_called(name: str) -> Wording:
    """The message with this name.

    A mail may be older than a new version that lacks its message, or newer
    than this process. Raises ``UnknownMessage``, and the mail is tried again.
    """
    if name not in _messages:
        raise UnknownMessage(
            f"no message is called {name}. Is the feature that queued it missing from FEATURES?"
        )
    return _messages[name]


def resolver_called(name: str) -> Resolver | None:
    """The resolver with this name, if there is one."""
    return _resolvers.get(name)


def _registering(functions: dict[str, Any], name: str) -> Callable[[F], F]:
    if len(name) > MAX_NAME_LENGTH:
        raise ValueError(f"The name {name} has more than {MAX_NAME_LENGTH} characters.")

    def register(function: F) -> F:
        if name in _messages or name in _resolvers:
            raise ValueError(f"{name} is already the name of a message.")
        functions[name] = function
        _names[function] = name
        return function

    return register
