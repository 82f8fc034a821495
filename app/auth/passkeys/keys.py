"""The passkeys of an account: adding, naming and removing them."""

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from app import clock
from app.auth import ways_in
from app.auth.mfa import factors, methods
from app.auth.mfa.methods import Method
from app.auth.passkeys import answers, ceremonies, options, proving
from app.auth.passkeys.ceremonies import Purpose
from app.auth.passkeys.errors import (
    REFUSED,
    CredentialRefused,
    PasskeyExists,
    TooManyPasskeys,
)
from app.auth.passkeys.models import Passkey, PasskeyHandle
from app.auth.passkeys.settings import are_on, relying_party
from app.auth.sessions import sessions
from app.database.rows import change, discard, insert
from app.errors import NotFound, ValidationFailed
from app.extensions import db
from app.http import client
from app.models import Session
from app.security import devices

HANDLE_BYTES = 32
# Each login with a second step reads all of them. Nobody has so many devices.
MOST_PASSKEYS = 50


def begin(session: Session) -> dict[str, Any]:
    """The options for a new passkey. Commits the user handle at the first time.

    Raises ``SessionEnded``.
    """
    user = sessions.lock_user(session)
    ceremony = ceremonies.begin(Purpose.REGISTER, session.id)
    answer = options.for_registration(ceremony, user, _handle_of(user.id), of(user.id))
    db.session.commit()
    return answer


def add(
    session: Session, ceremony: str, credential: Any, name: str | None = None
) -> tuple[Passkey, list[str]]:
    """Register what an authenticator made. Commits.

    Returns the passkey, and recovery codes if it is the account's first
    factor. Raises ``CeremonyInvalid``, ``PasskeyExists``, ``TooManyPasskeys``,
    ``SessionEnded``, or ``ValidationFailed`` for a credential that the
    standard refuses.
    """
    begun = ceremonies.read(ceremony, Purpose.REGISTER, session.id)
    try:
        answer = answers.of_registration(credential)
        made = proving.registered(answer, begun.challenge)
    except CredentialRefused as refusal:
        proving.note_refusal(refusal)
        raise ValidationFailed([REFUSED.at(["credential"])]) from None
    user = sessions.lock_user(session)
    if len(of(user.id)) >= MOST_PASSKEYS:
        db.session.rollback()
        raise TooManyPasskeys
    ceremonies.spend(begun)
    passkey = Passkey(
        user_id=user.id,
        credential_id=made.credential_id,
        public_key=made.public_key,
        algorithm=made.algorithm,
        sign_count=made.sign_count,
        rp_id=relying_party().id,
        aaguid=made.aaguid,
        transports=" ".join(answer.transports),
        verifies_user=made.is_user_verified,
        may_sync=made.may_sync,
        synced=made.is_synced,
        name=name or devices.name(client.current().user_agent),
        created_at=clock.now(),
    )
    db.session.add(passkey)
    try:
        db.session.flush()
    except IntegrityError:
        db.session.rollback()
        raise PasskeyExists from None
    recovery_codes = factors.added(user, PASSKEY)
    db.session.commit()
    return passkey, recovery_codes


def rename(session: Session, passkey_id: UUID, name: str) -> Passkey:
    """Give a passkey of the session's user another name. Commits. Raises ``NotFound``."""
    user = sessions.lock_user(session)
    renaming = (
        change(Passkey)
        .where(Passkey.id == passkey_id, Passkey.user_id == user.id)
        .values(name=name)
        .returning(Passkey)
    )
    passkey: Passkey | None = db.session.scalar(renaming)
    if passkey is None:
        db.session.rollback()
        raise NotFound
    db.session.commit()
    return passkey


def remove(session: Session, passkey_id: UUID) -> None:
    """Remove a passkey of the session's user. Commits.

    Raises ``NotFound``, ``LastWayIn``, ``FactorRequired`` or ``SessionEnded``.
    """
    user = sessions.lock_user(session)
    if not _delete(Passkey.id == passkey_id, Passkey.user_id == user.id):
        db.session.rollback()
        raise NotFound
    ways_in.refuse_if_none_is_left(user)
    factors.removed(user, PASSKEY)
    db.session.commit()


def of(user_id: int) -> Sequence[Passkey]:
    """The user's passkeys, the oldest first."""
    mine = select(Passkey).where(Passkey.user_id == user_id)
    return db.session.scalars(mine.order_by(Passkey.created_at, Passkey.id)).all()


def usable(user_id: int) -> Sequence[Passkey]:
    """Those of them that belong to the domain that this server has now."""
    return [passkey for passkey in of(user_id) if passkey.rp_id == relying_party().id]


def accepted(user_id: int) -> dict[str, Any] | None:
    """What tells a browser which passkeys still work. ``None`` if there was never one."""
    handle = db.session.scalar(select(PasskeyHandle.handle).where(PasskeyHandle.user_id == user_id))
    return options.accepted(handle, usable(user_id)) if handle else None


def describe(passkey: Passkey) -> dict[str, Any]:
    """The shape ``Passkey``."""
    return {
        "id": passkey.id,
        "name": passkey.name,
        "created_at": passkey.created_at,
        "last_used_at": passkey.last_used_at,
        "synced": passkey.synced,
        "transports": passkey.transports.split(),
    }


def _handle_of(user_id: int) -> bytes:
    """The user handle, which is made at the first time. The caller commits."""
    new = (
        insert(PasskeyHandle)
        .values(user_id=user_id, handle=secrets.token_bytes(HANDLE_BYTES))
        .on_conflict_do_nothing()
    )
    db.session.execute(new)
    handle = db.session.scalar(select(PasskeyHandle.handle).where(PasskeyHandle.user_id == user_id))
    assert handle is not None  # noqa: S101 — the statement before made it
    return handle


def _is_there(user_id: int) -> bool:
    """Whether the user has a passkey for the domain that this server has now."""
    return are_on() and bool(usable(user_id))


def has_way_in(user_id: int) -> bool:
    """Whether the user has a passkey that opens the account by itself."""
    return are_on() and any(passkey.verifies_user for passkey in usable(user_id))


def _remove(user_id: int, added_since: datetime | None) -> int:
    mine = [Passkey.user_id == user_id]
    if added_since is not None:
        mine.append(Passkey.created_at >= added_since)
    return _delete(*mine)


def _delete(*which: Any) -> int:
    removal = discard(Passkey).where(*which).returning(Passkey.id)
    return len(db.session.scalars(removal).all())


PASSKEY = methods.declare(
    Method(
        name="passkey",
        field="credential",
        amr="pop",
        is_factor=True,
        is_there=_is_there,
        verify=proving.verify,
        remove=_remove,
        member="passkeys",
        describe=lambda user_id: [describe(passkey) for passkey in of(user_id)],
    )
)
