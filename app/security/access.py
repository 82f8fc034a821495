"""Whether a token is still good, whose it is, and who may.

A token is good while its session lives, so loading the session is the check:
one statement answers "ended?", "which device?" and "which user?".
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast
from uuid import UUID

from flask import Flask, g, has_app_context, request
from flask_jwt_extended import get_jwt
from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session as DatabaseSession

from app import clock
from app.blueprint import Decorator, View, documentation_of, refuses
from app.database import from_row, reader
from app.errors import (
    AppError,
    FreshTokenRequired,
    InvalidToken,
    NotAuthenticated,
    NotEnoughPermissions,
    SessionEnded,
    TokenExpired,
    as_response,
)
from app.extensions import jwt
from app.models import Session, User
from app.prepared import Prepared
from app.security import attachment, tokens
from app.security.attachment import Loaded, attached
from app.security.permissions import Permission, Rights, rights_of

P = ParamSpec("P")
R = TypeVar("R")


def init_app(app: Flask) -> None:
    app.before_request(canonicalize_authorization)
    attachment.when_changed(_keep_change)


def signed_in(view: Callable[P, R]) -> Callable[P, R]:
    """Only with a good access token."""
    return _guarded(view, lambda: None)


def freshly_signed_in(view: Callable[P, R]) -> Callable[P, R]:
    """Only with an access token that followed a password a short while ago."""
    return refuses(FreshTokenRequired)(_guarded(view, refuse_unless_fresh))


def permitted(permission: Permission) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Only for who holds the permission. A superuser holds every one."""

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        guarded = _guarded(view, lambda: _refuse_without(permission))
        return _documents_permission(permission)(guarded)

    return decorate


