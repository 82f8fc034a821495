"""Moving an account to another address, and back."""

from typing import Any
from uuid import uuid4

from sqlalchemy import exists, func, or_, select

from app import audit, clock
from app.audit.vocabulary import Event
from app.auth import credentials, deletion, notices, taken
from app.auth.password import reset
from app.auth.sessions import sessions
from app.auth.taken import unless_taken
from app.database.rows import change, lock_in_order
from app.errors import EmailTaken, InvalidLink
from app.extensions import db
from app.features.credentials import CredentialChange
from app.mail import messages, outbox
from app.mail.wordings import name_of, resolver
from app.models import AuditEvent, OutboxMessage, Session, User
from app.models.one_time_token import OneTimeToken
from app.models.user import NO_DOMAIN
from app.security import one_time_tokens
from app.security.one_time_tokens import Purpose

# Changes that one account may ask for within the cap's period.
MOST_ASKED = 5


def ask(session: Session, new_email: str) -> None:
    """Mail a link to the new address, and a notice with an undo link to the old one. Commits.

    The old address gets the notice only if it was confirmed: an unconfirmed
    address may be somebody else's. Nothing changes before the link is used.
    The answer is the same for an address that another account has. Its owner
    gets a mail instead, which is prepared outside the request. The answer is
    also the same after too many requests, which send nothing: the links that
    were mailed before stay valid. It counts as too many if the old address is
    confirmed and must not get one more notice. Raises ``SessionEnded``.
    """
    user = sessions.lock_user(session)
    if new_email == user.email or _is_enough(user, new_email) or not _notify(user, new_email):
        db.session.rollback()
        return
    token = one_time_tokens.issue(user.id, Purpose.EMAIL_CHANGE, email=new_email)
    outbox.queue(new_address_named, to=new_email, user=user, token=token)
    audit.record(
        Event.EMAIL_CHANGE_ASKED,
        subject_id=user.id,
        actor_id=user.id,
        personal={"email": {"from": user.email, "to": new_email}},
    )
    db.session.commit()


def waiting(user: User) -> OneTimeToken | None:
    """The change that the user asked for, and whose link still works."""
    newest = (
        select(OneTimeToken)
        .where(OneTimeToken.user_id == user.id)
        .where(OneTimeToken.purpose == Purpose.EMAIL_CHANGE.value)
        .where(OneTimeToken.used_at.is_(None), OneTimeToken.expires_at > clock.now())
        .order_by(OneTimeToken.id.desc())
        .limit(1)
    )
    return db.session.scalar(newest)


def withdraw(session: Session) -> None:
    """Let the link of a change that waits stop working. Commits.

    It needs no recent login, because it only takes back what needs one. Raises
    ``SessionEnded``.
    """
    user = sessions.lock_user(session)
    if waiting(user) is not None:
        one_time_tokens.revoke(user.id, Purpose.EMAIL_CHANGE)
        audit.record(Event.EMAIL_CHANGE_WITHDRAWN, subject_id=user.id, actor_id=user.id)
    db.session.commit()


def _is_enough(user: User, new_email: str) -> bool:
    to_new = (new_address_named, messages.confirm_email_change, messages.address_in_use)
    # This does not count the mails to the new addresses, because their number depends on which of
    # the addresses are taken.
    asked = (
        select(func.count())
        .select_from(AuditEvent)
        .where(AuditEvent.subject_id == user.id, AuditEvent.event == Event.EMAIL_CHANGE_ASKED.value)
        .where(AuditEvent.at > clock.now() - outbox.CAP_PERIOD)
    )
    return (
        outbox.is_mailed_enough(new_email, *to_new) or (db.session.scalar(asked) or 0) >= MOST_ASKED
    )


def _notify(user: User, new_email: str) -> bool:
    """Queue the notice with the undo link. Returns False if the owner got too many already."""

    def undo_token() -> str:
        return one_time_tokens.issue(
            user.id, Purpose.EMAIL_UNDO, email=user.email, replaced_email=new_email
        )

    return not notices.goes_to(user) or notices.notify_with(
        undo_token, messages.email_change_asked, user, new_email=new_email
    )


