"""Signing in with the ID token that a native application got from a provider's own library."""

from typing import Any

from app.audit import recording
from app.audit.vocabulary import Event
from app.auth.providers import attempts, new_account, openid, results, signing_in, usernames
from app.auth.providers.errors import (
    AttemptInvalid,
    IdentityTaken,
    LinkRequired,
    ProviderAway,
    ProviderFailed,
)
from app.auth.providers.settings import Provider
from app.auth.providers.signing_in import Next
from app.auth.providers.visitor import Visitor
from app.auth.sessions.handover import Handover
from app.errors import (
    AppError,
    EmailNotVerified,
    EmailTaken,
    InvalidCredentials,
    Message,
    Unavailable,
    UsernameTaken,
    ValidationFailed,
)
from app.extensions import db
from config import settings

ADDRESS_MISSING = Message(
    "address_missing", "Names no email address, which a new account must have."
)
TRIES = 3


def log_in(provider: Provider, id_token: str, nonce: str, *, locale: str) -> Handover:
    """Sign in the person whom a token names. Commits.

    Somebody whom nobody knows gets an account. Raises ``InvalidCredentials``
    for every token that is not genuine, ``LinkRequired`` if an account has the
    address, ``EmailTaken`` if an account that left it may still return,
    ``ValidationFailed`` for a new person without an address,
    ``RegistrationClosed``, ``Unavailable`` while the provider is away, or what
    the gate raises.
    """
    visitor = _identify(provider, id_token, nonce)
    try:
        return _sign_in(provider, visitor, locale)
    except AppError as refusal:
        results.count_refusal(provider, refusal)
        raise


def _identify(provider: Provider, id_token: str, nonce: str) -> Visitor:
    """The connection is back in the pool while the provider's keys are read."""
    db.session.close()
    try:
        visitor = openid.identify_by_token(provider, id_token, nonce)
        attempts.use_up_nonce(provider, nonce)
        return visitor
    except ProviderAway as failure:
        results.count_refusal(provider, failure)
        raise Unavailable from None
    except (ProviderFailed, AttemptInvalid) as refusal:
        results.count_refusal(provider, refusal)
        recording.record_attempt(Event.LOGIN_FAILED, subject_id=None, reason="wrong_id_token")
        db.session.commit()
        raise InvalidCredentials from None


def _sign_in(provider: Provider, visitor: Visitor, locale: str) -> Handover:
    refusal: AppError = InvalidCredentials()
    for _ in range(TRIES):
        try:
            outcome = signing_in.log_in(provider, visitor)
            if isinstance(outcome, Handover):
                return outcome
            if outcome is Next.CONFIRM:
                raise LinkRequired
            return _make_account(provider, visitor, locale)
        # Another request was faster. The next try sees what it did.
        except (AttemptInvalid, IdentityTaken, UsernameTaken):
            refusal = InvalidCredentials()
        except EmailTaken as taken:
            # Or an account that left the address may return to it, and each try ends like this.
            refusal = taken
    raise refusal


def _make_account(provider: Provider, visitor: Visitor, locale: str) -> Handover:
    if visitor.email is None:
        raise ValidationFailed([ADDRESS_MISSING.at(["id_token"])])
    given: dict[str, Any] = {
        "username": usernames.suggested(visitor.username),
        "email": visitor.email,
        "locale": locale,
    }
    if not settings.hide_account_existence:
        return new_account.make(provider, visitor, **given)
    begun = new_account.make_quietly(provider, visitor, **given)
    if begun is None:
        # A mail says how to go on, to a new person and to one who has an account.
        raise EmailNotVerified
    return begun
