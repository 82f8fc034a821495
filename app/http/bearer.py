"""The token that a request carries."""

from flask import request

from app.errors import InvalidToken, NotAuthenticated


def bearer_token() -> str:
    """The Bearer token of the request. Raises ``NotAuthenticated`` or ``InvalidToken``."""
    sent = [part.split(" ", 1) for part in _authorization_parts()]
    found = [rest[0] for scheme, *rest in sent if scheme == "Bearer" and rest]
    if len(found) != 1:
        raise missing_token()
    return found[0]


def missing_token() -> InvalidToken | NotAuthenticated:
    """More than one Bearer token is invalid. A scheme other than Bearer counts as no token."""
    is_bearer = any(part.split(" ", 1)[0] == "Bearer" for part in _authorization_parts())
    return InvalidToken() if is_bearer else NotAuthenticated()


def _authorization_parts() -> list[str]:
    """The header as ``canonicalize_authorization`` left it."""
    return [part for part in request.headers.get("Authorization", "").split(", ") if part]


def canonicalize_authorization() -> None:
    """Write the header as Flask-JWT-Extended reads it.

    The scheme is case-insensitive (RFC 9110 §11.1), but the library knows
    only ``Bearer``. An empty element between commas makes it raise IndexError.
    """
    header = request.environ.get("HTTP_AUTHORIZATION")
    if header is None:
        return
    # ``split`` would also take white space beyond ASCII for the end of the scheme.
    visible = header.encode("ascii", "replace").decode()
    parts = [part.strip() for part in visible.split(",") if part.strip()]
    for index, part in enumerate(parts):
        scheme, *rest = part.split(maxsplit=1)
        if scheme.lower() == "bearer":
            parts[index] = " ".join(["Bearer", *rest])
    request.environ["HTTP_AUTHORIZATION"] = ", ".join(parts)
