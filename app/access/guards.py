"""Who sends a request, and whether they may: access tokens, cookies and permissions.

A token or a cookie is valid while its session is live, so loading the session
is the check: one statement answers "ended?", "which device?" and "which user?".
"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import ParamSpec, TypeVar, cast

from flask import Flask, g, has_app_context, request
from sqlalchemy.orm import Session as DatabaseSession
from sqlalchemy.orm.attributes import set_committed_value

from app import clock
from app.access import attachment, cookies, csrf, flask_jwt, levels
from app.access.live_session import load_session_of_cookie, load_user_of_live_session
from app.access.permissions import Permission, Rights, rights_of
from app.database.engines import reader
from app.errors import (
    FreshTokenRequired,
    InvalidToken,
    MfaEnrollmentRequired,
    NotAuthenticated,
    NotEnoughPermissions,
    SessionEnded,
    TokenExpired,
    Unauthorized,
)
from app.http.bearer import bearer_token, canonicalize_authorization
from app.http.blueprint import BY_COOKIE, Decorator, View, documentation_of, refuses
from app.models import Session, User
from app.security import tokens
from config import settings

P = ParamSpec("P")
R = TypeVar("R")


# How somebody who lacks a permission may be refused.
WITHOUT = (NotEnoughPermissions, FreshTokenRequired)


def init_app(app: Flask) -> None:
    app.before_request(canonicalize_authorization)
    attachment.when_changed(_keep_change)


def signed_in(view: Callable[P, R]) -> Callable[P, R]:
    """Allow the call only with a valid access token, or with the cookie of a session."""
    return _guarded(view, lambda: None)


def freshly_signed_in(view: Callable[P, R]) -> Callable[P, R]:
    """Allow the call only to a signed-in user who proved a short while ago who they are."""

    def guard() -> None:
        refuse_unless_fresh()
        levels.refuse_below_own_factor(current_session())

    return refuses(FreshTokenRequired)(_guarded(view, guard))


def permitted(permission: Permission) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Allow the call only to users who have the permission. A superuser has every permission."""

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        guarded = _guarded(view, lambda: refuse_without(permission))
        return _documents_permission(permission)(guarded)

    return decorate


