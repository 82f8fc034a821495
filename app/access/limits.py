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
from math import ceil
from typing import Any, ParamSpec, TypeVar, cast

from blinker import Namespace
from flask import Flask, Response, after_this_request, current_app, g
from limits import RateLimitItem
from limits.storage import Storage
from limits.strategies import MovingWindowRateLimiter

from app import audit, clock
from app.access.guards import current_user
from app.access.limit_storage import (
    BoundedMemoryStorage,
    CountingStorage,
    RedisOrMemoryStorage,
    Taken,
)
from app.audit.vocabulary import Event
from app.errors import InvalidCredentials, RateLimited, WrongPassword
from app.http import client
from app.http.blueprint import Decorator, View, documentation_of, refuses
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
            if by:
                _spend_for(limit, client.current().network, by(*args, **kwargs))
            else:
                _spend(limit)
            return view(*args, **kwargs)

        if not by:
            documentation_of(within_limit)["rate_limited"] = True
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

    documentation_of(guess)["rate_limited"] = True
    return refuses(RateLimited)(guess)


def limited_writes(view: Callable[P, R]) -> Callable[P, R]:
    """Limit how often one user may call. Put it below the decorator that signs the user in."""

    @wraps(view)
    def write(*args: P.args, **kwargs: P.kwargs) -> R:
        spend_write(current_user().id)
        return view(*args, **kwargs)

    return refuses(RateLimited)(write)


def spend_write(user_id: int) -> None:
    """Count a write of a user. Raises ``RateLimited``."""
    _spend_for(WRITES, "user", str(user_id))


def to_address(body: dict[str, Any]) -> str:
    """A key for the address that gets the mail. It is the same for every spelling of it."""
    known_as = identifiers.identifier_of(email=body.get("email") or body.get("new_email", ""))
    return pseudonyms.of(known_as.kind, known_as.value)


def spend(limit: Limit, *whom: str) -> None:
    """Count a call of somebody, which ``whom`` names. Raises ``RateLimited``."""
    _spend_for(limit, *whom)


def _spend(limit: Limit) -> None:
    """Count a call of this network, and say in the answer how many are left to it.

    The answer never says so of a limit for one account or one address: how many
    calls others have made would tell something about it. For the same reason
    it says nothing of ``LOGIN_FAILURES``, which counts only some refusals.
    """
    _spend_for(limit, client.current().network, show=_show)


def _spend_for(limit: Limit, *whom: str, show: Callable[..., None] = lambda *_: None) -> None:
    if not settings.ratelimit_enabled:
        return
    for number in limit.numbers():
        taken = _take(number, limit.name, *whom)
        show(limit, number, taken)
        if not taken.is_taken:
            _refuse(taken.frees_after_seconds)


def _show(limit: Limit, number: RateLimitItem, taken: Taken) -> None:
    """The fields of draft-ietf-httpapi-ratelimit-headers-11."""
    if "rate_limits" not in g:
        g.rate_limits = []
        after_this_request(_add_fields)
    name = limit.name
    if len(limit.numbers()) > 1:
        # Each policy needs a name of its own.
        name += f" per {number.multiples if number.multiples > 1 else ''} {number.GRANULARITY.name}"
    policy = f'"{" ".join(name.split())}"'
    wait = max(1, ceil(taken.frees_after_seconds))
    g.rate_limits.append(
        (
            f"{policy};q={number.amount};w={number.get_expiry()}",
            f"{policy};r={max(0, taken.left)};t={wait}",
        )
    )


def _add_fields(response: Response) -> Response:
    policies, states = zip(*g.rate_limits, strict=True)
    response.headers["RateLimit-Policy"] = ", ".join(policies)
    response.headers["RateLimit"] = ", ".join(states)
    return response


def _want_some_left(limit: Limit) -> None:
    if not settings.ratelimit_enabled:
        return
    for number in limit.numbers():
        if not _limiter().test(number, *_key(limit)):
            oldest_leaves_at = _limiter().get_window_stats(number, *_key(limit)).reset_time
            _refuse(oldest_leaves_at - clock.now().timestamp())


def _count(limit: Limit) -> None:
    if not settings.ratelimit_enabled:
        return
    for number in limit.numbers():
        _take(number, *_key(limit))


def _key(limit: Limit) -> tuple[str, ...]:
    return (limit.name, client.current().network)


def _refuse(seconds: float) -> None:
    limit_refused.send(current_app._get_current_object())  # type: ignore[attr-defined]
    raise RateLimited(seconds)


def _take(number: RateLimitItem, *key: str) -> Taken:
    storage = cast(CountingStorage, _limiter().storage)
    return storage.take(number.key_for(*key), number.amount, number.get_expiry())


def _limiter() -> MovingWindowRateLimiter:
    limiter: MovingWindowRateLimiter = current_app.extensions["limits"]
    return limiter
