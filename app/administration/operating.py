"""What operators in the shell may do with the account of somebody else.

Whoever has a shell on the server may change every row anyway. These verbs make
the change whole: what it must end ends, and the audit log tells of it. The
verbs with an ``actor`` are for administrators too: it is the session of the
administrator, and ``None`` for an operator.
"""

import secrets
from typing import Any

from app import audit, clock
from app.access.permissions import USERS_WRITE
from app.audit.vocabulary import Event
from app.auth import credentials, taken
from app.auth.email import verification
from app.auth.login import suspensions, throttle
from app.auth.login.throttle import Kind
from app.auth.notices import notify
from app.auth.sessions import sessions
from app.errors import NotEnoughPermissions, NotFound
from app.extensions import db
from app.features.credentials import CredentialChange
from app.mail import messages
from app.mail.content import link
from app.models import Session, User
from app.security import one_time_tokens
from app.security.one_time_tokens import Purpose
from app.security.passwords import hashing, policy
from app.users import authority, profile

# Without letters and digits that look alike. Twenty of them have 99 random bits.
LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


class NotDone(Exception):
    """Why the change was not made, in a sentence for the operator."""


USED = "The account has been used already. Make a link that sets a new password: --reset."
DEACTIVATED = "The account is deactivated, so that no link to it works. Activate it first."
NO_ADDRESS = "The account has lost its address. Give it another one first, with `users edit`."


def edit(user_id: int, changes: dict[str, Any], *, verified: bool = False) -> User:
    """Set the address, the username, the name or the language of an account. Commits.

    A new address is not confirmed, and gets the mail to confirm it, unless it
    is ``verified``. Links that were mailed before stop working then. Raises
    ``NotFound``, ``EmailTaken`` or ``UsernameTaken``.
    """
    user = authority.lock_account(user_id, USERS_WRITE, actor=None).user
    changed = profile.difference(user, changes)
    if not changed:
        db.session.commit()
        return user
    moves = "email" in changed
    edited = profile.write(user.id, changed | ({"email_verified": verified} if moves else {}))
    if edited is None:
        raise NotFound
    if moves:
        _end_what_the_old_address_opened(edited)
    if fields := changed.keys() - {"email"}:
        profile.record_edit(edited, fields, actor_id=None)
    db.session.commit()
    return edited


def _end_what_the_old_address_opened(user: User) -> None:
    taken.refuse_if_left(user.email, user_id=user.id)
    credentials.changed(user, CredentialChange.EMAIL_CHANGED)
    if not user.email_verified:
        verification.send(user)
    audit.record(Event.EMAIL_CHANGED, subject_id=user.id, personal={"email": user.email})


def verify(user_id: int, *, actor: Session | None = None) -> bool:
    """Count the address as confirmed. Returns False if it was already. Commits.

    Whoever can confirm an address without its mailbox can take what belongs to
    the address, so of administrators only superusers may. Raises ``NotFound``,
    ``NotEnoughPermissions`` or ``NotDone``.
    """
    locked = authority.lock_account(user_id, USERS_WRITE, actor=actor)
    if not locked.rights.everything:
        raise NotEnoughPermissions
    user = locked.user
    if user.lost_address:
        raise NotDone(NO_ADDRESS)
    if user.email_verified:
        db.session.commit()
        return False
    user.email_verified, user.updated_at = True, clock.now()
    one_time_tokens.revoke(user.id, Purpose.EMAIL_VERIFICATION)
    audit.record(Event.EMAIL_VERIFIED, subject_id=user.id, actor_id=_id_of(actor))
    db.session.commit()
    return True


def unlock(user_id: int, *, actor: Session | None = None) -> bool:
    """Forget the failed logins of an account, so that its owner may try again. Commits.

    Returns False if there were none that the actor may forget. Raises ``NotFound`` or
    ``NotEnoughPermissions``.
    """
    user = authority.lock_account(user_id, USERS_WRITE, actor=actor).user
    kinds = unlocked_by(_id_of(actor), user_id)
    has_failures = suspensions.has_failures(user, *kinds)
    if has_failures:
        throttle.clear(user, *kinds)
        audit.record(Event.USER_UNLOCKED, subject_id=user.id, actor_id=_id_of(actor))
    db.session.commit()
    return has_failures


def unlocked_by(actor_id: int | None, user_id: int) -> tuple[Kind, ...]:
    """The kinds of failures that somebody may forget.

    Nobody may forget the wrong codes of their own account. Otherwise somebody
    who has its password alone could guess codes without end.
    """
    return (Kind.PASSWORD,) if actor_id == user_id else tuple(Kind)


def _id_of(actor: Session | None) -> int | None:
    return actor.user_id if actor else None


def generate_password() -> str:
    groups = ("".join(secrets.choice(LETTERS) for _ in range(5)) for _ in range(4))
    return "-".join(groups)


def set_password(user_id: int, password: str) -> User:
    """Set a password, sign the account out everywhere, and end the mailed links. Commits.

    The owner gets the notice that the password was changed. Raises
    ``NotFound``, or ``NotDone`` for a password like the name.
    """
    before = db.session.get(User, user_id)
    if before is None:
        raise NotFound
    if flaw := policy.identity_flaw(password, email=before.email, username=before.username):
        raise NotDone(f"password: {flaw}")
    # The connection goes back to the pool while the password is hashed.
    db.session.close()
    hashed_password = hashing.hash(password)
    user = authority.lock_account(user_id, USERS_WRITE, actor=None).user
    user.hashed_password, user.updated_at = hashed_password, clock.now()
    db.session.flush()
    credentials.changed(user, CredentialChange.PASSWORD_RESET)
    ended = sessions.end_all(user.id)
    throttle.clear(user, Kind.PASSWORD)
    notify(messages.password_changed, user)
    audit.record(Event.PASSWORD_RESET, subject_id=user.id, by="operator", sessions_ended=ended)
    db.session.commit()
    return user


def reset_link(user_id: int) -> str:
    """A link that sets a new password, for the operator to hand over. Commits.

    Raises ``NotFound`` or ``NotDone``.
    """
    return _link(user_id, "reset-password", Purpose.PASSWORD_RESET)


def invitation_link(user_id: int) -> str:
    """The link of an invitation, for the operator to hand over. Commits.

    Raises ``NotFound`` or ``NotDone``. The link is for an account that nobody has used
    yet, so it must have neither a password nor a confirmed address.
    """
    return _link(user_id, "accept-invitation", Purpose.INVITATION)


def _link(user_id: int, page: str, purpose: Purpose) -> str:
    user = authority.lock_account(user_id, USERS_WRITE, actor=None).user
    if not user.is_active:
        raise NotDone(DEACTIVATED)
    if user.lost_address:
        raise NotDone(NO_ADDRESS)
    is_unused = user.hashed_password is None and not user.email_verified
    if purpose is Purpose.INVITATION and not is_unused:
        raise NotDone(USED)
    token = one_time_tokens.issue(user.id, purpose, email=user.email)
    audit.record(Event.PASSWORD_RESET_ASKED, subject_id=user.id, shown="terminal")
    db.session.commit()
    return link(page, token)
