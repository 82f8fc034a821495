"""Proving with a passkey who one is: instead of a password, or as a second factor."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from app import audit, clock
from app.access.proof import Proof
from app.auth.login import login as gate
from app.auth.notices import notify
from app.auth.passkeys import ceremonies, events, messages
from app.auth.passkeys.ceremonies import Ceremony, Purpose
from app.auth.passkeys.errors import CredentialRefused
from app.auth.passkeys.models import Passkey, PasskeyHandle
from app.database.rows import change, lock
from app.errors import EmailNotVerified, InactiveUser, InvalidCredentials
from app.extensions import db
from app.models import User
from app.security.tokens import TokenPair

if TYPE_CHECKING:
    from app.auth.passkeys.verification import Asserted, Registered

log = logging.getLogger(__name__)


def log_in(ceremony: str, credential: Any) -> TokenPair:
    """Begin a session with a passkey that verified its user. Commits.

    Raises ``CeremonyInvalid``, or ``InvalidCredentials`` for every refusal of the credential.
    """
    begun = ceremonies.read(ceremony, Purpose.LOGIN)
    try:
        user = _prove(begun, credential, user_id=None)
        return gate.start(user, Proof("passkey", ("pop", "user", "mfa"), aal=2))
    except CredentialRefused as refusal:
        note_refusal(refusal)
        raise InvalidCredentials from None
    except (InactiveUser, EmailNotVerified):
        raise InvalidCredentials from None


def verify(user: User, fields: Mapping[str, Any]) -> bool:
    """Compare a passkey as a second factor. The caller holds the user, and commits.

    Raises ``CeremonyInvalid``.
    """
    begun = ceremonies.read(fields["ceremony"], Purpose(fields["purpose"]), user.id)
    try:
        _prove(begun, fields["credential"], user_id=user.id)
    except CredentialRefused as refusal:
        note_refusal(refusal)
        return False
    return True


def registered(credential: Any, challenge: bytes) -> "Registered":
    """The key that an authenticator made. Raises ``CredentialRefused``."""
    # The first use of a passkey pays for the import, and a server without passkeys never does.
    from app.auth.passkeys import verification

    return verification.registered(credential, challenge)


def note_refusal(refusal: CredentialRefused) -> None:
    """The client gets one answer for all refusals, and the log says why."""
    log.info("passkey refused", extra={"reason": str(refusal)})


def _prove(begun: Ceremony, credential: Any, *, user_id: int | None) -> User:
    """The user whose passkey signed the challenge. The caller commits.

    Without ``user_id`` the passkey stands for the password too: it must have
    verified its user, and must say whose it is. Raises ``CredentialRefused``.
    """
    from app.auth.passkeys import verification

    passkey, handle = _find(verification.credential_id_of(credential))
    if user_id is not None and passkey.user_id != user_id:
        raise CredentialRefused("the passkey of another user")
    said = verification.user_handle_of(credential)
    if said != handle and (user_id is None or said is not None):
        raise CredentialRefused("the user handle of another user")
    proof = verification.asserted(
        credential, begun.challenge, passkey.public_key, must_verify_user=user_id is None
    )
    user = lock(User, User.id == passkey.user_id)
    if user is None:
        raise CredentialRefused("the account is gone")
    if not _count(passkey, proof):
        _report_clone(user, passkey)
        raise CredentialRefused("the counter went back: there may be a copy of the key")
    ceremonies.spend(begun)
    return user


def _find(credential_id: bytes) -> tuple[Passkey, bytes]:
    found = db.session.execute(
        select(Passkey, PasskeyHandle.handle)
        .join(PasskeyHandle, PasskeyHandle.user_id == Passkey.user_id)
        .where(Passkey.credential_id == credential_id)
    ).one_or_none()
    if found is None:
        raise CredentialRefused("an unknown passkey")
    return found[0], found[1]


def _count(passkey: Passkey, proof: "Asserted") -> bool:
    """Store the counter of the authenticator, if it has risen or if it does not count at all."""
    may_follow = Passkey.sign_count < proof.sign_count
    if proof.sign_count == 0:
        may_follow = Passkey.sign_count == 0
    counting = (
        change(Passkey)
        .where(Passkey.id == passkey.id, may_follow)
        .values(sign_count=proof.sign_count, synced=proof.is_synced, last_used_at=clock.now())
        .returning(Passkey.id)
    )
    return db.session.scalar(counting) is not None


def _report_clone(user: User, passkey: Passkey) -> None:
    """Record that a counter went back, and tell the owner. Commits."""
    notify(messages.passkey_copied, user, added=f"{passkey.created_at:%Y-%m-%d}")
    audit.record(events.PASSKEY_COPIED, subject_id=user.id, passkey_id=str(passkey.id))
    db.session.commit()
