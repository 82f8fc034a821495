"""Tokens that are mailed: one purpose, one user, one use."""

import hashlib
import secrets
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import and_, delete, or_, select, update
from sqlalchemy.orm import contains_eager

from app import clock
from app.database.rows import delete_batch, hold_in_order
from app.errors import InvalidLink
from app.extensions import db
from app.models import User
from app.models.one_time_token import IS_UNDO, OneTimeToken
from config import settings


class Purpose(StrEnum):
    """What a one-time token is good for."""

    EMAIL_VERIFICATION = "email_verification"
    PASSWORD_RESET = "password_reset"
    # Sets a new password too, after the owner said "this wasn't me" or undid a change.
    ACCOUNT_RECOVERY = "account_recovery"
    INVITATION = "invitation"
    EMAIL_CHANGE = "email_change"
    EMAIL_UNDO = "email_undo"
    NOT_ME = "not_me"


# Links in notices: those who get one may read it days later, and each undoes its own event.
LASTING = (Purpose.EMAIL_UNDO, Purpose.NOT_ME)
_IS_LASTING = OneTimeToken.purpose.in_([purpose.value for purpose in LASTING])

# Links that set a new password. Anybody can ask for one to somebody else's mailbox, so the newest
# does not kill the one before it: its owner may be about to use that. One that was sent because
# the owner said "this wasn't me" is of another purpose, and no request of a stranger kills it.
RESETS = (Purpose.PASSWORD_RESET, Purpose.ACCOUNT_RECOVERY)
RESETS_KEPT = 2


def lifetime(purpose: Purpose) -> timedelta:
    """NIST SP 800-63B-4 allows 24 hours for what gives access; these are within it but for
    an invitation, which gives access to an account that nobody has used yet."""
    match purpose:
        case Purpose.PASSWORD_RESET | Purpose.ACCOUNT_RECOVERY:
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

    Of the links for a new password the last two are good, and the notices'
    tokens do not supersede each other. Of requests at once, the caller's lock
    on the user makes one wait for the other.
    """
    if purpose not in LASTING:
        _supersede(user_id, purpose, kept=RESETS_KEPT - 1 if purpose in RESETS else 0)
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

    While an account is deactivated, only the links work that undo something.
    Whoever acts on it writes to the user first and calls ``redeem`` next: all
    who change an account take its row before its tokens, so that they wait
    for each other instead of deadlocking.
    """
    found: OneTimeToken | None = db.session.scalar(
        select(OneTimeToken)
        .join(OneTimeToken.user)
        .options(contains_eager(OneTimeToken.user))
        .where(or_(User.is_active, _IS_LASTING))
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


def revoke_all(user: User) -> int:
    """Kill what is outstanding, the notices' links excepted. The caller commits.

    Returns how many links that were still good.
    """
    now = clock.now()
    kill = delete(OneTimeToken).where(OneTimeToken.user_id == user.id).where(~_IS_LASTING)
    killed = db.session.execute(kill.returning(OneTimeToken.used_at, OneTimeToken.expires_at))
    return sum(used_at is None and expires_at > now for used_at, expires_at in killed.all())


def revoke(user_id: int, purpose: Purpose) -> None:
    """Kill what is outstanding of one purpose. The caller commits."""
    _supersede(user_id, purpose, kept=0)


def revoke_for_address(user_id: int, email: str | None) -> None:
    """Kill everything that was mailed to an address that is not the user's. The caller commits."""
    db.session.execute(
        delete(OneTimeToken).where(OneTimeToken.user_id == user_id, OneTimeToken.email == email)
    )


def revoke_batch(limit: int, *, issued_by: datetime) -> int:
    """Kill what was issued by then to up to ``limit`` people, and say to how many.

    The notices' links are excepted, as they are for one person. The caller commits.
    """
    outstanding = and_(~_IS_LASTING, OneTimeToken.created_at <= issued_by)
    owners = select(OneTimeToken.user_id).where(outstanding).distinct().limit(limit)
    # Users before their tokens, like everybody who changes an account.
    held = [user.id for user in hold_in_order(User, User.id.in_(db.session.scalars(owners).all()))]
    theirs = delete(OneTimeToken).where(OneTimeToken.user_id.in_(held), outstanding)
    db.session.execute(theirs.execution_options(synchronize_session=False))
    return len(held)


def revoke_later_undos(token: OneTimeToken) -> None:
    """Kill the links that lead other accounts back to this one's address. The caller commits.

    Only those of accounts that got the address after this one had left it.
    """
    later = and_(IS_UNDO, OneTimeToken.email == token.email, OneTimeToken.id > token.id)
    db.session.execute(delete(OneTimeToken).where(later, OneTimeToken.user_id != token.user_id))


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


def _supersede(user_id: int, purpose: Purpose, *, kept: int) -> None:
    """Delete a user's tokens of a purpose, except the newest ones."""
    mine = and_(OneTimeToken.user_id == user_id, OneTimeToken.purpose == purpose.value)
    newest = select(OneTimeToken.id).where(mine).order_by(OneTimeToken.id.desc()).limit(kept)
    older = delete(OneTimeToken).where(mine, OneTimeToken.id.not_in(newest))
    db.session.execute(older.execution_options(synchronize_session=False))


def _hash(token: str) -> str:
    # The token is random enough that a fast hash cannot be turned back.
    return hashlib.sha256(token.encode()).hexdigest()
