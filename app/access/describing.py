"""What the guards write into the OpenAPI document."""

from app.access.key_rules import Keys
from app.access.permissions import Permission
from app.access.rescues import PasswordResetRequired
from app.access.scopes import Scope
from app.errors import (
    FreshTokenRequired,
    InvalidToken,
    KeyNotAllowed,
    MfaEnrollmentRequired,
    NotAuthenticated,
    NotEnoughPermissions,
    SessionEnded,
    TokenExpired,
)
from app.http.blueprint import BY_COOKIE, Decorator, View, documentation_of, refuses

# How the document says that an API key may make the call.
BY_KEY: dict[str, list[str]] = {"api_key": []}

# How somebody who lacks a permission may be refused.
WITHOUT = (NotEnoughPermissions, FreshTokenRequired)

# How somebody is refused whose login is not recent, or who must set a new password first.
STALE = (FreshTokenRequired, PasswordResetRequired)


def documents_permission(permission: Permission) -> Decorator:
    def decorate(view: View) -> View:
        manual = documentation_of(view).setdefault("manual_doc", {})
        manual["x-permission"] = str(permission)
        return refuses(*WITHOUT)(view)

    return decorate


def documents_access_token(*others: dict[str, list[str]]) -> Decorator:
    """Say in the OpenAPI document that the view reads an access token or a cookie, or another."""

    def decorate(view: View) -> View:
        manual = documentation_of(view).setdefault("manual_doc", {})
        manual["security"] = [{"access_token": []}, {"login_form": []}, BY_COOKIE, *others]
        return refuses(
            NotAuthenticated, InvalidToken, TokenExpired, SessionEnded, MfaEnrollmentRequired
        )(view)

    return decorate


def documents_keys(keys: Keys | None) -> Decorator:
    def decorate(view: View) -> View:
        if isinstance(keys, Scope):
            documentation_of(view).setdefault("manual_doc", {})["x-scope"] = keys.name
            return refuses(KeyNotAllowed, NotEnoughPermissions)(view)
        return refuses(KeyNotAllowed)(view)

    return decorate
