"""A new account for somebody who comes from a provider. It has no password."""

from app import audit
from app.audit.vocabulary import Event
from app.auth import taken
from app.auth.email import verification
from app.auth.providers import attempts, identities, results, signing_in
from app.auth.providers.models import Attempt
from app.auth.providers.settings import Provider
from app.auth.providers.visitor import Visitor
from app.auth.registration.registration import registration_attempted
from app.auth.sessions.handover import Handover
from app.errors import EmailTaken
from app.extensions import db
from app.mail import outbox
from app.models import User
from app.security.identifiers import username_key


def make(
    provider: Provider,
    visitor: Visitor,
    *,
    username: str,
    email: str,
    locale: str,
    attempt: Attempt | None = None,
) -> Handover:
    """Make an account for a visitor, link the identity, and sign in. Commits.

    The address counts as verified only if it is the one that the provider
    proved. Any other address gets the usual mail. Raises ``RegistrationClosed``,
    ``EmailTaken``, ``UsernameTaken``, ``IdentityTaken``, ``AttemptInvalid``, or
    ``EmailNotVerified``; then the account is there, and the mail too.
    """
    user = _add(provider, visitor, username, email, locale, attempt)
    return signing_in.start(user, provider)


def make_quietly(
    provider: Provider,
    visitor: Visitor,
    *,
    username: str,
    email: str,
    locale: str,
    attempt: Attempt | None = None,
) -> Handover | None:
    """Do the same where the answer must not tell whether the address has an account. Commits.

    An address that the provider proved is the visitor's own, so nothing is
    hidden. For any other one nobody is signed in, and the owner of a taken
    address gets a mail.
    """
    given = {"username": username, "email": email, "locale": locale}
    if visitor.is_email_proved and email == visitor.email:
        return make(provider, visitor, **given, attempt=attempt)
    try:
        _add(provider, visitor, username, email, locale, attempt)
    except EmailTaken:
        if attempt is not None:
            attempts.finish(attempt)
        audit.record(Event.REGISTRATION_ATTEMPTED, subject_id=None)
        outbox.request(registration_attempted, email)
    return None


def _add(
    provider: Provider,
    visitor: Visitor,
    username: str,
    email: str,
    locale: str,
    attempt: Attempt | None,
) -> User:
    """The caller need not commit: this does."""
    signing_in.refuse_if_registration_is_closed()
    is_proved = visitor.is_email_proved and email == visitor.email
    user = User(
        email=email,
        username=username,
        username_key=username_key(username),
        hashed_password=None,
        locale=locale,
        email_verified=is_proved,
    )
    taken.add(user)
    if attempt is not None:
        attempts.finish(attempt)
    audit.record(
        Event.USER_REGISTERED,
        subject_id=user.id,
        actor_id=user.id,
        personal={"email": email, "username": username},
        is_superuser=False,
        provider=provider.name,
    )
    identities.attach(user, provider, visitor)
    if not is_proved:
        verification.send(user)
    db.session.commit()
    results.count(provider, "registered")
    return user