@resolver("new_address_named")
def new_address_named(request: OutboxMessage) -> tuple[Any, dict[str, Any]] | None:
    if db.session.scalar(exists().where(User.email == request.recipient).select()):
        # From here on the mail belongs to the owner of the address, and is in their language.
        owner = outbox.addressee(request, messages.address_in_use)
        return (messages.address_in_use, {}) if owner else None
    if (former := taken.former_owner(request.recipient, except_user=request.user_id)) is not None:
        return taken.tell_former_owner(request, former)
    return messages.confirm_email_change, outbox.context_of(request)


# The names of a mail to a new address in the outbox, while it belongs to the user who asked.
TO_NEW_ADDRESS = (name_of(new_address_named), name_of(messages.confirm_email_change))


def confirm(token: str) -> None:
    """Move the account to the address that the token was mailed to. Commits.

    Raises ``InvalidLink``, also if the address has been taken in the meantime.
    """
    found = one_time_tokens.read(token, Purpose.EMAIL_CHANGE)
    user = _move(found)
    if taken.former_owner(user.email, except_user=user.id) is not None:
        db.session.rollback()
        raise InvalidLink
    one_time_tokens.redeem(found)
    credentials.changed(user, CredentialChange.EMAIL_CHANGED)
    audit.record(Event.EMAIL_CHANGED, subject_id=user.id, personal={"email": user.email})
    db.session.commit()


def cancel(token: str) -> None:
    """Stop a change that waits, or undo one that was confirmed. Commits.

    The person who asked for the change knew the password. So the password is
    removed, every device is signed out, a deletion is called off, and a link
    for a new password goes to the old address. An account that got the old address
    after the change loses it. Raises ``InvalidLink``.
    """
    found = one_time_tokens.read(token, Purpose.EMAIL_UNDO)
    _reclaim_address(found)
    user = _move(found, hashed_password=None)
    one_time_tokens.redeem(found)
    credentials.changed(user, CredentialChange.EMAIL_CHANGE_UNDONE)
    one_time_tokens.revoke_later_notices(found)
    one_time_tokens.revoke_later_undos(found)
    deletion.cancel_deletion(user.id, actor_id=None)
    ended = sessions.end_all(user.id)
    reset.begin_recovery(user)
    audit.record(
        Event.EMAIL_CHANGE_UNDONE,
        subject_id=user.id,
        personal={"email": {"from": found.replaced_email, "to": user.email}},
        sessions_ended=ended,
    )
    db.session.commit()


def _move(token: OneTimeToken, **changes: Any) -> User:
    """Set the address, and mark it as confirmed by the mail. The caller commits."""
    move = (
        change(User)
        .where(User.id == token.user_id)
        .values(email=token.email, email_verified=True, updated_at=clock.now(), **changes)
        .returning(User)
    )
    try:
        with unless_taken():
            moved: User | None = db.session.scalar(move)
    except EmailTaken:
        raise InvalidLink from None
    if moved is None:
        # The account was erased after the link was read.
        raise InvalidLink
    return moved


def _reclaim_address(undo: OneTimeToken) -> None:
    """Take the old address away from another account that has it now. The caller commits.

    The link's account had confirmed the address, and still had it when the
    link was made. So the other account got it later. That account keeps
    everything except the address. It can log in with the username, even if
    only confirmed addresses may log in, because it has to set another
    address. It is not erased as unconfirmed.
    """
    its_account, has_address = User.id == undo.user_id, User.email == undo.email
    # All are locked in one order. Otherwise two accounts that take addresses back from each other
    # would each wait for the other.
    for holder in lock_in_order(User, or_(its_account, has_address)):
        if holder.id == undo.user_id:
            continue
        holder.email, holder.email_verified = f"{uuid4().hex}@{NO_DOMAIN}", False
        holder.updated_at = clock.now()
        db.session.flush()
        one_time_tokens.revoke_for_address(holder.id, undo.email)
        audit.record(
            Event.EMAIL_TAKEN_BACK, subject_id=holder.id, personal={"email": {"from": undo.email}}
        )
