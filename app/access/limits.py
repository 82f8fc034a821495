"""How often one network or one user may call.

A network is an IPv4 address, or the /64 of an IPv6 address. ``config.py`` has
the numbers; ``limited``, ``limited_guesses`` and ``limited_writes`` put them on
a call. ``app/auth/login/throttle.py`` slows down guesses at one account, no
matter where they come from.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from blinker import Namespace
from flask import Flask, current_app
from limits import RateLimitItem
from limits.storage import Storage
from limits.strategies import MovingWindowRateLimiter

from app import audit, clock
from app.access.guards import current_user
from app.access.limit_storage import BoundedMemoryStorage, RedisOrMemoryStorage
from app.audit.vocabulary import Event
from app.errors import InvalidCredentials, RateLimited, WrongPassword
from app.http import client
from app.http.blueprint import Decorator, View, refuses
from app.observability import readiness
from app.security import identifiers, pseudonyms
from config import Settings, settings

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger(__name__)

# Sent by the application when a limit refuses a request.
limit_refused = Namespace().signal("limit-refused")


@dataclass(frozen=True)
class Limit:
    """Calls whose limits have the same ``name`` are counted together."""

    name: str
    numbers: Callable[[], Sequence[RateLimitItem]]


# Passwords, right or wrong: at login, and in calls that ask for the current password again.
LOGIN = Limit("login", lambda: settings.ratelimit_login)

# Wrong passwords among them, for all accounts together. Somebody who tries one password at many
# accounts is not a user who forgot a password.
LOGIN_FAILURES = Limit("login failures", lambda: settings.ratelimit_login_failures)

# Registrations, successful or not. By default the answer tells whether an address has an account.
REGISTER = Limit("register", lambda: settings.ratelimit_register)

# Requests that send mail, to any address.
MAIL = Limit("mail", lambda: settings.ratelimit_mail)

# Requests that send mail to one address, whether or not an account has it. They are counted for
# each network, because otherwise an attacker could use up the owner's requests.
MAIL_PER_ADDRESS = Limit("mail per address", lambda: settings.ratelimit_mail_per_address)

# Refresh tokens and mailed tokens that clients present, valid or not.
TOKEN = Limit("token", lambda: settings.ratelimit_token)

# Writes of a signed-in user to their own account, and exports, because each of them writes rows or
# reads a lot. They are counted for the user, from all networks together.
WRITES = Limit("writes", lambda: settings.ratelimit_writes)


def init_app(app: Flask, settings: Settings) -> None:
    """Give the application its counters."""
    url = settings.redis_url
    storage: Storage = RedisOrMemoryStorage(url) if url else BoundedMemoryStorage()
    if url:
        readiness.add_part(app, "redis", storage.check)
    app.extensions["limits"] = MovingWindowRateLimiter(storage)


def announce(settings: Settings) -> None:
    """Log at the start how far the settings weaken the limits."""
    if not settings.ratelimit_enabled:
        log.warning("RATELIMIT_ENABLED is false: anybody may guess passwords without a limit")
    elif not settings.redis_url:
        log.info(
            "each of %d worker processes counts rate limits by itself, in memory; "
            "set REDIS_URL to make them count together",
            settings.web_concurrency,
        )


def limited(limit: Limit, *, by: Callable[..., str] | None = None) -> Decorator:
    """Limit how often one network may call the view.

    Put it above the decorator that reads the body, and the body of a refused
    request is not read. ``by`` gets the arguments of the view; each value that
    it returns is counted separately.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def within_limit(*args: Any, **kwargs: Any) -> Any:
            _spend(limit, *([by(*args, **kwargs)] if by else []))
            return view(*args, **kwargs)

        return refuses(RateLimited)(within_limit)  # type: ignore[return-value]

    return decorate


def limited_guesses(view: Callable[P, R]) -> Callable[P, R]:
    """Limit how many passwords one network may try, and how many wrong ones."""

    @wraps(view)
    def guess(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            _spend(LOGIN)
            _want_some_left(LOGIN_FAILURES)
        except RateLimited:
            audit.note(Event.LOGIN_THROTTLED, kind="network", network=client.current().network)
            raise
        try:
            return view(*args, **kwargs)
        except (InvalidCredentials, WrongPassword):
            _count(LOGIN_FAILURES)
            raise

    return refuses(RateLimited)(guess)


def limited_writes(view: Callable[P, R]) -> Callable[P, R]:
    """Limit how often one user may call. Put it below the decorator that signs the user in."""

    @wraps(view)
    def write(*args: P.args, **kwargs: P.kwargs) -> R:
        _spend_for(WRITES, "user", str(current_user().id))
        return view(*args, **kwargs)

    return refuses(RateLimited)(write)


def to_address(body: dict[str, Any]) -> str:
    """A key for the address that gets the mail. It is the same for every spelling of it."""
    known_as = identifiers.identifier_of(email=body.get("email") or body.get("new_email", ""))
    return pseudonyms.of(known_as.kind, known_as.value)


def spend(limit: Limit, *whom: str) -> None:
    """Count a call of somebody, which ``whom`` names. Raises ``RateLimited``."""
    _spend_for(limit, *whom)


def _spend(limit: Limit, *what: str) -> None:
    _spend_for(limit, client.current().network, *what)


def _spend_for(limit: Limit, *whom: str) -> None:
    if not settings.ratelimit_enabled:
        return
    for number in limit.numbers():
        if not _limiter().hit(number, limit.name, *whom):
            _refuse(number, limit.name, *whom)


def _want_some_left(limit: Limit) -> None:
    if not settings.ratelimit_enabled:
        return
    for number in limit.numbers():
        if not _limiter().test(number, *_key(limit)):
            _refuse(number, *_key(limit))


def _count(limit: Limit) -> None:
    if not settings.ratelimit_enabled:
        return
    for number in limit.numbers():
        _limiter().hit(number, *_key(limit))


def _key(limit: Limit) -> tuple[str, ...]:
    return (limit.name, client.current().network)


def _refuse(number: RateLimitItem, *key: str) -> None:
    limit_refused.send(current_app._get_current_object())  # type: ignore[attr-defined]
    oldest_leaves_at = _limiter().get_window_stats(number, *key).reset_time
    raise RateLimited(oldest_leaves_at - clock.now().timestamp())


def _limiter() -> MovingWindowRateLimiter:
    limiter: MovingWindowRateLimiter = current_app.extensions["limits"]
    return limiter
