"""Logging in: whether the password is right."""

from sqlalchemy import select, update

from app import audit
from app.errors import EmailNotVerified, InactiveUser, InvalidCredentials, WrongPassword
from app.extensions import db
from app.models import Session, User
from app.models.audit_event import Event
from app.security import identifiers, passwords, tokens
from app.security.tokens import FreshAccess
from config import settings


def authenticate(password: str, *, email: str | None = None, username: str | None = None) -> User:
    """The user whose password this is.

    ``username`` may hold an address as well, as OAuth 2's form has but one
    field. Raises ``InvalidCredentials`` for a wrong password and for a user
    who does not exist, in the same time, and ``InactiveUser`` for a
    deactivated one, or ``EmailNotVerified``, but only to who knows the
    password. Commits the record of a failure, and an upgrade of the stored hash.
    """
    user = find_by_email(email) if email is not None else find(username or "")
    # Hashing takes a quarter of a second; the connection goes back to the pool meanwhile.
    db.session.close()
    stored = user.hashed_password if user else None

    verdict = passwords.verify(password, stored)

    if user is None or not verdict.is_right:
        record_failure(user, "wrong_password" if user else "unknown_user")
        raise InvalidCredentials
    if not user.is_active:
        record_failure(user, "inactive")
        raise InactiveUser
    if settings.require_verified_email and not user.email_verified:
        record_failure(user, "email_not_verified")
        raise EmailNotVerified
    if verdict.is_outdated and not _upgrade_hash(user, password):
        # Another login was faster, or the password was changed: what is stored now decides.
        return authenticate(password, email=email, username=username)
    return user


def record_failure(user: User | None, reason: str) -> None:
    """Put a login that failed on record. Commits.

    One INSERT, whether or not there is such a user: the time says nothing.
    What was typed for a name is not kept, since people type passwords there.
    """
    audit.record(Event.LOGIN_FAILED, subject_id=user.id if user else None, reason=reason)
    db.session.commit()


def reauthenticate(session: Session, password: str) -> FreshAccess:
    """A fresh access token for a session whose user says the password again. Commits.

    Raises ``WrongPassword``. The current session goes on either way.
    """
    check_password(session.user, password)
    user_id = session.user_id
    audit.record(
        Event.REAUTHENTICATED, subject_id=user_id, actor_id=user_id, session_id=str(session.id)
    )
    db.session.commit()
    return tokens.fresh_access_for(session)


def check_password(user: User, password: str) -> None:
    """Whether a signed-in user knows the password.

    Raises ``WrongPassword``, and commits the record of that.
    """
    # The connection goes back to the pool while hashing.
    db.session.close()
    if not passwords.verify(password, user.hashed_password).is_right:
        audit.record(Event.REAUTHENTICATION_FAILED, subject_id=user.id, actor_id=user.id)
        db.session.commit()
        raise WrongPassword


def find(identifier: str) -> User | None:
    """By address where it holds an ``@``, which no username does, else by username."""
    return find_by_email(identifier) if "@" in identifier else find_by_username(identifier)


def find_by_email(text: str) -> User | None:
    try:
        email = identifiers.canonical_email(text)
    except identifiers.InvalidEmail:
        return None
    return db.session.scalar(select(User).where(User.email == email))


def find_by_username(text: str) -> User | None:
    key = identifiers.username_key(text)
    return db.session.scalar(select(User).where(User.username_key == key))


def _upgrade_hash(user: User, password: str) -> bool:
    """Store today's kind of hash, unless what is stored has changed in the meantime."""
    upgraded = passwords.hash(password)
    upgrade = (
        update(User)
        .where(User.id == user.id, User.hashed_password == user.hashed_password)
        .values(hashed_password=upgraded)
        .returning(User.id)
        .execution_options(synchronize_session=False)
    )
    was_current = db.session.scalar(upgrade) is not None
    db.session.commit()
    user.hashed_password = upgraded
    return was_current
