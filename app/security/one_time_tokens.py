"""Tokens that are mailed: one purpose, one user, one use."""

import hashlib
import secrets
from datetime import timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import joinedload

from app import clock
from app.database import delete_batch
from app.errors import InvalidLink
from app.extensions import db
from app.models import User
from app.models.one_time_token import OneTimeToken, Purpose
from config import settings

# Links in notices: those who get one may read it days later, and each undoes its own event.
LASTING = (Purpose.EMAIL_UNDO, Purpose.NOT_ME)


def lifetime(purpose: Purpose) -> timedelta:
    """NIST SP 800-63B-4 allows 24 hours for what gives access; these are within it but for
    an invitation, which gives access to an account that nobody has used yet."""
    match purpose:
        case Purpose.PASSWORD_RESET:
            return settings.reset_token_lifetime
        case Purpose.EMAIL_CHANGE:
            return timedelta(hours=1)
        case Purpose.EMAIL_VERIFICATION:
            return timedelta(hours=24)
        case Purpose.INVITATION:
            return timedelta(hours=72)
        case Purpose.EMAIL_UNDO | Purpose.NOT_ME:
            return timedelta(days=7)


def issue(user_id: int, purpose: Purpose, *, email: str, replaced_email: str | None = None) -> str:
    """A new token of 256 random bits; older ones of its purpose are dead. The caller commits.

    The notices' tokens do not supersede each other.
    """
    if purpose not in LASTING:
        db.session.execute(
            delete(OneTimeToken).where(
                OneTimeToken.user_id == user_id, OneTimeToken.purpose == purpose.value
            )
        )
    token = secrets.token_urlsafe(32)
    now = clock.now()
    db.session.add(
        OneTimeToken(
            user_id=user_id,
            purpose=purpose.value,
            token_hash=_hash(token),
            email=email,
            replaced_email=replaced_email,
            created_at=now,
            expires_at=now + lifetime(purpose),
        )
    )
    return token


def read(token: str, *purposes: Purpose) -> OneTimeToken:
    """The token's row, user included, not used up yet. Raises ``InvalidLink``.

    Whoever acts on it writes to the user first and calls ``redeem`` next: all
    who change an account take its row before its tokens, so that they wait
    for each other instead of deadlocking.
    """
    found: OneTimeToken | None = db.session.scalar(
        select(OneTimeToken)
        .options(joinedload(OneTimeToken.user, innerjoin=True))
        .where(OneTimeToken.token_hash == _hash(token))
        .where(OneTimeToken.purpose.in_([purpose.value for purpose in purposes]))
        .where(OneTimeToken.used_at.is_(None), OneTimeToken.expires_at > clock.now())
        .execution_options(populate_existing=True)
    )
    if found is None:
        raise InvalidLink
    return found


def redeem(token: OneTimeToken) -> None:
    """Use the token up. The caller commits. Raises ``InvalidLink`` when another was faster."""
    use = (
        update(OneTimeToken)
        # Not by id: SQLite gives that of a deleted row to the next one.
        .where(OneTimeToken.token_hash == token.token_hash, OneTimeToken.used_at.is_(None))
        .values(used_at=clock.now())
        .returning(OneTimeToken.id)
        .execution_options(synchronize_session=False)
    )
    if db.session.scalar(use) is None:
        db.session.rollback()
        raise InvalidLink


def revoke_all(user: User) -> None:
    """Kill what is outstanding, the notices' links excepted. The caller commits."""
    db.session.execute(
        delete(OneTimeToken)
        .where(OneTimeToken.user_id == user.id)
        .where(OneTimeToken.purpose.not_in([purpose.value for purpose in LASTING]))
    )


def revoke_later_notices(token: OneTimeToken) -> None:
    """Kill the notices' links that went to other addresses after this one. The caller commits.

    Whoever moved an account to an address of theirs also got the notices
    there; they must not be able to take it back from who was there before.
    """
    db.session.execute(
        delete(OneTimeToken)
        .where(OneTimeToken.user_id == token.user_id, OneTimeToken.id > token.id)
        .where(OneTimeToken.email != token.email)
        .where(OneTimeToken.purpose.in_([purpose.value for purpose in LASTING]))
    )


def prune(limit: int) -> int:
    """Forget up to ``limit`` tokens that expired a week ago. Commits."""
    old = clock.now() - timedelta(days=7)
    end = OneTimeToken.expires_at
    return delete_batch(OneTimeToken, end < old, oldest=end, limit=limit)


def _hash(token: str) -> str:
    # The token is random enough that a fast hash cannot be turned back.
    return hashlib.sha256(token.encode()).hexdigest()
