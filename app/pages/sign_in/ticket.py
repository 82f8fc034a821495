"""Between the first proof of a login and the second: a cookie that holds the ticket.

The ticket must survive the redirect to the page of the second step, and must
not be in an address, which is written to logs and histories.
"""

from dataclasses import dataclass

from flask import Response, request

from app.access import cookies

# What a person wants who checked "Stay signed in".
REMEMBERED = "remembered."


@dataclass(frozen=True)
class Ticket:
    """``mfa_token`` of a login, and whether its session is to be remembered."""

    mfa_token: str
    remember: bool


def carry(response: Response, ticket: Ticket, *, seconds: int) -> Response:
    """Let the browser hold the ticket for as long as it works."""
    prefix = REMEMBERED if ticket.remember else ""
    cookies.write(response, cookies.TICKET, prefix + ticket.mfa_token, max_age=seconds)
    return response


def carried() -> Ticket | None:
    """The ticket that the browser holds."""
    value = request.cookies.get(cookies.TICKET)
    if not value:
        return None
    return Ticket(value.removeprefix(REMEMBERED), value.startswith(REMEMBERED))


def drop(response: Response) -> Response:
    """Forget the ticket, once the login is over."""
    cookies.write(response, cookies.TICKET, "", max_age=0)
    return response
