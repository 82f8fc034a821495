"""Who sends a request, and whether they may: access tokens, cookies, API keys and permissions.

A token or a cookie is valid while its session is live, so loading the session
is the check: one statement answers "ended?", "which device?" and "which user?".

Each call of the API says whether an API key may make it: its guard gets
``keys``. A guard that asks for a fresh login refuses keys by itself.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import ParamSpec, TypeVar, cast, overload

from flask import Flask, g, has_app_context, request
from sqlalchemy.orm import Session as DatabaseSession
from sqlalchemy.orm.attributes import set_committed_value

from app import clock
from app.access import attachment, cookies, csrf, flask_jwt, levels, rescues
from app.access.describing import (
    BY_KEY,
    STALE,
    documents_access_token,
    documents_keys,
    documents_permission,
)
from app.access.describing import WITHOUT as WITHOUT
from app.access.key_rules import Keys, says_about_keys
from app.access.key_sessions import authenticate_by_key
from app.access.live_session import load_session_of_cookie, load_user_of_live_session
from app.access.permissions import Permission, Rights, rights_of
from app.access.scopes import Scope
from app.database.engines import reader
from app.errors import KeyNotAllowed, NotEnoughPermissions, SessionEnded, Unauthorized
from app.http.bearer import bearer_token, canonicalize_authorization
from app.http.blueprint import refuses
from app.models import Session, User
from app.security import tokens
from config import settings

P = ParamSpec("P")
R = TypeVar("R")


def init_app(app: Flask) -> None:
    app.before_request(canonicalize_authorization)
    attachment.when_changed(_keep_change)


@overload
def signed_in(view: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def signed_in(*, keys: Keys) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def signed_in(
    view: Callable[P, R] | None = None, /, *, keys: Keys | None = None
) -> Callable[P, R] | Callable[[Callable[P, R]], Callable[P, R]]:
    """Allow the call only with a valid access token, or with the cookie of a session.

    ``keys`` says whether an API key may make it too: ``False``, or the scope
    that the key needs. With ``True`` every key may, and the view asks for the
    scope (``refuse_key_without``). A call of the API must say it. A page need
    not, because no key opens a page.
    """
    if view is not None:
        return _guarded(view, lambda: None)
    return lambda view: _guarded(view, lambda: None, keys)


def freshly_signed_in(view: Callable[P, R]) -> Callable[P, R]:
    """Allow the call only to a signed-in user who proved a short while ago who they are."""

    def guard() -> None:
        refuse_unless_fresh()
        levels.refuse_below_own_factor(current_session())

    return refuses(*STALE)(_guarded(view, guard, keys=False))


def permitted(
    permission: Permission, *, keys: bool | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Allow the call only to users who have the permission. A superuser has every permission.

    ``keys`` says whether an API key may make it too, if the permission is one
    of its scopes and its owner has it by a role. A call of the API must say it.
    """

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        guarded = _guarded(view, lambda: refuse_without(permission), keys)
        return documents_permission(permission)(guarded)

    return decorate


def freshly_permitted(permission: Permission) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Allow the call only to users who have the permission and just gave their password."""

    def guard() -> None:
        refuse_without(permission)
        refuse_unless_fresh()

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        guarded = _guarded(view, guard, keys=False)
        return refuses(*STALE)(documents_permission(permission)(guarded))

    return decorate


def for_superusers(view: Callable[P, R]) -> Callable[P, R]:
    """Allow the call only to superusers."""
    return refuses(*WITHOUT)(_guarded(view, _refuse_all_but_superusers))


def for_fresh_superusers(view: Callable[P, R]) -> Callable[P, R]:
    """Allow the call only to superusers who just gave their password."""

    def guard() -> None:
        _refuse_all_but_superusers()
        refuse_unless_fresh()

    return refuses(NotEnoughPermissions, *STALE)(_guarded(view, guard))


def _refuse_all_but_superusers() -> None:
    if not current_rights().everything:
        raise NotEnoughPermissions


def current_rights() -> Rights:
    """The rights of the current user, as the database has them now. Only in a guarded view."""
    scopes = current_session().scopes
    if scopes is not None:
        # The statement that read the key has read the rights of its owner too.
        return Rights(scopes)
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


def refuse_key_without(scope: Scope) -> None:
    """For a view whose guard lets every key in. Raises ``NotEnoughPermissions``.

    It does nothing where no key was sent.
    """
    scopes = current_session().scopes
    if scopes is not None and scope.name not in scopes:
        raise NotEnoughPermissions


def _guarded(
    view: Callable[P, R], guard: Callable[[], None], keys: Keys | None = None
) -> Callable[P, R]:
    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        session = authenticate_request(keys=keys or False)
        guard()
        if session.cookie_hash is not None:
            csrf.refuse_other_types()
        return view(*args, **kwargs)

    if keys is not None:
        says_about_keys(guarded, keys)
    by_key = [BY_KEY] if keys else []
    return documents_keys(keys)(documents_access_token(*by_key)(guarded))


def refuse_unless_fresh() -> None:
    """Raises ``FreshTokenRequired``, ``PasswordResetRequired``, or, for a key, ``KeyNotAllowed``.

    Call it after the check that the session is live: the error for an ended
    session must say that it has ended, and not that the token is not fresh.
    """
    if current_session().kind == "key":
        raise KeyNotAllowed
    if fresh_until() is None:
        raise levels.fresh_token_required(aal=2 if current_user().second_step_at else 1)
    rescues.refuse_before_new_password(current_user())


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


def authenticate_request(*, keys: Keys = False) -> Session:
    """The session of the access token that was sent, or of the API key, or else of the cookie.

    For a token it does the same as ``jwt_required()``, in half the time. ``keys`` says whether
    an API key may make the call. Raises ``NotAuthenticated``, ``InvalidToken``,
    ``TokenExpired``, ``SessionEnded``, or, for a key, ``KeyNotAllowed`` or
    ``NotEnoughPermissions``.
    """
    if secret := cookie_that_counts():
        return _authenticate_by_cookie(secret)
    token = bearer_token()
    # An access token has two dots, and a key has none.
    if "." not in token:
        return authenticate_by_key(token, keys)
    claims = tokens.read_access_token(token)
    user = load_user_of_live_session({}, claims)
    if user is None:
        raise SessionEnded
    if settings.mfa_required != "none":
        levels.refuse_below_demand(g.session)
    flask_jwt.show(claims, user)
    return current_session()


def cookie_that_counts() -> str | None:
    """The secret of the session's cookie, unless the request shows a token or a key as well."""
    return None if "HTTP_AUTHORIZATION" in request.environ else cookies.sent_secret()


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
    if session is None:
        return
    if changed is session and cast(Session, session).kind == "key":
        raise TypeError("The session of an API key is not a row, so a change to it is not written.")
    if changed in (session, session.user):
        attachment.join(changed)
