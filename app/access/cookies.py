"""The cookies of a browser: its session, its sign-in under way, and that it is remembered.

A verb calls these functions, and the answer sets or clears the cookie,
whichever view makes the answer. The session's cookie is 256 random bits, and
the session's row has their SHA-256.
"""

from datetime import datetime, timedelta
from math import ceil

from flask import Response, after_this_request, g, request

from app import clock
from app.security import random_tokens
from config import settings
from configuration.hosts import is_secure

# Browsers accept a name with this prefix only over https, for one host and all its paths. So
# another host of the same domain cannot plant such a cookie (RFC 6265bis §4.1.3.2).
SESSION = "__Host-session"
DEVICE = "__Host-device"
# Of a sign-in that is under way: with a provider, and before the second step.
ATTEMPT = "__Host-attempt"
TICKET = "__Host-ticket"


def are_possible() -> bool:
    """Whether browsers keep such cookies at PUBLIC_URL: on https, and on this machine."""
    return is_secure(settings.public_url)


def hold_session(*, remember: bool = False) -> None:
    """Let a cookie hold the session that this request begins, instead of tokens.

    Call it before ``login.start``. A remembered cookie outlives its browser.
    """
    g.remember_session = remember


def is_wanted() -> bool:
    """Whether a cookie is to hold the session that this request begins."""
    return "remember_session" in g


def is_remembered() -> bool:
    """Whether that cookie is to outlive its browser."""
    return bool(g.get("remember_session"))


def idle_time(*, is_remembered: bool) -> timedelta:
    """How long a session lasts that a cookie holds and that nobody uses."""
    return settings.stay_signed_in if is_remembered else settings.cookie_idle


def new_secret(*, is_remembered: bool, expires_at: datetime) -> str:
    """Make a secret for the cookie of the answer. Returns its digest, for the session's row.

    An answer that is an error does not set the cookie, so a verb may call this
    before it commits.
    """
    secret = random_tokens.make()
    keep(secret, is_remembered=is_remembered, expires_at=expires_at)
    return random_tokens.digest(secret)


def keep(secret: str, *, is_remembered: bool, expires_at: datetime) -> None:
    """Set the cookie on the answer, until the session's end if it is remembered."""
    _write_on_answer(SESSION, secret, _seconds_until(expires_at) if is_remembered else None)


def clear_session() -> None:
    """Clear the cookie on the answer."""
    _write_on_answer(SESSION, "", 0)


def leave() -> None:
    """Clear what the browser holds for the person who logs out at it.

    On a shared computer, the next person must not finish what this one began.
    """
    clear_session()
    for name in (ATTEMPT, TICKET):
        if _sent(name):
            _write_on_answer(name, "", 0)


def remember_device(token: str, *, expires_at: datetime) -> None:
    """Set the cookie of a remembered device on the answer."""
    _write_on_answer(DEVICE, token, _seconds_until(expires_at))


def sent_device_token() -> str | None:
    """The token of a remembered device, if the request begins a session that a cookie holds."""
    return _sent(DEVICE) if is_wanted() else None


def sent_secret() -> str | None:
    """The secret in the session cookie of the request."""
    return _sent(SESSION)


def sent_attempt() -> str | None:
    """The secret of the sign-ins with providers that are under way at the browser."""
    return _sent(ATTEMPT)


def session_secret() -> str | None:
    """The secret that the browser has after this answer."""
    written = g.get("written_cookies", {}).get(SESSION)
    return (written[0] or None) if written else sent_secret()


def _sent(name: str) -> str | None:
    # Most requests have no cookie at all, and are spared the parsing.
    if "HTTP_COOKIE" not in request.environ:
        return None
    return request.cookies.get(name) or None


def _seconds_until(end: datetime) -> int:
    return ceil((end - clock.now()).total_seconds())


def write(response: Response, name: str, text: str, *, max_age: int | None = None) -> None:
    """Set a cookie that only this host reads, and no script."""
    response.set_cookie(
        name, text, max_age=max_age, path="/", secure=True, httponly=True, samesite="Lax"
    )


def _write_on_answer(name: str, text: str, max_age: int | None) -> None:
    if "written_cookies" not in g:
        after_this_request(_write_all)
        g.written_cookies = {}
    g.written_cookies[name] = (text, max_age)


def _write_all(response: Response) -> Response:
    for name, (text, max_age) in g.pop("written_cookies").items():
        if not text or response.status_code < 400:
            write(response, name, text, max_age=max_age)
    return response
