"""Tokens that are mailed. Each has one purpose, belongs to one user and works once."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import contains_eager

from app import clock
from app.database.rows import change, delete_batch, discard, lock_in_order
from app.errors import InvalidLink
from app.extensions import db
from app.models import User
from app.models.one_time_token import IS_UNDO, OneTimeToken
from app.security import random_tokens
from config import settings


class Purpose(StrEnum):
    """What a one-time token may be used for."""

    EMAIL_VERIFICATION = "email_verification"
    PASSWORD_RESET = "password_reset"
    # This one sets a new password too, after the owner said "this wasn't me" or undid a change.
    ACCOUNT_RECOVERY = "account_recovery"
    INVITATION = "invitation"
    EMAIL_CHANGE = "email_change"
    EMAIL_UNDO = "email_undo"
    NOT_ME = "not_me"


# The links in notices. People may read a notice days later, and each link undoes its own event, so
# a newer link does not replace an older one.
LASTING = (Purpose.EMAIL_UNDO, Purpose.NOT_ME)

# Links that set a new password. A stranger can have one sent to somebody else's mailbox. So a new
# link does not end the one before it, which the owner may be about to use. A link that was sent
# because the owner said "this wasn't me" has another purpose, and no request of a stranger ends it.
RESETS = (Purpose.PASSWORD_RESET, Purpose.ACCOUNT_RECOVERY)
RESETS_KEPT = 2

# NIST SP 800-63B-4 allows 24 hours for a link that gives access. All links that give access keep to
# that, except an invitation, which gives access to an account that nobody has used yet. The links
# that set a new password work for RESET_TOKEN_EXPIRE_MINUTES.
LIFETIMES = {
    Purpose.EMAIL_CHANGE: timedelta(hours=1),
    Purpose.EMAIL_VERIFICATION: timedelta(hours=24),
    Purpose.INVITATION: timedelta(hours=72),
    Purpose.EMAIL_UNDO: timedelta(days=7),
    Purpose.NOT_ME: timedelta(days=7),
}

# The length of the column in the database.
MAX_NAME_LENGTH = 30


@dataclass(frozen=True)
class FeaturePurpose:
    """A purpose of an optional feature, and how long its links work."""

    value: str
    lifetime: timedelta
    is_lasting: bool = False


AnyPurpose = Purpose | FeaturePurpose

_declared: dict[str, FeaturePurpose] = {}


def declare(name: str, *, lifetime: timedelta, lasting: bool = False) -> FeaturePurpose:
    """A new purpose of an optional feature.

    The links of a ``lasting`` purpose undo something. They work while the
    account is deactivated, and a newer one does not end an older one.
    """
    purpose = FeaturePurpose(name, lifetime, lasting)
    if name in set(Purpose) or _declared.setdefault(name, purpose) != purpose:
        raise ValueError(f"The purpose {name} is already declared.")
    if len(name) > MAX_NAME_LENGTH:
        raise ValueError(f"The name {name} has more than {MAX_NAME_LENGTH} characters.")
    return purpose


def lifetime(purpose: AnyPurpose) -> timedelta:
    """Return how long a link of this purpose works."""
    if isinstance(purpose, FeaturePurpose):
        return purpose.lifetime
    return settings.reset_token_lifetime if purpose in RESETS else LIFETIMES[purpose]


def _is_lasting() -> ColumnElement[bool]:
    of_features = [purpose.value for purpose in _declared.values() if purpose.is_lasting]
    return OneTimeToken.purpose.in_([*(purpose.value for purpose in LASTING), *of_features])


def issue(
    user_id: int, purpose: AnyPurpose, *, email: str, replaced_email: str | None = None
) -> str:
    """Make a token of 256 random bits, and end the older ones of its purpose. The caller commits.

    The last two links that set a new password both work, and the tokens of
    notices do not replace each other. The caller holds a lock on the user, so
    that of two requests at the same time one waits for the other.
    """
    is_lasting = purpose.is_lasting if isinstance(purpose, FeaturePurpose) else purpose in LASTING
    if not is_lasting:
        _supersede(user_id, purpose, kept=RESETS_KEPT - 1 if purpose in RESETS else 0)
    token = random_tokens.make()
    now = clock.now()
    db.session.add(
        OneTimeToken(
            user_id=user_id,
            purpose=purpose.value,
            token_hash=random_tokens.digest(token),
            email=email,
            replaced_email=replaced_email,
            created_at=now,
            expires_at=now + lifetime(purpose),
        )
    )
    return token


def read(token: str, *purposes: AnyPurpose) -> OneTimeToken:
    """Return the token's row with its user, and do not use it up. Raises ``InvalidLink``.

    While an account is deactivated, only those of its links work that undo
    something. A caller that acts on the token writes to the user first and
    calls ``redeem`` after that. All code that changes an account locks its row
    before its tokens, so that requests wait for each other and do not
    deadlock.
    """
    found: OneTimeToken | None = db.session.scalar(
        select(OneTimeToken)
        .join(OneTimeToken.user)
        .options(contains_eager(OneTimeToken.user))
        .where(or_(User.is_active, _is_lasting()))
        .where(OneTimeToken.token_hash == random_tokens.digest(token))
        .where(OneTimeToken.purpose.in_([purpose.value for purpose in purposes]))
        .where(OneTimeToken.used_at.is_(None), OneTimeToken.expires_at > clock.now())
        .execution_options(populate_existing=True)
    )
    if found is None:
        raise InvalidLink
    return found


def redeem(token: OneTimeToken) -> None:
    """Use the token up. The caller commits.

    Raises ``InvalidLink`` if another request has used it up meanwhile.
    """
    use = (
        change(OneTimeToken)
        # The id would not do: SQLite gives the id of a deleted row to the next row.
        .where(OneTimeToken.token_hash == token.token_hash, OneTimeToken.used_at.is_(None))
        .values(used_at=clock.now())
        .returning(OneTimeToken.id)
    )
    if db.session.scalar(use) is None:
        db.session.rollback()
        raise InvalidLink


def revoke_all(user: User) -> int:
    """End a user's links, except those in notices. The caller commits.

    Returns how many of the ended links still worked.
    """
    now = clock.now()
    kill = discard(OneTimeToken).where(OneTimeToken.user_id == user.id).where(~_is_lasting())
    killed = db.session.execute(kill.returning(OneTimeToken.used_at, OneTimeToken.expires_at))
    return sum(used_at is None and expires_at > now for used_at, expires_at in killed.all())


def revoke(user_id: int, purpose: AnyPurpose) -> None:
    """End a user's links of one purpose. The caller commits."""
    _supersede(user_id, purpose, kept=0)


