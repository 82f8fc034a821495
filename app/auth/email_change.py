"""Moving an account to another address, and back."""

from typing import Any

from sqlalchemy import exists, update

from app import audit, clock
from app.auth import password_reset, sessions
from app.auth.notices import circumstances
from app.auth.registration import unless_taken
from app.errors import EmailTaken, InvalidLink
from app.extensions import db
from app.mail import messages, outbox
from app.models import OutboxMessage, Session, User
from app.models.audit_event import Event
from app.models.one_time_token import OneTimeToken, Purpose
from app.security import one_time_tokens

# Notices of this to one address within the cap's period; each has a link that undoes.
MOST_NOTICES = 5


def ask(session: Session, new_email: str) -> None:
    """Mail a link to the new address, and a notice with an undo link to the old one. Commits.

    Nothing changes before the link is used. An address that belongs to
    somebody is answered alike; its owner is told instead, when the mail is
    prepared outside the request. More requests than anybody needs are
    answered alike too, and the links that were mailed stay good. Raises
    ``SessionEnded``.
    """
    user = sessions.hold(session)
    if new_email == user.email or _is_enough(user.email, new_email):
        db.session.rollback()
        return
    token = one_time_tokens.issue(user.id, Purpose.EMAIL_CHANGE, email=new_email)
    undo = one_time_tokens.issue(
        user.id, Purpose.EMAIL_UNDO, email=user.email, replaced_email=new_email
    )
    outbox.queue(new_address_named, to=new_email, user=user, token=token)
    outbox.queue(
        messages.email_change_asked,
        to=user.email,
        user=user,
        token=undo,
        new_email=new_email,
        **circumstances(),
    )
    audit.record(
        Event.EMAIL_CHANGE_ASKED,
        subject_id=user.id,
        actor_id=user.id,
        personal={"email": {"from": user.email, "to": new_email}},
    )
    db.session.commit()


def _is_enough(email: str, new_email: str) -> bool:
    to_new = (new_address_named, messages.confirm_email_change, messages.address_in_use)
    return outbox.is_mailed_enough(new_email, *to_new) or outbox.is_mailed_enough(
        email, messages.email_change_asked, most=MOST_NOTICES
    )


@outbox.resolver
def new_address_named(request: OutboxMessage) -> tuple[Any, dict[str, Any]] | None:
    if db.session.scalar(exists().where(User.email == request.recipient).select()):
        # From here on it is the owner's mail, in the owner's language.
        owner = outbox.addressee(request, messages.address_in_use)
        return (messages.address_in_use, {}) if owner else None
    return messages.confirm_email_change, outbox.context_of(request)


# What a mail to a new address is called on its way, as long as it is the asking user's.
TO_NEW_ADDRESS = (new_address_named.__name__, messages.confirm_email_change.__name__)


def confirm(token: str) -> None:
    """Move the account to the address that the token was mailed to. Commits.

    Raises ``InvalidLink``, also where the address has been taken meanwhile.
    """
    found = one_time_tokens.read(token, Purpose.EMAIL_CHANGE)
    user = _move(found, to=found.email)
    one_time_tokens.redeem(found)
    one_time_tokens.revoke_all(user)
    audit.record(Event.EMAIL_CHANGED, subject_id=user.id, personal={"email": user.email})
    db.session.commit()


def cancel(token: str) -> None:
    """Stop a change that waits, or undo one that was confirmed. Commits.

    Whoever asked for the change knew the password, so every device is signed
    out, a deletion is called off, and a link for a new password goes to the
    old address. Raises
    ``InvalidLink``, also where the old address has been taken meanwhile.
    """
    found = one_time_tokens.read(token, Purpose.EMAIL_UNDO)
    user = _move(found, to=found.email)
    one_time_tokens.redeem(found)
    one_time_tokens.revoke_all(user)
    one_time_tokens.revoke_later_notices(found)
    sessions.call_deletion_off(user.id, actor_id=None)
    ended = sessions.end_all(user.id)
    password_reset.begin(user)
    audit.record(
        Event.EMAIL_CHANGE_UNDONE,
        subject_id=user.id,
        personal={"email": {"from": found.replaced_email, "to": user.email}},
        sessions_ended=ended,
    )
    db.session.commit()


def _move(token: OneTimeToken, to: str | None) -> User:
    """Write the address, which the mail to it has confirmed. The caller commits."""
    move = (
        update(User)
        .where(User.id == token.user_id)
        .values(email=to, email_verified=True, updated_at=clock.now())
        .returning(User)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    try:
        with unless_taken():
            return db.session.scalars(move).one()
    except EmailTaken:
        raise InvalidLink from None
