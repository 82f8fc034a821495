"""Checking the password of a user who logs in."""

from sqlalchemy import bindparam, select

from app.audit import recording
from app.audit.vocabulary import Event
from app.auth.login import throttle
from app.database.prepared import Prepared
from app.database.rows import change
from app.errors import InvalidCredentials, WrongPassword
from app.extensions import db
from app.models import User
from app.security import identifiers
from app.security.identifiers import Identifier
from app.security.passwords import hashing

# Every login runs one of them.
KNOWN_AS = {
    "email": Prepared(select(User).where(User.email == bindparam("value")), User),
    "username": Prepared(select(User).where(User.username_key == bindparam("value")), User),
}


def authenticate(password: str, *, email: str | None = None, username: str | None = None) -> User:
    """The user with this address or username, if the password is right.

    ``username`` may also hold an address, because OAuth 2's form has only one
    field. Raises ``InvalidCredentials`` for a wrong password and for a user
    who does not exist, in the same time. Raises ``LoginRefused`` if a stage
    does not let the user pass, but only if the password is right. Raises
    ``RateLimited`` after too many wrong passwords. Commits the counted attempt,
    the record of a failure, and an upgrade of the stored hash.
    """
    known_as = identifiers.identifier_of(email=email, username=username)
    user = find(known_as)
    stored = user.hashed_password if user else None

    with throttle.attempt(user or known_as):
        verdict = hashing.verify(password, stored)

    if user is None or not verdict.is_right:
        record_failure(user, "wrong_password" if user else "unknown_user")
        raise InvalidCredentials
    throttle.forgive(user)
    if verdict.is_outdated and user.is_active and not _upgrade_hash(user, password):
        # Another login was faster, or the password was changed. The new stored hash decides.
        return authenticate(password, email=email, username=username)
    return user


def record_failure(user: User | None, reason: str) -> None:
    """Record a failed login. Commits.

    It is one INSERT, whether or not there is such a user, so the time does not
    tell. It does not record the name that was typed, because people sometimes
    type their password there.
    """
    recording.record_attempt(
        Event.LOGIN_FAILED, subject_id=user.id if user else None, reason=reason
    )
    db.session.commit()


def check_password(user: User, password: str) -> None:
    """Check that a signed-in user knows the password. Commits the counted attempt.

    Raises ``WrongPassword``, or ``RateLimited`` after too many wrong passwords.
    """
    with throttle.attempt(user):
        verdict = hashing.verify(password, user.hashed_password)

    if not verdict.is_right:
        recording.record_attempt(
            Event.REAUTHENTICATION_FAILED, subject_id=user.id, actor_id=user.id
        )
        db.session.commit()
        raise WrongPassword
    throttle.forgive(user)


def find(known_as: Identifier) -> User | None:
    """The user of this address or username, read in one statement, without a transaction."""
    found = KNOWN_AS[known_as.kind].run_alone(value=known_as.value)
    return found[0] if found else None


def _upgrade_hash(user: User, password: str) -> bool:
    """Store the newest kind of hash, unless the stored hash has changed in the meantime."""
    upgraded = hashing.hash(password)
    upgrade = (
        change(User)
        .where(User.id == user.id, User.is_active, User.hashed_password == user.hashed_password)
        .values(hashed_password=upgraded)
        .returning(User.id)
    )
    was_current = db.session.scalar(upgrade) is not None
    db.session.commit()
    user.hashed_password = upgraded
    return was_current
