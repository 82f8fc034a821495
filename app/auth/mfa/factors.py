"""The second factors of an account: showing, adding and removing them."""

from datetime import datetime, timedelta
from typing import Any

from app import audit, clock
from app.access import levels
from app.auth import credentials
from app.auth.login import throttle
from app.auth.login.throttle import Kind
from app.auth.mfa import events, messages, methods, tickets
from app.auth.mfa.errors import FactorRequired, NoFactor
from app.auth.mfa.methods import Method
from app.auth.notices import notify
from app.auth.sessions import sessions
from app.errors import NotFound
from app.extensions import db
from app.features.credentials import CredentialChange
from app.models import Session, User

# "This was not me" removes what was added in this time.
RECENT = timedelta(days=7)
# The owner says that somebody else used the account.
TAKEN_BACK = (CredentialChange.REPUDIATED, CredentialChange.EMAIL_CHANGE_UNDONE)
# From this number on, the mail about a used recovery code asks for new ones.
FEW_LEFT = 3


def describe(user: User) -> dict[str, Any]:
    """The shape ``Factors``."""
    return {
        "second_step": user.second_step_at is not None,
        "required": levels.is_second_factor_required(user),
        # What a method that was taken out would say.
        "totp": None,
        "recovery_codes": None,
        "passkeys": [],
        **{method.member: method.describe(user.id) for method in methods.declared()},
    }


def switch(session: Session, *, enabled: bool) -> User:
    """Switch the second step on or off. Commits.

    Raises ``NoFactor``, ``FactorRequired`` or ``SessionEnded``.
    """
    user = sessions.lock_user(session)
    if enabled and not methods.has_factor(user.id):
        db.session.rollback()
        raise NoFactor
    if not enabled and levels.is_second_factor_required(user):
        db.session.rollback()
        raise FactorRequired
    if enabled != (user.second_step_at is not None):
        user.second_step_at = clock.now() if enabled else None
        if not enabled:
            notify(messages.second_step_switched_off, user)
        audit.record(
            events.SECOND_STEP_CHANGED, subject_id=user.id, actor_id=user.id, is_on=enabled
        )
    db.session.commit()
    return user


def added(user: User, method: Method) -> list[str]:
    """What follows when a factor was added. The caller holds the user, and commits.

    Returns the recovery codes that the account gets with its first factor.
    """
    made = [
        code
        for each in methods.declared()
        if each.on_first_factor and not methods.has_factor(user.id, other_than=method.name)
        for code in each.on_first_factor(user.id)
    ]
    credentials.changed(user, CredentialChange.FACTORS_CHANGED)
    notify(messages.factor_added, user, factor=method.name)
    audit.record(events.FACTOR_ADDED, subject_id=user.id, actor_id=user.id, method=method.name)
    return made


def remove(session: Session, method: Method) -> None:
    """Remove what the user of the session has of one kind. Commits.

    Raises ``NotFound``, ``FactorRequired`` or ``SessionEnded``.
    """
    user = sessions.lock_user(session)
    if not method.is_there(user.id):
        db.session.rollback()
        raise NotFound
    method.remove(user.id, None)
    removed(user, method)
    db.session.commit()


def removed(user: User, method: Method) -> None:
    """What follows when the owner removed a factor. The caller holds the user, and commits.

    Raises ``FactorRequired``, and undoes the removal, if it was the last
    factor of an account that must have one.
    """
    if not methods.has_factor(user.id):
        if levels.is_second_factor_required(user):
            db.session.rollback()
            raise FactorRequired
        _switch_off(user)
    credentials.changed(user, CredentialChange.FACTORS_CHANGED)
    notify(messages.factor_removed, user, factor=method.name)
    audit.record(events.FACTOR_REMOVED, subject_id=user.id, actor_id=user.id, method=method.name)


def reset(user: User, actor_id: int | None) -> int | None:
    """Remove every factor of an account, as an administrator.

    The caller holds the user, and commits. Returns how many factors that were,
    or ``None`` if there was nothing to reset. Then no mail is sent.
    """
    throttle.clear(user, Kind.FACTOR)
    count = methods.remove_all(user.id)
    if not count and user.second_step_at is None:
        return None
    _switch_off(user)
    credentials.changed(user, CredentialChange.FACTORS_CHANGED)
    notify(messages.factors_reset, user)
    audit.record(events.FACTORS_RESET, subject_id=user.id, actor_id=actor_id, factors=count)
    return count


def take_back(user: User, *, added_since: datetime | None = None) -> None:
    """Remove the factors, or those that were added since: it may have been somebody else.

    The caller holds the user, and commits.
    """
    count = methods.remove_all(user.id, added_since)
    if count:
        audit.record(events.FACTORS_RESET, subject_id=user.id, factors=count)
    if not methods.has_factor(user.id):
        _switch_off(user)


def credentials_changed(user: User, change: CredentialChange) -> None:
    """End logins that wait for their second step. The caller holds the user, and commits."""
    tickets.end_all(user.id)
    if change in TAKEN_BACK:
        take_back(user, added_since=clock.now() - RECENT)
    if change is CredentialChange.MAILBOX_PROVED:
        take_back(user)
        throttle.clear(user, Kind.FACTOR)


def _switch_off(user: User) -> None:
    """Switch the second step off where no factor is left, and drop the recovery codes.

    Passkeys stay that cannot be used at the moment, because they belong to
    another domain or passkeys are switched off.
    """
    for method in methods.declared():
        if not method.is_factor:
            method.remove(user.id, None)
    user.second_step_at = None


def recovery_code_used(user: User, *, left: int) -> None:
    """Tell the owner that a recovery code was used. The caller commits."""
    wording = messages.few_recovery_codes_left if left <= FEW_LEFT else messages.recovery_code_used
    notify(wording, user, left=left)
    audit.record(events.RECOVERY_CODE_USED, subject_id=user.id, actor_id=user.id, left=left)