def revoke_for_address(user_id: int, email: str | None) -> None:
    """End links that were mailed to an address that no longer belongs to the user.

    The caller commits.
    """
    db.session.execute(
        discard(OneTimeToken).where(OneTimeToken.user_id == user_id, OneTimeToken.email == email)
    )


def revoke_batch(limit: int, *, issued_by: datetime) -> int:
    """End the links of up to ``limit`` users that were issued until this moment.

    Returns the number of users. The links in notices stay, as they do in
    ``revoke_all``. The caller commits.
    """
    outstanding = and_(~_is_lasting(), OneTimeToken.created_at <= issued_by)
    owners = select(OneTimeToken.user_id).where(outstanding).distinct().limit(limit)
    # The users are locked before their tokens, as in all code that changes an account.
    held = [user.id for user in lock_in_order(User, User.id.in_(db.session.scalars(owners).all()))]
    theirs = discard(OneTimeToken).where(OneTimeToken.user_id.in_(held), outstanding)
    db.session.execute(theirs)
    return len(held)


def revoke_later_undos(token: OneTimeToken) -> None:
    """End the links that would give this account's address back to other accounts.

    This concerns accounts that got the address after this account had left
    it. The caller commits.
    """
    later = and_(IS_UNDO, OneTimeToken.email == token.email, OneTimeToken.id > token.id)
    db.session.execute(discard(OneTimeToken).where(later, OneTimeToken.user_id != token.user_id))


def revoke_later_notices(token: OneTimeToken) -> None:
    """End the links in notices that went to other addresses after this one. The caller commits.

    Somebody who moved an account to their own address also got the notices
    there. With the links in those notices they could take the account away
    again from its earlier owner.
    """
    db.session.execute(
        discard(OneTimeToken)
        .where(OneTimeToken.user_id == token.user_id, OneTimeToken.id > token.id)
        .where(OneTimeToken.email != token.email)
        .where(_is_lasting())
    )


def prune(limit: int) -> int:
    """Forget up to ``limit`` tokens that expired a week ago. Commits."""
    old = clock.now() - timedelta(days=7)
    end = OneTimeToken.expires_at
    return delete_batch(OneTimeToken, end < old, oldest=end, limit=limit)


def _supersede(user_id: int, purpose: AnyPurpose, *, kept: int) -> None:
    """Delete a user's tokens of a purpose, except the newest ones."""
    mine = and_(OneTimeToken.user_id == user_id, OneTimeToken.purpose == purpose.value)
    newest = select(OneTimeToken.id).where(mine).order_by(OneTimeToken.id.desc()).limit(kept)
    older = discard(OneTimeToken).where(mine, OneTimeToken.id.not_in(newest))
    db.session.execute(older)
