"""A new password for a user who forgot the old one, or from whom it was stolen."""

from typing import Any

from app import clock
from app.audit import recording
from app.audit.vocabulary import Event
from app.auth import credentials
from app.auth.login import throttle
from app.auth.login.throttle import Kind
from app.auth.notices import notify
from app.auth.sessions import sessions
from app.database.rows import change
from app.errors import InvalidLink
from app.extensions import db
from app.features.credentials import CredentialChange
from app.http import client
from app.http.client import Client
from app.mail import messages, outbox
from app.mail.wordings import resolver
from app.models import OutboxMessage, User
from app.security import one_time_tokens
from app.security.one_time_tokens import Purpose
from app.security.passwords import hashing, policy
from config import settings

# Anybody can cause these mails with a link for a new password. They are capped together, and only
# the last two links are valid. The cap keeps the link that the owner asked for among these two.
FOR_ANYBODY = (messages.password_reset, messages.account_exists)

SETTING_PASSWORDS = (Purpose.PASSWORD_RESET, Purpose.ACCOUNT_RECOVERY, Purpose.INVITATION)


def forgot(email: str) -> None:
    """Mail a link to set a new password, if anybody has the address. Commits.

    The address is looked up outside the request, so that neither the answer
    nor its time tells whether somebody has it.
    """
    asking = client.current()
    outbox.request(
        reset_asked,
        email,
        ip=asking.ip,
        user_agent=asking.user_agent,
        request_id=asking.request_id,
    )


@resolver("reset_asked")
def reset_asked(request: OutboxMessage) -> tuple[Any, dict[str, Any]] | None:
    user = outbox.addressee(request, *FOR_ANYBODY)
    if user is None:
        return None
    origin = Client(**outbox.context_of(request))
    recording.record(Event.PASSWORD_RESET_ASKED, subject_id=user.id, origin=origin)
    return messages.password_reset, link(user)


def begin(user: User) -> None:
    """Queue a mail with a link to set a new password. The caller commits."""
    outbox.queue(messages.password_reset, to=user.email, user=user, **link(user))


def begin_recovery(user: User) -> None:
    """Queue the same mail for an account whose password was removed. The caller commits.

    Its link stays valid if strangers ask for further links.
    """
    recovery = link(user, Purpose.ACCOUNT_RECOVERY)
    outbox.queue(messages.account_recovery, to=user.email, user=user, **recovery)


def reset(token: str, new_password: str) -> None:
    """Set a new password with a mailed token, and sign every device out. Commits.

    A person who reads the mailbox owns the address, so it counts as confirmed.
    All links that were mailed before stop working, except those in notices. If
    nobody had confirmed the address before, the second factors go too. A user
    who was suspended after too many wrong passwords may log in again. It
    does not log the user in. Raises ``InvalidLink``, or ``ValidationFailed``
    for a password that is refused, and then the token stays valid.
    """
    found = one_time_tokens.read(token, *SETTING_PASSWORDS)
    before = found.user
    # The connection goes back to the pool while the password is hashed.
    db.session.close()
    policy.refuse_like_identity(new_password, before, field="new_password")
    hashed_password = hashing.hash(new_password)

    replacement = (
        change(User)
        .where(User.id == before.id, User.email == found.email)
        .values(hashed_password=hashed_password, email_verified=True, updated_at=clock.now())
        .returning(User)
    )
    user = db.session.scalar(replacement)
    if user is None:
        raise InvalidLink
    one_time_tokens.redeem(found)
    credentials.changed(user, _what_it_shows(before))
    ended = sessions.end_all(user.id)
    throttle.clear(user, Kind.PASSWORD)
    notify(messages.password_changed, user)
    recording.record(
        Event.PASSWORD_RESET, subject_id=user.id, by=found.purpose, sessions_ended=ended
    )
    db.session.commit()


def _what_it_shows(before: User) -> CredentialChange:
    """A stranger may have made an account whose address nobody had confirmed before."""
    if before.email_verified:
        return CredentialChange.PASSWORD_RESET
    return CredentialChange.MAILBOX_PROVED


def link(user: User, purpose: Purpose = Purpose.PASSWORD_RESET) -> dict[str, Any]:
    token = one_time_tokens.issue(user.id, purpose, email=user.email)
    minutes = int(settings.reset_token_lifetime.total_seconds() // 60)
    return {"token": token, "minutes": minutes}