def freshly_permitted(permission: Permission) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Only for who holds the permission and gave a password a short while ago."""

    def guard() -> None:
        _refuse_without(permission)
        refuse_unless_fresh()

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        guarded = _guarded(view, guard)
        return refuses(FreshTokenRequired)(_documents_permission(permission)(guarded))

    return decorate


def current_rights() -> Rights:
    """What who asks may do, as the database has it now. Inside a guarded view alone."""
    # With a connection of its own, back in the pool before the view goes on.
    with DatabaseSession(reader()) as database:
        return rights_of(current_user(), database)


def _refuse_without(permission: Permission) -> None:
    if not current_rights().include(permission):
        raise NotEnoughPermissions


def _documents_permission(permission: Permission) -> Decorator:
    def decorate(view: View) -> View:
        manual = documentation_of(view).setdefault("manual_doc", {})
        manual["x-permission"] = str(permission)
        return refuses(NotEnoughPermissions)(view)

    return decorate


def _guarded(view: Callable[P, R], guard: Callable[[], None]) -> Callable[P, R]:
    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        authenticate_request()
        guard()
        return view(*args, **kwargs)

    return documents_access_token()(guarded)


def documents_access_token(*others: dict[str, list[str]]) -> Decorator:
    """Say in the OpenAPI document that the view reads an access token, or one of the others."""

    def decorate(view: View) -> View:
        manual = documentation_of(view).setdefault("manual_doc", {})
        manual["security"] = [{"access_token": []}, {"login_form": []}, *others]
        return refuses(NotAuthenticated, InvalidToken, TokenExpired, SessionEnded)(view)

    return decorate


def refuse_unless_fresh() -> None:
    """After the session was found alive: an ended one is told so, and not to log in again."""
    if get_jwt()["fresh"] <= clock.now().timestamp():
        raise FreshTokenRequired


def authenticate_request() -> Session:
    """The session of the access token that was sent.

    It is what ``jwt_required()`` does, in half the time. Raises
    ``NotAuthenticated``, ``InvalidToken``, ``TokenExpired`` or ``SessionEnded``.
    """
    claims = tokens.read_access_token(bearer_token())
    user = load_user_of_live_session({}, claims)
    if user is None:
        raise SessionEnded
    # Where Flask-JWT-Extended's own ``current_user`` and ``get_jwt()`` look.
    g._jwt_extended_jwt, g._jwt_extended_jwt_user = claims, Loaded(loaded_user=user)
    g._jwt_extended_jwt_location = "headers"
    return current_session()


def current_user() -> User:
    """Who asks. Inside a guarded view alone.

    It is not in ``db.session`` until it is changed there.
    """
    return current_session().user


def current_session() -> Session:
    """The session of who asks. Inside a guarded view alone."""
    return cast(Session, g.session)


def _keep_change(changed: User | Session, *_: object) -> None:
    session = g.get("session") if has_app_context() else None
    if session is not None and (changed is session or changed is session.user):
        attachment.join(changed)


def bearer_token() -> str:
    """The token that was sent as Bearer, of whatever kind. Raises ``NotAuthenticated``."""
    sent = [part.split(" ", 1) for part in _authorization_parts()]
    found = [rest[0] for scheme, *rest in sent if scheme == "Bearer" and rest]
    if len(found) != 1:
        raise _missing_token()
    return found[0]


# What a request may ask of its session and its user. Built once: this runs on every request.
OF_SESSION = [
    Session.id,
    Session.user_id,
    Session.generation,
    Session.expires_at,
    Session.ended_at,
]
OF_USER = list(User.__table__.columns)
SESSION_AND_USER = Prepared(
    select(*OF_SESSION, *OF_USER)
    .join(User, Session.user_id == User.id)
    .where(Session.id == bindparam("session_id"))
)


@jwt.user_lookup_loader
def load_attached_user(_header: dict[str, Any], claims: dict[str, Any]) -> User | None:
    """For ``jwt_required()``, whose ``current_user`` everybody expects in ``db.session``."""
    user = load_user_of_live_session({}, claims)
    return attached(user) if user else None


def load_user_of_live_session(_header: dict[str, Any], claims: dict[str, Any]) -> User | None:
    row = SESSION_AND_USER.row(session_id=UUID(claims["sid"]))
    # The connection is back in the pool before the view begins; the objects are detached.
    if row is None:
        return None
    user = from_row(User, OF_USER, row[len(OF_SESSION) :])
    session = from_row(Session, OF_SESSION, row[: len(OF_SESSION)], user=user)
    if not session.is_live or not session.user.is_active:
        return None
    if str(session.user_id) != claims["sub"]:
        return None
    if session.generation != tokens.generation_of(claims):
        # From before a change of the password.
        return None
    g.session = session
    return session.user


@jwt.token_verification_loader
def is_access_token(_header: dict[str, Any], claims: dict[str, Any]) -> bool:
    """Flask-JWT-Extended takes any type but ``refresh`` for an access token."""
    return bool(claims["type"] == "access")


# Flask-JWT-Extended words its refusals in its own way; these make it use ours.


@jwt.unauthorized_loader
def _no_token(_reason: str) -> Any:
    return as_response(_missing_token())


def _missing_token() -> InvalidToken | NotAuthenticated:
    """Two tokens are one too many; another scheme is none."""
    is_bearer = any(part.split(" ", 1)[0] == "Bearer" for part in _authorization_parts())
    return InvalidToken() if is_bearer else NotAuthenticated()


def _authorization_parts() -> list[str]:
    """The header as ``canonicalize_authorization`` left it."""
    return [part for part in request.headers.get("Authorization", "").split(", ") if part]


def _answer(error: type[AppError]) -> Callable[..., Any]:
    return lambda *_: as_response(error())


jwt.invalid_token_loader(_answer(InvalidToken))
jwt.expired_token_loader(_answer(TokenExpired))
jwt.needs_fresh_token_loader(_answer(FreshTokenRequired))
jwt.revoked_token_loader(_answer(SessionEnded))
jwt.user_lookup_error_loader(_answer(SessionEnded))
jwt.token_verification_failed_loader(_answer(InvalidToken))


def canonicalize_authorization() -> None:
    """Write the header as Flask-JWT-Extended reads it.

    The scheme is case-insensitive (RFC 9110 §11.1), and the library knows
    ``Bearer`` alone; an empty element between commas makes it raise IndexError.
    """
    header = request.environ.get("HTTP_AUTHORIZATION")
    if header is None:
        return
    # What is white space beyond ASCII would part the scheme from the token as well.
    visible = header.encode("ascii", "replace").decode()
    parts = [part.strip() for part in visible.split(",") if part.strip()]
    for index, part in enumerate(parts):
        scheme, *rest = part.split(maxsplit=1)
        if scheme.lower() == "bearer":
            parts[index] = " ".join(["Bearer", *rest])
    request.environ["HTTP_AUTHORIZATION"] = ", ".join(parts)
