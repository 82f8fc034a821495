"""Security notices: what happened to an account, and the link that says "this wasn't me"."""

from collections.abc import Callable

from app import clock
from app.mail import outbox
from app.mail.messages import Content
from app.models import User
from app.models.one_time_token import Purpose
from app.security import one_time_tokens
from app.security.client_address import current_client


def notify(message: Callable[..., Content], user: User, **context: str) -> None:
    """Queue a notice of what was done just now, from where. The caller commits."""
    token = one_time_tokens.issue(user.id, Purpose.NOT_ME, email=user.email)
    outbox.queue(message, to=user.email, user=user, token=token, **circumstances(), **context)


def circumstances() -> dict[str, str]:
    """When, from where and by what device, in the words of a notice."""
    client = current_client()
    return {
        "when": f"{clock.now():%Y-%m-%d %H:%M} UTC",
        "ip": client.ip or "",
        "device": client.user_agent or "",
    }
