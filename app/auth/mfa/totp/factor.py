"""Setting up an authenticator app, and checking its codes."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, or_, select

from app import clock
from app.access.proof import Proof
from app.auth.login import throttle
from app.auth.mfa import factors, methods, second_step
from app.auth.mfa.errors import FactorExists, NoFactor
from app.auth.mfa.methods import Method
from app.auth.mfa.totp import codes
from app.auth.mfa.totp.models import TotpFactor
from app.auth.sessions import sessions
from app.database.rows import change, delete_batch
from app.errors import WrongFactor
from app.extensions import db
from app.models import Session, User
from app.security import key_ring
from app.security.key_ring import CannotOpen, Sealed

# A secret that was shown and not confirmed for so long is not going to be.
UNCONFIRMED_AFTER = timedelta(days=1)


@dataclass(frozen=True)
class Enrolment:
    """What an authenticator app needs to know. It is shown once."""

    secret: str
    uri: str
    qr_svg: str


def begin(session: Session) -> Enrolment:
    """Make a secret for the user of the session, which the user has yet to confirm. Commits.

    It replaces an unconfirmed one. Raises ``FactorExists`` or ``SessionEnded``.
    """
    user = sessions.lock_user(session)
    known = _of(user.id)
    if known is not None and known.confirmed_at:
        db.session.rollback()
        raise FactorExists
    db.session.execute(_delete(TotpFactor.user_id == user.id))
    secret = codes.new_secret()
    sealed = key_ring.seal(secret, row=row_of(user.id))
    db.session.add(
        TotpFactor(
            user_id=user.id,
            sealed_secret=sealed.text,
            key_id=sealed.key_id,
            created_at=clock.now(),
        )
    )
    db.session.commit()
    return _enrolment(user, secret)


def waiting(session: Session, secret: str) -> Enrolment | None:
    """The enrolment with this secret, if it still has to be confirmed.

    So a page can show it once more to the browser that has the secret. Nobody
    else is told the secret again: it may be one that somebody else has made
    in the account, to learn the codes of its owner.
    """
    known = _of(session.user_id)
    if known is None or known.confirmed_at:
        return None
    kept = _secret_of(known)
    if kept is None or not secrets.compare_digest(kept.encode(), secret.encode()):
        return None
    return _enrolment(session.user, secret)


def confirm(session: Session, otp: str) -> tuple[User, list[str]]:
    """Make the new secret a second factor, with a code that it gives. Commits.

    This switches the second step on, raises the session to the second level
    and ends all other sessions. Returns the user, and recovery codes if the
    user had none.
    Raises ``NoFactor`` if there is no secret to confirm, ``WrongFactor`` or
    ``SessionEnded``.
    """
    with second_step.counted(TOTP):
        return _confirm(session, otp)


def _confirm(session: Session, otp: str) -> tuple[User, list[str]]:
    second_step.count_try(session.user)
    user = sessions.lock_user(session)
    factor = _of(user.id)
    if factor is None or factor.confirmed_at:
        db.session.rollback()
        raise NoFactor
    if not _use(factor, otp):
        db.session.rollback()
        raise WrongFactor
    now = clock.now()
    factor.confirmed_at = now
    user.second_step_at = now
    throttle.forgive_factor(user)
    recovery_codes = factors.added(user, TOTP)
    sessions.confirm(session, Proof(amr=()).raised(TOTP.amr))
    sessions.end_others(session)
    db.session.commit()
    return user, recovery_codes


def remove(session: Session) -> None:
    """Remove the authenticator app of the session's user. Commits.

    Raises ``NotFound``, ``FactorRequired`` or ``SessionEnded``.
    """
    factors.remove(session, TOTP)


def is_there(user_id: int) -> bool:
    factor = _of(user_id)
    return factor is not None and factor.confirmed_at is not None


def held_about(user: User) -> TotpFactor | None:
    """What is stored about the user's authenticator app."""
    return _of(user.id)


def prune(limit: int) -> int:
    """Delete up to ``limit`` secrets that nobody confirmed within a day. Commits."""
    begun = TotpFactor.created_at
    is_old = begun < clock.now() - UNCONFIRMED_AFTER
    return delete_batch(
        TotpFactor, TotpFactor.confirmed_at.is_(None), is_old, oldest=begun, limit=limit
    )


def _verify(user: User, fields: Mapping[str, Any]) -> bool:
    factor = _of(user.id)
    return factor is not None and factor.confirmed_at is not None and _use(factor, fields["otp"])


def _use(factor: TotpFactor, code: str) -> bool:
    """Whether the code is right and its time step was not used before. Then it is used up."""
    secret = _secret_of(factor)
    if secret is None:
        return False
    step = codes.matching_step(secret, code, clock.now())
    if step is None:
        return False
    use = (
        change(TotpFactor)
        .where(TotpFactor.user_id == factor.user_id)
        .where(or_(TotpFactor.last_step.is_(None), TotpFactor.last_step < step))
        .values(last_step=step)
        .returning(TotpFactor.user_id)
    )
    return db.session.scalar(use) is not None


def _secret_of(factor: TotpFactor) -> str | None:
    sealed = Sealed(factor.sealed_secret, factor.key_id)
    try:
        return key_ring.unseal(sealed, row=row_of(factor.user_id))
    except CannotOpen:
        # `flask doctor` counts these. The user needs a recovery code or another factor.
        return None


def _enrolment(user: User, secret: str) -> Enrolment:
    uri = codes.uri(secret, user.email)
    return Enrolment(secret, uri, codes.qr_svg(uri))


def _remove(user_id: int, added_since: datetime | None) -> int:
    mine = TotpFactor.user_id == user_id
    if added_since is None:
        return _rowcount(_delete(mine))
    return _rowcount(
        _delete(
            mine, or_(TotpFactor.confirmed_at.is_(None), TotpFactor.confirmed_at >= added_since)
        )
    )


def _describe(user_id: int) -> dict[str, Any] | None:
    factor = _of(user_id)
    return {"confirmed_at": factor.confirmed_at} if factor and factor.confirmed_at else None


def _of(user_id: int) -> TotpFactor | None:
    mine = select(TotpFactor).where(TotpFactor.user_id == user_id)
    return db.session.scalar(mine.execution_options(populate_existing=True))


def _delete(*which: Any) -> Any:
    found = delete(TotpFactor).where(*which).returning(TotpFactor.confirmed_at)
    return found.execution_options(synchronize_session="fetch")


def _rowcount(statement: Any) -> int:
    """How many confirmed factors the statement deletes."""
    return sum(1 for confirmed_at in db.session.scalars(statement) if confirmed_at)


def row_of(user_id: int) -> str:
    """The name of the row, for which its secret is sealed."""
    return f"totp_factors:{user_id}"


TOTP = methods.declare(
    Method(
        name="totp",
        field="otp",
        amr="otp",
        is_factor=True,
        is_there=is_there,
        verify=_verify,
        remove=_remove,
        member="totp",
        describe=_describe,
    )
)
