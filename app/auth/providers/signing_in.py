"""Signing in with a provider, and what follows when it has said who somebody is.

The module goes from the provider's answer to one of a few ends. Each refusal
is an error, and each is shown on a page with a sentence and a way on.

- ``begin``: to the provider.
- ``answered``: is the answer genuine, and of this browser?
- ``go_on``: who is it, and what was the sign-in for?
- ``log_in``: does an account belong to that person, or to that address?
"""

from collections.abc import Mapping
from enum import StrEnum

from sqlalchemy import select

from app import audit, clock
from app.access import levels
from app.access.proof import Proof
from app.auth import credentials
from app.auth.login import login as gate
from app.auth.login import reauthentication, throttle
from app.auth.login.throttle import Kind
from app.auth.notices import notify
from app.auth.providers import attempts, events, identities, messages, protocol, results
from app.auth.providers.attempts import Purpose, Secrets
from app.auth.providers.errors import (
    AttemptInvalid,
    IdentityTaken,
    OtherIdentity,
    RegistrationClosed,
)
from app.auth.providers.models import Attempt, Identity
from app.auth.providers.settings import Provider
from app.auth.providers.visitor import Visitor
from app.auth.sessions import sessions
from app.auth.sessions.handover import Handover
from app.database.rows import change, lock
from app.errors import BadRequest, InactiveUser, MfaRequired
from app.extensions import db
from app.features.credentials import CredentialChange
from app.models import Session, User
from config import settings


class Next(StrEnum):
    """The next step where no session begins."""

    # An account has the address. Its owner must log in to it, and then the identity is linked.
    CONFIRM = "confirm"
    # No account has it. The person chooses a username.
    NEW_ACCOUNT = "new-account"
    LINKED = "linked"
    PROVED_AGAIN = "proved again"


Outcome = Handover | Next


def begin(
    provider: Provider,
    purpose: Purpose,
    browser: str,
    *,
    session: Session | None = None,
    next_path: str,
) -> str:
    """The URL at the provider to which the browser goes. Commits.

    A signed-in person who links an identity has proved a short while ago who
    they are; the caller has checked it. Raises ``ProviderFailed``, or
    ``BadRequest`` if the provider cannot ask for a new proof.
    """
    if purpose is Purpose.REAUTHENTICATE and not provider.can_ask_again:
        raise BadRequest
    secrets = attempts.begin(provider, purpose, browser, session=session, next_path=next_path)
    return protocol.authorization_url(provider, secrets, again=purpose is Purpose.REAUTHENTICATE)


def answered(
    provider: Provider, answer: Mapping[str, str], browser: str | None, session: Session | None
) -> Attempt:
    """The attempt that was begun at this browser and that this answer uses up. Commits.

    Raises ``AttemptInvalid``.
    """
    if not browser or "state" not in answer:
        raise AttemptInvalid
    attempt = attempts.use_up(provider, answer["state"], browser)
    # Otherwise somebody who logs in meanwhile would get the identity of the one before.
    if attempt.session_id is not None and (session is None or session.id != attempt.session_id):
        raise AttemptInvalid
    return attempt


def go_on(
    provider: Provider,
    attempt: Attempt,
    answer: Mapping[str, str],
    browser: str,
    session: Session | None,
) -> Outcome:
    """Ask the provider who it is, and do what the sign-in was for. Commits.

    Raises one of the errors of ``errors.py``, ``SessionEnded``, or what the
    gate raises: ``MfaRequired`` with a ticket, ``InactiveUser`` and others.
    """
    visitor = protocol.identify(provider, attempt, answer, Secrets(answer["state"], browser))
    if attempt.purpose == Purpose.LOGIN:
        outcome = log_in(provider, visitor)
        if isinstance(outcome, Next):
            attempts.hold(attempt, visitor, user_id=_account_to_confirm(outcome, visitor))
        return outcome
    # ``answered`` has compared the session with the one that began.
    assert session is not None  # noqa: S101
    if attempt.purpose == Purpose.LINK:
        identities.link(session, provider, visitor)
        return Next.LINKED
    _prove_again(session, provider, visitor)
    return Next.PROVED_AGAIN


def log_in(provider: Provider, visitor: Visitor) -> Outcome:
    """Sign a visitor in, or say what must come first. Commits if a session begins."""
    known = identities.find(visitor)
    if known is not None:
        return _log_in_as(known, provider, visitor)
    owner = _owner_of(visitor.email)
    if owner is None:
        return _new_account()
    if settings.hide_account_existence and not visitor.is_email_proved:
        # Anybody can tell a provider an address, so the answer must not depend on its account.
        return _new_account()
    if not owner.is_active:
        raise InactiveUser
    if visitor.is_email_proved and not owner.email_verified:
        return _hand_over_emptied(owner, provider, visitor)
    if visitor.is_email_proved and provider.links_verified:
        return _link_verified(owner, provider, visitor)
    return Next.CONFIRM


