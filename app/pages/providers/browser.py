"""The cookie that ties a sign-in with a provider to the browser that began it."""

import re

from flask import Response, request

from app.access import cookies
from app.auth.providers import attempts
from app.auth.providers.errors import AttemptInvalid
from app.auth.providers.models import Attempt
from app.auth.providers.settings import Provider, providers
from app.errors import NotFound
from app.security import random_tokens

SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


def secret() -> str:
    """The secret that the browser has, or gets. Sign-ins in several tabs share one."""
    return sent() or random_tokens.make()


def sent() -> str | None:
    held = cookies.sent_attempt()
    return held if held and SECRET.fullmatch(held) else None


def keep(response: Response, held: str) -> Response:
    """Let the browser hold the secret for as long as an attempt lasts."""
    cookies.write(response, cookies.ATTEMPT, held, max_age=int(attempts.LIFETIME.total_seconds()))
    return response


def drop(response: Response) -> Response:
    """Forget the secret, once the sign-in is over. Who uses the browser next gets another one."""
    cookies.write(response, cookies.ATTEMPT, "", max_age=0)
    return response


def drop_unless_awaited(response: Response) -> Response:
    """Forget the secret after a login, unless that login was for the page that confirms a link."""
    return response if attempts.is_awaited(sent() or "") else drop(response)


def waiting(provider: Provider) -> Attempt:
    """The newest sign-in at this browser that waits for its person. Raises ``AttemptInvalid``.

    A form says which one it showed. Another one may have come since in another
    tab, of which the person has not agreed to anything.
    """
    newest = attempts.waiting(provider, sent())
    if request.form.get("attempt", str(newest.id)) != str(newest.id):
        raise AttemptInvalid
    return newest


def provider_of(name: str) -> Provider:
    """The provider with the name that the path has. Raises ``NotFound``."""
    provider = providers().get(name)
    if provider is None:
        raise NotFound
    return provider
