"""The level of a session: whether a second factor was given, and who must give one.

``sessions.aal`` is the truth: 1 for one proof, 2 where a second factor was
among the proofs (NIST SP 800-63B-4).
"""

from collections.abc import Callable
from contextlib import nullcontext
from typing import ParamSpec, TypeVar

from flask import current_app, request
from sqlalchemy import select
from sqlalchemy.orm import Session as DatabaseSession

from app.access.keys import MARK
from app.access.permissions import Rights, rights_of
from app.database.engines import reader
from app.errors import AppError, FreshTokenRequired, KeyNotAllowed, MfaEnrollmentRequired
from app.extensions import db
from app.http.blueprint import documentation_of
from app.models import Role, Session, User, UserRole
from config import settings

P = ParamSpec("P")
R = TypeVar("R")

_MARK = "works_before_second_step"


def before_second_step(view: Callable[P, R]) -> Callable[P, R]:
    """Allow the call also in a session that lacks the second factor that the settings demand."""
    setattr(view, _MARK, True)
    refusals = documentation_of(view).get("refusals", {})
    _leave_out(MfaEnrollmentRequired, refusals)
    if getattr(view, MARK, False):
        _leave_out(KeyNotAllowed, refusals)
    return view


def _leave_out(error: type[AppError], refusals: dict[int, dict[str, None]]) -> None:
    refusals.get(error.status, {}).pop(error.code, None)
    if not refusals.get(error.status, True):
        del refusals[error.status]


def is_second_factor_required(user: User) -> bool:
    """Whether the settings or a role demand that the user has a second factor."""
    return _is_demanded_of(user) or bool(
        db.session.scalar(
            select(Role.id)
            .join(UserRole, UserRole.role_id == Role.id)
            .where(UserRole.user_id == user.id, Role.require_mfa)
            .limit(1)
        )
    )


def lacks_own_factor(session: Session, user: User) -> bool:
    """Whether the session lacks the second factor that its user wants to be asked for."""
    return user.second_step_at is not None and session.aal < 2


def refuse_below_demand(session: Session) -> None:
    """Stop a call that needs the second level, for a user from whom the settings demand it.

    Raises ``FreshTokenRequired`` if the user can raise the session with a
    factor, and ``MfaEnrollmentRequired`` if there is none yet. Raises
    ``KeyNotAllowed`` for an API key that was made without a second factor.
    """
    if not _works_before_second_step():
        refuse_without_demanded_level(session)


def refuse_without_demanded_level(session: Session) -> None:
    """The same, in a view that does some things before the second step and others not."""
    if session.aal < 2 and _is_demanded_of(session.user):
        if session.kind == "key":
            raise KeyNotAllowed
        raise _missing_level(session.user)


def refuse_below_own_factor(session: Session) -> None:
    """Stop a change of the factors in a session without a factor, if one is demanded and there.

    These calls are open before the second step, so that a user can set up the
    first factor. Where there is a factor already, somebody who knows only the
    password could add another one here and then log in with that.
    Raises ``FreshTokenRequired``.
    """
    if session.aal >= 2 or not _works_before_second_step():
        return
    user = session.user
    is_due = is_second_factor_required(user) and has_factor(user)
    # The view begins with a transaction of its own.
    db.session.close()
    if is_due:
        raise _missing_level(user)


def refuse_if_level_is_missing(
    session: Session, suffice: Callable[[Rights], bool], database: DatabaseSession | None = None
) -> None:
    """Tell a user whose rights would suffice with a second factor what is missing.

    A caller who holds locks gives its ``database``, to take no second connection.
    With an API key nobody can give a factor, so nothing is missing there.
    Raises ``FreshTokenRequired`` or ``MfaEnrollmentRequired``.
    """
    if session.aal >= 2 or session.kind == "key":
        return
    with nullcontext(database) if database else DatabaseSession(reader()) as rows:
        rights = rights_of(session.user, rows, aal=2)
    if suffice(rights):
        raise _missing_level(session.user)


def fresh_token_required(*, aal: int = 1) -> FreshTokenRequired:
    """The refusal that names the wanted level, and the time within which a proof counts."""
    return FreshTokenRequired(aal=aal, max_age=int(settings.fresh_token_lifetime.total_seconds()))


def _works_before_second_step() -> bool:
    view = current_app.view_functions.get(request.endpoint or "")
    return getattr(view, _MARK, False)


def has_factor(user: User) -> bool:
    """Whether the user could give a second factor."""
    is_held: Callable[[int], bool] = current_app.extensions["has_factor"]
    return user.second_step_at is not None or is_held(user.id)


def _missing_level(user: User) -> AppError:
    if has_factor(user):
        return fresh_token_required(aal=2)
    return MfaEnrollmentRequired()


def _is_demanded_of(user: User) -> bool:
    return settings.mfa_required == "all" or (
        settings.mfa_required == "superusers" and user.is_superuser
    )
