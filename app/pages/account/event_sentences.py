"""What happened to an account, as sentences for its owner.

``%(origin)s`` is where it came from: " from 203.0.113.7 with Firefox on Linux".
Events of features have a sentence of their own, in ``declare``.
"""

from collections.abc import Mapping
from typing import Any

from flask_babel import gettext

from app.audit import vocabulary
from app.audit.schemas import ActivitySchema
from app.audit.vocabulary import Event
from app.models import AuditEvent
from app.pages import words
from app.pages.forms import label_of
from app.security import devices

SENTENCES: dict[str, str] = {
    Event.LOGIN_SUCCEEDED: "You logged in%(origin)s.",
    Event.LOGIN_FAILED: "A login failed%(origin)s.",
    Event.LOGGED_OUT: "You logged out%(origin)s.",
    Event.SESSION_ENDED: "You signed out a device%(origin)s.",
    Event.REFRESH_RETRIED: (
        "A device renewed its login twice%(origin)s. This happens when a connection breaks."
    ),
    Event.REFRESH_RETRIED_LATE: (
        "A device renewed its login again after a while%(origin)s. "
        "This happens when an app was closed in that moment."
    ),
    Event.REFRESH_TOKEN_REUSED: (
        "A copy of an older login was used%(origin)s, so we signed that device out."
    ),
    Event.REAUTHENTICATED: "You confirmed that it is you%(origin)s.",
    Event.REAUTHENTICATION_FAILED: (
        "A wrong password was given on a device where you are logged in%(origin)s."
    ),
    Event.USER_REGISTERED: "You registered%(origin)s.",
    Event.EMAIL_VERIFIED: "Your email address was confirmed%(origin)s.",
    Event.EMAIL_CHANGE_ASKED: ("You asked to change your email address to %(address)s%(origin)s."),
    Event.EMAIL_CHANGE_WITHDRAWN: "You stopped the change of your email address%(origin)s.",
    Event.EMAIL_CHANGED: "Your email address was changed to %(address)s%(origin)s.",
    Event.EMAIL_CHANGE_UNDONE: (
        "The change of your email address was undone%(origin)s. Your password was removed, and "
        "all devices were signed out."
    ),
    Event.EMAIL_TAKEN_BACK: "An account that had your email address before took it back.",
    Event.PASSWORD_CHANGED: "You changed your password%(origin)s.",
    Event.PASSWORD_RESET_ASKED: "A link for a new password was asked for%(origin)s.",
    Event.PASSWORD_RESET: "A new password was set with a mailed link%(origin)s.",
    Event.ACCOUNT_REPUDIATED: (
        "A link “This wasn't me” was used%(origin)s. Your password was removed, and all devices "
        "were signed out."
    ),
    Event.DELETION_ASKED: "You asked to delete your account%(origin)s.",
    Event.DELETION_CALLED_OFF: "You logged in again%(origin)s, so your account is kept.",
    Event.USER_CREATED: "An administrator made your account.",
    Event.USER_UPDATED: "You changed your profile%(origin)s: %(fields)s.",
    Event.USER_PROMOTED: "Your account got all rights.",
    Event.USER_DEMOTED: "Your account no longer has all rights.",
    Event.USER_ACTIVATED: "Your account was activated.",
    Event.USER_DEACTIVATED: "Your account was deactivated, and all devices were signed out.",
    Event.USER_UNLOCKED: "Your account was unlocked after too many failed logins.",
    Event.SESSIONS_ENDED: "An administrator signed out all your devices.",
    Event.MAIL_RETRIED: "An administrator tried again to deliver a mail to you.",
    Event.MAIL_DROPPED: "An administrator deleted a mail to you.",
    Event.ROLES_CHANGED: "Your roles were changed. Now they are: %(roles)s.",
}
# Where a detail of the event decides the sentence.
BY_DETAIL: dict[tuple[str, str, Any], str] = {
    (Event.LOGIN_SUCCEEDED, "is_new_device", True): "You logged in on a new device%(origin)s.",
    (Event.LOGIN_FAILED, "reason", "wrong_password"): "A wrong password was given%(origin)s.",
    (Event.LOGIN_FAILED, "reason", "wrong_passkey"): "A passkey was refused%(origin)s.",
    (Event.LOGIN_FAILED, "reason", "inactive"): (
        "A login was refused, because the account was deactivated%(origin)s."
    ),
    (Event.LOGIN_FAILED, "reason", "email_not_verified"): (
        "A login was refused, because the email address was not confirmed%(origin)s."
    ),
    (Event.LOGGED_OUT, "scope", "others"): "You signed out all other devices%(origin)s.",
    (Event.LOGGED_OUT, "scope", "global"): "You signed out all devices%(origin)s.",
    (Event.PASSWORD_RESET, "by", "invitation"): (
        "The invitation was accepted, and the first password was set%(origin)s."
    ),
    (Event.PASSWORD_RESET, "by", "operator"): "An administrator set a new password.",
}
# Where the owner did not do it.
BY_OTHERS: dict[str, str] = {
    Event.SESSION_ENDED: "An administrator signed out one of your devices.",
    Event.DELETION_CALLED_OFF: "The deletion of your account was called off.",
    Event.USER_UPDATED: "An administrator changed your profile: %(fields)s.",
}
# These have no owner, or the account is gone when they are on record.
NEVER_SHOWN = frozenset(
    {
        Event.LOGIN_THROTTLED,
        Event.REGISTRATION_ATTEMPTED,
        Event.USER_DELETED,
        Event.USER_ERASED,
        Event.USERS_IMPORTED,
        Event.ROLE_CREATED,
        Event.ROLE_CHANGED,
        Event.ROLE_DELETED,
        Event.AUDIT_PRUNED,
        Event.AUDIT_EXPORTED,
    }
)

