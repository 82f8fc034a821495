"""Security notices: what happened to an account, and the link that says "this wasn't me".

They go to confirmed addresses only. Anybody can register with somebody else's
address and then cause as many notices as they like. Each kind is limited for
the same reason: after the third in an hour the user gets one mail that sums
up, and then none.
"""

from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import select

from app import clock
from app.database import engines
from app.extensions import db
from app.http import client
from app.mail import messages, outbox
from app.mail.wordings import Wording, name_of
from app.models import User
from app.security import devices, one_time_tokens
from app.security.one_time_tokens import Purpose

MOST, PERIOD = 3, timedelta(hours=1)
# For each notice, the mail that says that there are more of the same kind. A feature names those of
# its notices with ``summarize``. Where a notice has none, the user gets no more after the third in
# an hour.
SUMMARIES: dict[Wording, Wording] = {
    messages.new_device: messages.many_new_devices,
    messages.password_changed: messages.many_password_changes,
    messages.refresh_token_reused: messages.many_refresh_tokens_reused,
    messages.deletion_asked: messages.many_deletions_asked,
    messages.email_change_asked: messages.many_email_changes_asked,
}


def summarize(notice: Wording, *, by: Wording) -> None:
    """Name the mail that a user gets instead, after the third notice of a kind in an hour."""
    SUMMARIES[notice] = by


def notify(message: Wording, user: User, **context: str | int) -> None:
    """Queue a notice of the current request, with its origin, if one is due. The caller commits."""

    def token() -> str:
        return one_time_tokens.issue(user.id, Purpose.NOT_ME, email=user.email)

    notify_with(token, message, user, **context)


def notify_with(
    token: Callable[[], str], message: Wording, user: User, **context: str | int
) -> bool:
    """Queue a notice with another link in it, if one is due. Returns whether one was.

    The caller commits.
    """
    wording = _due(message, user)
    if wording is None:
        return False
    given = _origin() | (context if wording is message else {})
    outbox.queue(wording, to=user.email, user=user, token=token(), **given)
    return True


def _origin() -> dict[str, str]:
    """The time, the IP address and the device of the request, as a notice names them.

    It never quotes text that the client sent: a stranger must not be able to
    write to our users through us.
    """
    origin = client.current()
    device = devices.name(origin.user_agent)
    return {
        "when": f"{clock.now():%Y-%m-%d %H:%M} UTC",
        "ip": origin.ip or "",
        "device": "" if device == devices.UNKNOWN else device,
    }


def goes_to(user: User) -> bool:
    """Whether the address that the user has now is confirmed."""
    confirmed = select(User.email_verified).where(User.id == user.id, User.email == user.email)
    return bool(db.session.scalar(confirmed))


def _due(message: Wording, user: User) -> Wording | None:
    """The notice itself, or the one mail that sums up, or nothing."""
    if not goes_to(user):
        return None
    summary = SUMMARIES.get(message)
    # If there are several of them at once, each waits for the one before, so that all are counted.
    engines.take_turn(f"notice {name_of(message)} {user.email}")
    if outbox.queued_lately(user.email, message, within=PERIOD) < MOST:
        return message
    if summary and outbox.queued_lately(user.email, summary, within=PERIOD) < 1:
        return summary
    return None
