"""Whether an address or a username is taken.

The unique constraints know the addresses and usernames that accounts have now,
also those of accounts that wait to be erased. One more address is taken: the
address that an account has left, while the link that undoes the change is
valid. Otherwise a thief who moved an account to another mailbox could register
the old address, and the owner could not take the account back.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, select
from sqlalchemy.exc import IntegrityError

from app import clock
from app.database.rows import lock
from app.errors import EmailTaken, UsernameTaken
from app.extensions import db
from app.mail import messages, outbox
from app.models import OneTimeToken, OutboxMessage, User
from app.models.one_time_token import IS_UNDO
from config import settings


@contextmanager
def unless_taken() -> Iterator[None]:
    """Turn the error of a unique constraint into ``EmailTaken`` or ``UsernameTaken``."""
    try:
        yield
    except IntegrityError as error:
        db.session.rollback()
        # PostgreSQL names the constraint, SQLite the column; the column's name is in both.
        diagnosis = getattr(error.orig, "diag", None)
        violated = diagnosis.constraint_name if diagnosis else str(error.orig)
        for column, taken in (("username_key", UsernameTaken), ("email", EmailTaken)):
            if column in violated:
                raise taken from None
        raise


def refuse_if_left(email: str, *, user_id: int) -> None:
    """Refuse an address that another account may return to. The caller commits.

    Call it after the address has been written, not before. The link that
    undoes a change is committed before the change frees the address. So the
    account that got the address always finds the link, also if both happen at
    the same moment. Raises ``EmailTaken``.
    """
    if former_owner(email, except_user=user_id) is not None:
        db.session.rollback()
        raise EmailTaken


def former_owner(email: str, *, except_user: int | None = None) -> int | None:
    """The id of an account that has left this address and may return to it."""
    found: int | None = db.session.scalar(
        select(OneTimeToken.user_id)
        .where(may_be_returned_to(), OneTimeToken.email == email)
        .where(OneTimeToken.user_id != (except_user or 0))
        .order_by(OneTimeToken.id)
        .limit(1)
    )
    return found


def may_be_returned_to() -> ColumnElement[bool]:
    """Whether a token is a link that still leads its account back to the token's address."""
    now = clock.now()
    return and_(IS_UNDO, OneTimeToken.used_at.is_(None), OneTimeToken.expires_at > now)


def tell_former_owner(request: OutboxMessage, user_id: int) -> tuple[Any, dict[str, Any]] | None:
    """The mail that tells a mailbox that somebody wanted its address. For resolvers.

    It goes to the requested address and not to the present address of the
    account, which may be a thief's.
    """
    owner = lock(User, User.id == user_id)
    if owner is None or outbox.is_mailed_enough(request.recipient, messages.address_in_use):
        return None
    request.user_id, request.locale = owner.id, owner.locale
    return messages.address_in_use, {}


def add(user: User) -> None:
    """Write the row of a new account. The caller commits.

    Raises ``EmailTaken`` or ``UsernameTaken``.
    """
    try:
        with unless_taken():
            db.session.add(user)
            db.session.flush()
        refuse_if_left(user.email, user_id=user.id)
    except (EmailTaken, UsernameTaken):
        # If both are taken, PostgreSQL and SQLite may name different ones.
        raise _what_is_taken(user) from None


def _what_is_taken(user: User) -> EmailTaken | UsernameTaken:
    """The error to raise. If accounts are hidden, a taken username hides whether the address is."""
    name_taken = exists().where(User.username_key == user.username_key).select()
    address_taken = exists().where(User.email == user.email).select()
    # It is asked in every case, as for a new account: the time of the answer must not tell.
    is_left = former_owner(user.email) is not None
    if settings.hide_account_existence:
        return UsernameTaken() if db.session.scalar(name_taken) else EmailTaken()
    return EmailTaken() if is_left or db.session.scalar(address_taken) else UsernameTaken()
