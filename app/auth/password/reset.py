"""A new password for who forgot the old one, or lost it to somebody else."""

from typing import Any

from sqlalchemy import update

from app import clock
from app.audit import recording
from app.audit.recording import Circumstances
from app.audit.vocabulary import Event
from app.auth.login import throttle
from app.auth.notices import notify
from app.auth.sessions import sessions
from app.errors import InvalidLink
from app.extensions import db
from app.mail import messages, outbox
from app.models import OutboxMessage, User
from app.security import one_time_tokens
from app.security.one_time_tokens import Purpose
from app.security.passwords import hashing, policy
from config import settings

# The mails with a link for a new password that anybody can have sent to an address. They are capped
# together: of so few, the link that the owner asked for stays among the last two that are good.
FOR_ANYBODY = (messages.password_reset, messages.account_exists)

SETTING_PASSWORDS = (Purpose.PASSWORD_RESET, Purpose.ACCOUNT_RECOVERY, Purpose.INVITATION)


def forgot(email: str) -> None:
    """Mail a link to set a new password, if anybody has the address. Commits.

    Whether somebody has it is found out outside the request, so that neither
    the answer nor its time tells.
    """
    outbox.request(reset_asked, email, **recording.circumstances()._asdict())


@outbox.resolver
def reset_asked(request: OutboxMessage) -> tuple[Any, dict[str, Any]] | None:
    user = outbox.addressee(request, *FOR_ANYBODY)
    if user is None:
        return None
    asked_under = Circumstances(**outbox.context_of(request))
    recording.record(Event.PASSWORD_RESET_ASKED, subject_id=user.id, under=asked_under)
    return messages.password_reset, link(user)


def begin(user: User) -> None:
    """Queue a mail with a link to set a new password. The caller commits."""
    outbox.queue(messages.password_reset, to=user.email, user=user, **link(user))


def begin_recovery(user: User) -> None:
    """The same for an account whose password was taken away. The caller commits.

    Strangers who ask for links do not end this one.
    """
    recovery = link(user, Purpose.ACCOUNT_RECOVERY)
    outbox.queue(messages.account_recovery, to=user.email, user=user, **recovery)


def reset(token: str, new_password: str) -> None:
    """Set a new password by a mailed token, and sign every device out. Commits.

    Who reads the mailbox owns the address: it counts as confirmed, and
    whatever an earlier holder of the account has begun is void. Who was kept
    from logging in by too many wrong passwords may again. Nobody is
    logged in by it. Raises ``InvalidLink``, or ``ValidationFailed`` for a
    password that is refused, and the token stays good then.
    """
    found = one_time_tokens.read(token, *SETTING_PASSWORDS)
    user = found.user
    # The connection goes back to the pool while hashing.
    db.session.close()
    policy.refuse_like_identity(new_password, user, field="new_password")
    hashed_password = hashing.hash(new_password)

    change = (
        update(User)
        .where(User.id == user.id, User.email == found.email)
        .values(hashed_password=hashed_password, email_verified=True, updated_at=clock.now())
        .returning(User.id)
        .execution_options(synchronize_session=False)
    )
    if db.session.scalar(change) is None:
        raise InvalidLink
    one_time_tokens.redeem(found)
    one_time_tokens.revoke_all(user)
    ended = sessions.end_all(user.id)
    throttle.lift(user)
    notify(messages.password_changed, user)
    recording.record(
        Event.PASSWORD_RESET, subject_id=user.id, by=found.purpose, sessions_ended=ended
    )
    db.session.commit()


def link(user: User, purpose: Purpose = Purpose.PASSWORD_RESET) -> dict[str, Any]:
    token = one_time_tokens.issue(user.id, purpose, email=user.email)
    minutes = int(settings.reset_token_lifetime.total_seconds() // 60)
    return {"token": token, "minutes": minutes}
