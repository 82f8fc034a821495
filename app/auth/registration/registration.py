"""Making accounts."""

from typing import Any

from app import audit
from app.audit.vocabulary import Event
from app.auth import taken
from app.auth.email import verification
from app.auth.password import reset
from app.auth.taken import add
from app.errors import EmailTaken
from app.extensions import db
from app.mail import messages, outbox
from app.mail.wordings import resolver
from app.models import OutboxMessage, User
from app.security.identifiers import username_key
from app.security.passwords import hashing


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

    It writes first and then learns, from the unique constraints and from a
    query, whether the address or the username is taken. If it looked first,
    two registrations at the same time could both pass. Raises ``EmailTaken``
    or ``UsernameTaken``.
    """
    user = User(
        email=email,
        username=username,
        username_key=username_key(username),
        hashed_password=hashing.hash(password),
        full_name=full_name,
        bio=bio,
        locale=locale,
        is_superuser=is_superuser,
        email_verified=email_verified,
    )
    add(user)
    if not email_verified:
        verification.send(user)
    audit.record(
        Event.USER_CREATED if by_operator else Event.USER_REGISTERED,
        subject_id=user.id,
        actor_id=None if by_operator else user.id,
        personal={"email": email, "username": username},
        is_superuser=is_superuser,
    )
    db.session.commit()
    return user


def register_quietly(**account: Any) -> None:
    """Make an account without an error for a taken address. Commits.

    It is for installations that hide whether an address has an account. The
    owner of a taken address gets a mail. Raises ``UsernameTaken``.
    """
    try:
        register(**account)
    except EmailTaken:
        # The owner of the address is not looked up here: the time of the answer would tell.
        audit.record(Event.REGISTRATION_ATTEMPTED, subject_id=None)
        # A new account asks the same before its mail, so both take the same time.
        if outbox.is_mailed_enough(account["email"], registration_attempted):
            db.session.commit()
        else:
            outbox.request(registration_attempted, account["email"])


@resolver("registration_attempted")
def registration_attempted(request: OutboxMessage) -> tuple[Any, dict[str, Any]] | None:
    if (former := taken.former_owner(request.recipient)) is not None:
        return taken.tell_former_owner(request, former)
    user = outbox.addressee(request, *reset.FOR_ANYBODY)
    return None if user is None else (messages.account_exists, reset.link(user))
