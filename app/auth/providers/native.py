"""Signing in with the ID token that a native application got from a provider's own library."""

import logging

from app.audit import recording
from app.audit.vocabulary import Event
from app.auth.providers import attempts, new_account, openid, signing_in, usernames
from app.auth.providers.errors import AttemptInvalid, LinkRequired, ProviderAway, ProviderFailed
from app.auth.providers.settings import Provider
from app.auth.providers.signing_in import Next
from app.auth.providers.visitor import Visitor
from app.auth.sessions.handover import Handover
from app.errors import InvalidCredentials, Message, Unavailable, UsernameTaken, ValidationFailed
from app.extensions import db

log = logging.getLogger(__name__)

ADDRESS_MISSING = Message(
    "address_missing", "Names no email address, which a new account must have."
)
TRIES = 3


def log_in(provider: Provider, id_token: str, nonce: str, *, locale: str) -> Handover:
    """Sign in the person whom a token names. Commits.

    Somebody whom nobody knows gets an account. Raises ``InvalidCredentials``
    for every token that is not genuine, ``LinkRequired`` if an account has the
    address, ``ValidationFailed`` for a new person without an address,
    ``RegistrationClosed``, ``Unavailable`` while the provider is away, or what
    the gate raises.
    """
    try:
        db.session.close()
        visitor = openid.identify_by_token(provider, id_token, nonce)
        attempts.use_up_nonce(provider, nonce)
    except ProviderAway as failure:
        log.warning("a provider failed", extra={"provider": provider.name, "reason": failure.reason})
        raise Unavailable from None
    except (ProviderFailed, AttemptInvalid):
        recording.record_attempt(Event.LOGIN_FAILED, subject_id=None, reason="wrong_id_token")
        db.session.commit()
        raise InvalidCredentials from None
    outcome = signing_in.log_in(provider, visitor)
    if isinstance(outcome, Handover):
        return outcome
    if outcome is Next.CONFIRM:
        raise LinkRequired
    return _make_account(provider, visitor, locale)


def _make_account(provider: Provider, visitor: Visitor, locale: str) -> Handover:
    if visitor.email is None:
        raise ValidationFailed([ADDRESS_MISSING.at(["id_token"])])
    for _ in range(TRIES):
        username = usernames.suggested(visitor.username)
        try:
            return new_account.make(
                provider, visitor, username=username, email=visitor.email, locale=locale
            )
        except UsernameTaken:
            # Somebody took it at this moment.
            continue
    raise InvalidCredentials