def freshly_permitted(permission: Permission) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Allow the call only to users who have the permission and just gave their password."""

    def guard() -> None:
        refuse_without(permission)
        refuse_unless_fresh()

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        guarded = _guarded(view, guard)
        return refuses(FreshTokenRequired)(_documents_permission(permission)(guarded))

    return decorate


def for_superusers(view: Callable[P, R]) -> Callable[P, R]:
    """Allow the call only to superusers."""
    return refuses(*WITHOUT)(_guarded(view, _refuse_all_but_superusers))


def for_fresh_superusers(view: Callable[P, R]) -> Callable[P, R]:
    """Allow the call only to superusers who just gave their password."""

    def guard() -> None:
        _refuse_all_but_superusers()
        refuse_unless_fresh()

    return refuses(*WITHOUT)(_guarded(view, guard))


def _refuse_all_but_superusers() -> None:
    if not current_rights().everything:
        raise NotEnoughPermissions


def current_rights() -> Rights:
    """The rights of the current user, as the database has them now. Only in a guarded view."""
    # It has its own connection, which is back in the pool before the view goes on.
    with DatabaseSession(reader()) as database:
        return rights_of(current_user(), database, aal=current_session().aal)


def refuse_without(permission: Permission) -> None:
    """For a view that only some callers need the permission for. Document ``WITHOUT`` then.

    Raises ``NotEnoughPermissions``, or, to a user who would have the permission with a second
    factor, ``FreshTokenRequired`` or ``MfaEnrollmentRequired``.
    """
    if current_rights().include(permission):
        return
    levels.refuse_if_level_is_missing(current_session(), lambda rights: rights.include(permission))
    raise NotEnoughPermissions


def _documents_permission(permission: Permission) -> Decorator:
    def decorate(view: View) -> View:
        manual = documentation_of(view).setdefault("manual_doc", {})
        manual["x-permission"] = str(permission)
        return refuses(*WITHOUT)(view)

    return decorate


def _guarded(view: Callable[P, R], guard: Callable[[], None]) -> Callable[P, R]:
    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        session = authenticate_request()
        guard()
        if session.cookie_hash is not None:
            csrf.refuse_other_types()
        return view(*args, **kwargs)

    return documents_access_token()(guarded)


def documents_access_token(*others: dict[str, list[str]]) -> Decorator:
    """Say in the OpenAPI document that the view reads an access token or a cookie, or another."""

    def decorate(view: View) -> View:
        manual = documentation_of(view).setdefault("manual_doc", {})
        manual["security"] = [{"access_token": []}, {"login_form": []}, BY_COOKIE, *others]
        return refuses(
            NotAuthenticated, InvalidToken, TokenExpired, SessionEnded, MfaEnrollmentRequired
        )(view)

    return decorate


def refuse_unless_fresh() -> None:
    """Raises ``FreshTokenRequired``.

    Call it after the check that the session is live: the error for an ended
    session must say that it has ended, and not that the token is not fresh.
    """
    if fresh_until() is None:
        raise levels.fresh_token_required(aal=2 if current_user().second_step_at else 1)


def fresh_until() -> datetime | None:
    """Until when the login of the request counts as recent. ``None`` if it does not.

    An access token says it, and for a cookie the row of its session does.

    Where the user's second step is on, only a session with a second factor counts.
    """
    until = _fresh_until(current_session())
    lacks_factor = levels.lacks_own_factor(current_session(), current_user())
    if lacks_factor or until <= clock.now().timestamp():
        return None
    return datetime.fromtimestamp(until, UTC)


def _fresh_until(session: Session) -> float:
    if session.cookie_hash is None:
        return float(flask_jwt.shown_claims()["fresh"])
    if session.authenticated_at is None:
        return 0
    return (session.authenticated_at + settings.fresh_token_lifetime).timestamp()


def authenticate_request() -> Session:
    """The session of the access token that was sent, or else of the cookie.

    For a token it does the same as ``jwt_required()``, in half the time. Raises
    ``NotAuthenticated``, ``InvalidToken``, ``TokenExpired`` or ``SessionEnded``.
    """
    if "HTTP_AUTHORIZATION" not in request.environ and (secret := cookies.sent_secret()):
        return _authenticate_by_cookie(secret)
    claims = tokens.read_access_token(bearer_token())
    user = load_user_of_live_session({}, claims)
    if user is None:
        raise SessionEnded
    if settings.mfa_required != "none":
        levels.refuse_below_demand(g.session)
    flask_jwt.show(claims, user)
    return current_session()


def _authenticate_by_cookie(secret: str) -> Session:
    """Raises ``CsrfFailed`` too, if another site may have made the browser send a change."""
    if csrf.is_unsafe():
        csrf.refuse_other_origins()
    try:
        session = load_session_of_cookie(secret)
    except Unauthorized:
        cookies.clear_session()
        raise
    if settings.mfa_required != "none":
        levels.refuse_below_demand(session)
    go_on_as(session, session.user)
    return session


def go_on_as(session: Session, user: User) -> None:
    """Let the rest of the request be one of this session, which a cookie holds."""
    set_committed_value(session, "user", user)
    g.session = session
    flask_jwt.show(
        {
            "sub": str(session.user_id),
            "sid": str(session.id),
            "type": "access",
            "fresh": _fresh_until(session),
            "acr": f"aal{session.aal}",
            "amr": session.amr.split(),
        },
        user,
    )


def current_user() -> User:
    """The user who sent the request. Only in a guarded view.

    The object is not in ``db.session`` until somebody changes it.
    """
    return current_session().user


def current_session() -> Session:
    """The session of the user who sent the request. Only in a guarded view."""
    return cast(Session, g.session)


def _keep_change(changed: User | Session, *_: object) -> None:
    session = g.get("session") if has_app_context() else None
    if session is not None and (changed is session or changed is session.user):
        attachment.join(changed)
