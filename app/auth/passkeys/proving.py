"""A passkey as a proof: instead of a password, or as a second factor."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn
from uuid import UUID

from sqlalchemy import select

from app import audit, clock
from app.access.proof import Proof
from app.audit import recording
from app.audit.vocabulary import Event
from app.auth.login import login as gate
from app.auth.notices import notify
from app.auth.passkeys import answers, ceremonies, events, messages
from app.auth.passkeys.answers import Answer
from app.auth.passkeys.ceremonies import Ceremony, Purpose
from app.auth.passkeys.errors import CeremonyInvalid, CredentialRefused
from app.auth.passkeys.models import Passkey, PasskeyHandle
from app.auth.passkeys.settings import are_on
from app.auth.sessions.handover import Handover
from app.database.rows import change, lock
from app.errors import EmailNotVerified, InactiveUser, InvalidCredentials
from app.extensions import db
from app.models import User

if TYPE_CHECKING:
    from app.auth.passkeys.verification import Asserted, Registered

log = logging.getLogger(__name__)


def log_in(ceremony: str, credential: Any) -> Handover:
    """Begin a session with a passkey that verified its user. Commits.

    Raises ``CeremonyInvalid``, or ``InvalidCredentials`` for every refusal of the credential.
    """
    begun = ceremonies.read(ceremony, Purpose.LOGIN)
    try:
        user = _prove(begun, credential, user_id=None)
        return gate.start(user, Proof("passkey", ("pop", "user", "mfa"), aal=2))
    except CredentialRefused as refusal:
        note_refusal(refusal)
        recording.record_attempt(
            Event.LOGIN_FAILED, subject_id=refusal.user_id, reason="wrong_passkey"
        )
        db.session.commit()
        raise InvalidCredentials from None
    except (InactiveUser, EmailNotVerified):
        raise InvalidCredentials from None


def verify(user: User, fields: Mapping[str, Any]) -> bool:
    """Compare a passkey as a second factor. The caller holds the user, and commits.

    What the caller did before is rolled back if the counter went back. Raises
    ``CeremonyInvalid``.
    """
    if not are_on():
        raise CeremonyInvalid
    begun = ceremonies.read(fields["ceremony"], Purpose(fields["purpose"]), fields["subject"])
    try:
        _prove(begun, fields["credential"], user_id=user.id)
    except CredentialRefused as refusal:
        note_refusal(refusal)
        return False
    return True


def is_unknown(credential: Any) -> bool:
    """Whether no account has this passkey, so that a browser may stop to offer it."""
    try:
        answer = answers.of_assertion(credential)
    except CredentialRefused:
        return False
    known = select(Passkey.id).where(Passkey.credential_id == answer.credential_id)
    return db.session.scalar(known) is None


def registered(answer: Answer, challenge: bytes) -> "Registered":
    """The key that an authenticator made. Raises ``CredentialRefused``."""
    # The first use of a passkey pays for the import, and a server without passkeys never does.
    from app.auth.passkeys import verification

    return verification.registered(answer, challenge)


def note_refusal(refusal: CredentialRefused) -> None:
    """The client gets one answer for all refusals, and the log says why."""
    log.info("passkey refused", extra={"reason": str(refusal)})


def _prove(begun: Ceremony, credential: Any, *, user_id: int | None) -> User:
    """The user whose passkey signed the challenge. The caller commits.

    Without ``user_id`` the passkey stands for the password too: it must have
    verified its user, and must say whose it is. Raises ``CredentialRefused``.
    """
    from app.auth.passkeys import verification

    answer = answers.of_assertion(credential)
    passkey, handle = _find(answer.credential_id)
    try:
        _refuse_unless_of(user_id, passkey, answer, handle)
        proof = verification.asserted(
            answer, begun.challenge, passkey.public_key, must_verify_user=user_id is None
        )
        if passkey.may_sync not in (None, proof.may_sync):
            # An authenticator decides this when it makes the key (WebAuthn level 3 §6.1.3).
            raise CredentialRefused("the key could be synced and now cannot, or the reverse")
    except CredentialRefused as refusal:
        refusal.user_id = passkey.user_id
        raise
    user = lock(User, User.id == passkey.user_id)
    if user is None:
        raise CredentialRefused("the account is gone")
    # Before the counter is compared: otherwise the same answer, sent twice, would look like a copy.
    ceremonies.spend(begun)
    # After a password, the owner may show that the authenticator can verify its user by now.
    learns = begun.purpose is Purpose.MFA and proof.is_user_verified
    if not _count(passkey.id, proof, verifies_user=passkey.verifies_user or learns):
        _refuse_counter(user.id, passkey.id)
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


def _refuse_unless_of(user_id: int | None, passkey: Passkey, answer: Answer, handle: bytes) -> None:
    is_alone = user_id is None
    if not is_alone and passkey.user_id != user_id:
        raise CredentialRefused("the passkey of another user")
    if answer.user_handle != handle and (is_alone or answer.user_handle is not None):
        raise CredentialRefused("the user handle of another user")
    if is_alone and not passkey.verifies_user:
        # Somebody who finds a key without a PIN can give it one. Then it verifies the finder.
        raise CredentialRefused("the authenticator could not verify its user when it was added")


def _count(passkey_id: UUID, proof: "Asserted", *, verifies_user: bool) -> bool:
    """Store the counter of the authenticator, if it has risen or if it does not count at all."""
    may_follow = Passkey.sign_count < proof.sign_count
    if proof.sign_count == 0:
        may_follow = Passkey.sign_count == 0
    counting = (
        change(Passkey)
        .where(Passkey.id == passkey_id, may_follow)
        .values(
            sign_count=proof.sign_count,
            synced=proof.is_synced,
            verifies_user=verifies_user,
            last_used_at=clock.now(),
        )
        .returning(Passkey.id)
    )
    return db.session.scalar(counting) is not None


def _refuse_counter(user_id: int, passkey_id: UUID) -> NoReturn:
    """Undo the step, record that a counter went back, and tell the owner. Commits.

    Raises ``CredentialRefused``.
    """
    db.session.rollback()
    user = lock(User, User.id == user_id)
    passkey = lock(Passkey, Passkey.id == passkey_id)
    if user is None or passkey is None:
        raise CredentialRefused("the passkey was removed meanwhile")
    notify(messages.passkey_copied, user, added=f"{passkey.created_at:%Y-%m-%d}")
    audit.record(events.PASSKEY_COPIED, subject_id=user.id, passkey_id=str(passkey.id))
    db.session.commit()
    refusal = CredentialRefused("the counter went back: there may be a copy of the key")
    refusal.user_id = user_id
    raise refusal
