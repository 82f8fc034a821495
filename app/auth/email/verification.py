"""Confirming that an address belongs to the user who registered it."""

from typing import Any

from app import audit, clock
from app.audit.vocabulary import Event
from app.database.rows import change
from app.errors import InvalidLink
from app.extensions import db
from app.mail import messages, outbox
from app.mail.wordings import resolver
from app.models import OutboxMessage, User
from app.security import one_time_tokens
from app.security.one_time_tokens import Purpose


def send(user: User) -> None:
    """Queue the mail by which a new user confirms the address. The caller commits.

    Whoever registers with somebody else's address, moves on to another one and
    begins again must not send a mail each time. The account is made
    nevertheless, and its owner can ask for the mail later.
    """
    if outbox.is_mailed_enough(user.email, messages.verify_email):
        return
    token = one_time_tokens.issue(user.id, Purpose.EMAIL_VERIFICATION, email=user.email)
    outbox.queue(messages.verify_email, to=user.email, user=user, token=token)


def resend(email: str) -> None:
    """Send the mail again, if there is an account to confirm. Commits.

    The account is looked up outside the request, so that neither the answer
    nor its time tells whether there is one.
    """
    outbox.request(verification_asked, email)


@resolver("verification_asked")
def verification_asked(request: OutboxMessage) -> tuple[Any, dict[str, Any]] | None:
    user = outbox.addressee(request, messages.verify_email)
    if user is None or user.email_verified:
        return None
    token = one_time_tokens.issue(user.id, Purpose.EMAIL_VERIFICATION, email=user.email)
    return messages.verify_email, {"token": token}


def verify(token: str) -> None:
    """Confirm the address that the token was sent to. Commits. Raises ``InvalidLink``."""
    found = one_time_tokens.read(token, Purpose.EMAIL_VERIFICATION)
    confirmation = (
        change(User)
        .where(User.id == found.user_id, User.email == found.email)
        .values(email_verified=True, updated_at=clock.now())
        .returning(User.id)
    )
    if db.session.scalar(confirmation) is None:
        raise InvalidLink
    one_time_tokens.redeem(found)
    audit.record(Event.EMAIL_VERIFIED, subject_id=found.user_id)
    db.session.commit()