def start(user: User, provider: Provider) -> Handover:
    """Begin a session, or raise what the gate raises. Commits."""
    begun = gate.start(user, _proof_by(provider))
    results.count(provider, "signed_in")
    return begun


def refuse_if_registration_is_closed() -> None:
    """Raises ``RegistrationClosed``."""
    if not settings.pages_registration:
        raise RegistrationClosed


def confirm(attempt: Attempt, provider: Provider, session: Session) -> None:
    """Link what waits at this browser with the account whose owner has logged in. Commits.

    The caller has checked that the login is recent. Raises ``AttemptInvalid``
    if it is another account, ``IdentityTaken``, ``TooManyIdentities`` or ``SessionEnded``.
    """
    if attempt.user_id != session.user_id:
        raise AttemptInvalid
    user = sessions.lock_user(session)
    attempts.finish(attempt)
    visitor = attempts.visitor_of(attempt)
    if not identities.use(user, visitor):
        identities.attach(user, provider, visitor)
        notify(messages.identity_linked, user, provider=provider.label)
    db.session.commit()


def _proof_by(provider: Provider) -> Proof:
    """One proof, of the first level: second factors are asked for after it, as after a password."""
    return Proof(signed_in_by=provider.name, amr=("fed",))


def _log_in_as(known: Identity, provider: Provider, visitor: Visitor) -> Outcome:
    user = lock(User, User.id == known.user_id)
    if user is None or not identities.use(user, visitor):
        # It was unlinked, or the account was erased, at this moment.
        db.session.rollback()
        raise AttemptInvalid
    return start(user, provider)


def _new_account() -> Next:
    refuse_if_registration_is_closed()
    return Next.NEW_ACCOUNT


def _owner_of(email: str | None) -> User | None:
    """The account that has the address. An identity is never found by it."""
    if email is None:
        return None
    owner: User | None = db.session.scalar(select(User).where(User.email == email))
    return owner


def _account_to_confirm(outcome: Next, visitor: Visitor) -> int | None:
    owner = _owner_of(visitor.email) if outcome is Next.CONFIRM else None
    return owner.id if owner else None


def _hand_over_emptied(owner: User, provider: Provider, visitor: Visitor) -> Outcome:
    """Give an account whose address nobody had confirmed to the owner of the mailbox. Commits.

    A stranger may have made it, to wait for the owner (pre-hijacking). So
    everything with which somebody could log in goes first.
    """
    taking = (
        change(User)
        .where(User.id == owner.id, User.email == visitor.email)
        .where(User.is_active, User.email_verified.is_(False))
        .values(hashed_password=None, email_verified=True, updated_at=clock.now())
        .returning(User)
    )
    user = db.session.scalar(taking)
    if user is None:
        # It was confirmed, moved, deactivated or erased at this moment.
        db.session.rollback()
        raise AttemptInvalid
    credentials.changed(user, CredentialChange.MAILBOX_PROVED)
    ended = sessions.end_all(user.id)
    throttle.clear(user, Kind.PASSWORD)
    audit.record(
        events.ACCOUNT_EMPTIED, subject_id=user.id, provider=provider.name, sessions_ended=ended
    )
    return _link_and_log_in(user, provider, visitor)


def _link_verified(owner: User, provider: Provider, visitor: Visitor) -> Outcome:
    """Link by the address, where the operator allowed it and both sides have verified it."""
    user = lock(
        User,
        User.id == owner.id,
        User.email == visitor.email,
        User.is_active,
        User.email_verified,
    )
    if user is None:
        db.session.rollback()
        raise AttemptInvalid
    if identities.has_one_at(provider, user):
        # The provider knows the owner as somebody else, so it has given the address away.
        db.session.rollback()
        return Next.CONFIRM
    return _link_and_log_in(user, provider, visitor)


def _link_and_log_in(user: User, provider: Provider, visitor: Visitor) -> Outcome:
    try:
        identities.attach(user, provider, visitor)
    except IdentityTaken:
        # Two answers for the same person came at once, and the other one was faster.
        return log_in(provider, visitor)
    notify(messages.signed_in_with_new_identity, user, provider=provider.label)
    db.session.commit()
    return start(user, provider)


def _prove_again(session: Session, provider: Provider, visitor: Visitor) -> None:
    """Make the session fresh. Raises ``OtherIdentity``, or ``FreshTokenRequired`` with a level."""
    known = identities.find(visitor)
    if known is None or known.user_id != session.user_id:
        raise OtherIdentity
    try:
        reauthentication.confirm(session, _proof_by(provider))
    except MfaRequired:
        # Only a second factor makes such a session fresh. There is no ticket, as nobody logs in.
        raise levels.fresh_token_required(aal=2) from None
