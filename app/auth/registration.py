"""Making accounts."""

from typing import Any

from sqlalchemy import exists

from app import audit
from app.auth import email_verification, password_reset, taken
from app.auth.taken import unless_taken
from app.errors import EmailTaken, UsernameTaken
from app.extensions import db
from app.mail import messages, outbox
from app.models import OutboxMessage, User
from app.models.audit_event import Event
from app.security import passwords
from app.security.identifiers import username_key
from config import settings


def register(
    *,
    email: str,
    username: str,
    password: str,
    full_name: str | None = None,
    bio: str | None = None,
    locale: str = "en",
    is_superuser: bool = False,
    email_verified: bool = False,
    by_operator: bool = False,
) -> User:
    """Make an account from canonical values, and commit.

    Whether the address or the name is taken is for the unique constraints to
    say, and for what is asked after writing: looking first would let two
    registrations at once both pass. Raises
    ``EmailTaken`` or ``UsernameTaken``.
    """
    user = User(
        email=email,
        username=username,
        username_key=username_key(username),
        hashed_password=passwords.hash(password),
        full_name=full_name,
        bio=bio,
        locale=locale,
        is_superuser=is_superuser,
        email_verified=email_verified,
    )
    add(user)
    if not email_verified:
        email_verification.send(user)
    audit.record(
        Event.USER_CREATED if by_operator else Event.USER_REGISTERED,
        subject_id=user.id,
        actor_id=None if by_operator else user.id,
        personal={"email": email, "username": username},
        is_superuser=is_superuser,
    )
    db.session.commit()
    return user


def add(user: User) -> None:
    """Write the row of a new account. The caller commits.

    Raises ``EmailTaken`` or ``UsernameTaken``.
    """
    try:
        with unless_taken():
            db.session.add(user)
            db.session.flush()
        taken.refuse_if_left(user.email, user_id=user.id)
    except (EmailTaken, UsernameTaken):
        # Where both are taken the databases disagree on which they name first.
        raise _what_is_taken(user) from None


def register_quietly(**account: Any) -> None:
    """The same where nobody may learn who has an account: a taken address is no error. Commits.

    Its owner is told by mail. Raises ``UsernameTaken``.
    """
    try:
        register(**account)
    except EmailTaken:
        # Whose address it is, is not looked up here: the time would tell.
        audit.record(Event.REGISTRATION_ATTEMPTED, subject_id=None)
        outbox.request(registration_attempted, account["email"])


@outbox.resolver
def registration_attempted(request: OutboxMessage) -> tuple[Any, dict[str, Any]] | None:
    if (former := taken.former_owner(request.recipient)) is not None:
        return taken.tell_former_owner(request, former)
    user = outbox.addressee(request, *password_reset.FOR_ANYBODY)
    return None if user is None else (messages.account_exists, password_reset.link(user))


def _what_is_taken(user: User) -> EmailTaken | UsernameTaken:
    """Where existence is hidden the name comes first: it then says nothing of the address."""
    name_taken = exists().where(User.username_key == user.username_key).select()
    address_taken = exists().where(User.email == user.email).select()
    # Asked in both cases, as it is of a new account: the time must not tell.
    is_left = taken.former_owner(user.email) is not None
    if settings.hide_account_existence:
        return UsernameTaken() if db.session.scalar(name_taken) else EmailTaken()
    return EmailTaken() if is_left or db.session.scalar(address_taken) else UsernameTaken()