# It says what the owner may see: not from where an administrator acted.
_activity = ActivitySchema()


def sentence_of(event: AuditEvent) -> str:
    """The sentence for the owner of the account, in the language of the page."""
    seen = _activity.dump(event)
    pattern = _pattern(event.event, seen["details"], is_by_owner=seen["by_you"])
    if pattern is None:
        return str(gettext("This happened: %(name)s.", name=event.event.replace("_", " ")))
    values = _values(seen["details"])
    return str(gettext(pattern, origin=_origin(seen["ip"], seen["user_agent"]), **values))


def is_alarming(event: AuditEvent) -> bool:
    """Whether the owner should look twice."""
    known = vocabulary.declared().get(event.event)
    return known.is_alarming if known else event.event in vocabulary.ALARMING


def every_sentence() -> set[str]:
    """All sentences, for the check that each is translated."""
    of_features = {event.description for event in vocabulary.declared().values()}
    ours = {*SENTENCES.values(), *BY_DETAIL.values(), *BY_OTHERS.values()}
    return ours | (of_features - {""})


def _pattern(name: str, details: Mapping[str, Any], *, is_by_owner: bool) -> str | None:
    if not is_by_owner and name in BY_OTHERS:
        return BY_OTHERS[name]
    for detail, value in details.items():
        if isinstance(value, str | bool) and (name, detail, value) in BY_DETAIL:
            return BY_DETAIL[name, detail, value]
    if name in SENTENCES:
        return SENTENCES[name]
    of_feature = vocabulary.declared().get(name)
    return of_feature.description or None if of_feature else None


def _values(details: Mapping[str, Any]) -> dict[str, str]:
    address = details.get("email")
    if isinstance(address, dict):
        address = address.get("to")
    fields = [label_of(name) for name in details.get("fields", [])]
    roles = details.get("roles")
    names = roles.get("to", []) if isinstance(roles, dict) else []
    return {
        "address": address or gettext("another one"),
        "fields": words.listed(fields) if fields else gettext("nothing"),
        "roles": words.listed(names) if names else gettext("none"),
    }


def _origin(ip: str | None, user_agent: str | None) -> str:
    device = words.device_of(user_agent) if devices.name(user_agent) != devices.UNKNOWN else ""
    if ip and device:
        return str(gettext(" from %(ip)s with %(device)s", ip=ip, device=device))
    if ip:
        return str(gettext(" from %(ip)s", ip=ip))
    return str(gettext(" with %(device)s", device=device)) if device else ""
