"""What happened, as sentences for administrators: "grace deactivated ada.".

The names are usernames, as links. A full name may be that of another person.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask_babel import gettext
from markupsafe import Markup, escape

from app.access.permissions import USERS_READ, Rights
from app.administration import directory
from app.audit.vocabulary import Event
from app.models import AuditEvent
from app.pages import words
from app.pages.account.event_sentences import is_alarming
from app.pages.page import url
from app.security import devices

# What is said if nothing below fits better. Some of it was done by the subject.
SENTENCES: dict[str, str] = {
    Event.LOGIN_SUCCEEDED: "%(subject)s logged in.",
    Event.LOGIN_FAILED: "A login of %(subject)s failed.",
    Event.LOGIN_THROTTLED: "A login was refused, because there were too many.",
    Event.LOGGED_OUT: "%(subject)s logged out.",
    Event.SESSION_ENDED: "%(subject)s signed out a device.",
    Event.REFRESH_RETRIED: "A device of %(subject)s renewed its login twice.",
    Event.REFRESH_RETRIED_LATE: "A device of %(subject)s renewed its login again, and late.",
    Event.REFRESH_TOKEN_REUSED: (
        "A copy of an older login of %(subject)s was used, so that device was signed out."
    ),
    Event.REAUTHENTICATED: "%(subject)s gave the password or a code again.",
    Event.REAUTHENTICATION_FAILED: (
        "A wrong password or code was given on a signed-in device of %(subject)s."
    ),
    Event.USER_REGISTERED: "%(subject)s registered.",
    Event.REGISTRATION_ATTEMPTED: "Somebody tried to register with an address that is taken.",
    Event.EMAIL_VERIFIED: "The email address of %(subject)s was confirmed.",
    Event.EMAIL_CHANGE_ASKED: "%(subject)s asked to change the email address.",
    Event.EMAIL_CHANGE_WITHDRAWN: "%(subject)s stopped the change of the email address.",
    Event.EMAIL_CHANGED: "The email address of %(subject)s was changed.",
    Event.EMAIL_CHANGE_UNDONE: "The change of the email address of %(subject)s was undone.",
    Event.EMAIL_TAKEN_BACK: (
        "The email address of %(subject)s was taken back by an account that had it before."
    ),
    Event.PASSWORD_CHANGED: "%(subject)s changed the password.",
    Event.PASSWORD_RESET_ASKED: "A link for a new password was mailed to %(subject)s.",
    Event.PASSWORD_RESET: "A new password was set for %(subject)s with a mailed link.",
    Event.ACCOUNT_REPUDIATED: "A link “This wasn't me” of %(subject)s was used.",
    Event.DELETION_ASKED: "%(subject)s asked to delete the account.",
    Event.DELETION_CALLED_OFF: "The deletion of %(subject)s was called off.",
    Event.USER_CREATED: "The account of %(subject)s was made.",
    Event.USER_UPDATED: "%(subject)s changed the profile.",
    Event.USER_DELETED: "The account of %(subject)s was deleted.",
    Event.USER_PROMOTED: "%(subject)s became a superuser.",
    Event.USER_DEMOTED: "%(subject)s is no longer a superuser.",
    Event.USER_ACTIVATED: "The account of %(subject)s was activated.",
    Event.USER_DEACTIVATED: "The account of %(subject)s was deactivated.",
    Event.USER_UNLOCKED: "%(subject)s may try to log in again after too many failures.",
    Event.SESSIONS_ENDED: "%(subject)s was signed out everywhere.",
    Event.ROLES_CHANGED: "The roles of %(subject)s were changed. Now they are: %(roles)s.",
    Event.MAIL_RETRIED: "A mail to %(subject)s was tried again.",
    Event.MAIL_DROPPED: "A mail to %(subject)s was deleted from the outbox.",
    Event.USER_ERASED: "Everything about %(subject)s was erased.",
    Event.USERS_IMPORTED: "%(actor)s imported accounts.",
    Event.ROLE_CREATED: "%(actor)s made the role %(role)s.",
    Event.ROLE_CHANGED: "%(actor)s changed the role %(role)s.",
    Event.ROLE_DELETED: "%(actor)s deleted the role %(role)s.",
    Event.AUDIT_PRUNED: "Old events were deleted from the audit log.",
    Event.AUDIT_EXPORTED: "%(actor)s exported the audit log.",
    # Of optional features.
    "factor_added": "%(subject)s added a second factor.",
    "factor_removed": "%(subject)s removed a second factor.",
    "factor_failed": "A wrong code or passkey was given as the second step of %(subject)s.",
    "factors_reset": "All second factors of %(subject)s were removed.",
    "second_step_changed": "%(subject)s turned the second step on or off.",
    "recovery_codes_made": "%(subject)s made new recovery codes.",
    "recovery_code_used": "A recovery code of %(subject)s was used.",
    "device_remembered": "%(subject)s had a device remembered.",
    "device_forgotten": "Remembered devices of %(subject)s were forgotten.",
    "passkey_copied": (
        "A passkey of %(subject)s was refused, because there may be a copy of its key."
    ),
    "key_made": "%(subject)s made an API key.",
    "key_changed": "%(subject)s changed an API key.",
    "key_rotated": "%(subject)s replaced an API key.",
    "key_revoked": "%(subject)s revoked an API key.",
    "key_reported": "Somebody who had an API key of %(subject)s revoked it.",
    "keys_ended": "All API keys of %(subject)s ended.",
    "identity_linked": "%(subject)s linked an account of another provider.",
    "identity_unlinked": "%(subject)s unlinked an account of another provider.",
    "identities_removed": "Linked accounts of other providers were removed from %(subject)s.",
    "account_emptied": "The owner of the address took over %(subject)s and its credentials ended.",
    "password_set": "%(subject)s set a first password.",
}
# Where an administrator did it, or an operator with a command.
BY_ANOTHER: dict[str, str] = {
    Event.SESSION_ENDED: "%(actor)s signed out a device of %(subject)s.",
    Event.EMAIL_VERIFIED: "%(actor)s counted the email address of %(subject)s as confirmed.",
    Event.EMAIL_CHANGED: "%(actor)s changed the email address of %(subject)s.",
    Event.PASSWORD_RESET_ASKED: "%(actor)s sent %(subject)s a link for a new password.",
    Event.PASSWORD_RESET: "%(actor)s set a new password for %(subject)s.",
    Event.DELETION_CALLED_OFF: "%(actor)s called off the deletion of %(subject)s.",
    Event.USER_CREATED: "%(actor)s made the account of %(subject)s.",
    Event.USER_UPDATED: "%(actor)s changed the profile of %(subject)s.",
    Event.USER_DELETED: "%(actor)s deleted the account of %(subject)s.",
    Event.USER_PROMOTED: "%(actor)s made %(subject)s a superuser.",
    Event.USER_DEMOTED: "%(actor)s made %(subject)s an ordinary user.",
    Event.USER_ACTIVATED: "%(actor)s activated %(subject)s.",
    Event.USER_DEACTIVATED: "%(actor)s deactivated %(subject)s.",
    Event.USER_UNLOCKED: "%(actor)s let %(subject)s log in again after too many failures.",
    Event.SESSIONS_ENDED: "%(actor)s signed %(subject)s out everywhere.",
    Event.ROLES_CHANGED: "%(actor)s changed the roles of %(subject)s. Now they are: %(roles)s.",
    Event.MAIL_RETRIED: "%(actor)s let a mail to %(subject)s be tried again.",
    Event.MAIL_DROPPED: "%(actor)s deleted a mail to %(subject)s from the outbox.",
    "factors_reset": "%(actor)s removed all second factors of %(subject)s.",
    "key_revoked": "%(actor)s revoked an API key of %(subject)s.",
}
# Where a detail says more than the event.
BY_DETAIL: dict[tuple[str, str, Any], str] = {
    (Event.LOGIN_SUCCEEDED, "is_new_device", True): "%(subject)s logged in on a new device.",
    (Event.LOGIN_FAILED, "reason", "wrong_password"): "A wrong password was given for %(subject)s.",
    (Event.LOGIN_FAILED, "reason", "wrong_passkey"): "A passkey was refused at a login.",
    (Event.LOGIN_FAILED, "reason", "unknown_user"): (
        "Somebody tried to log in with a name that nobody has."
    ),
    (Event.LOGIN_FAILED, "reason", "inactive"): (
        "A login of %(subject)s was refused, because the account is deactivated."
    ),
    (Event.LOGIN_FAILED, "reason", "email_not_verified"): (
        "A login of %(subject)s was refused, because the email address is not confirmed."
    ),
    (Event.LOGIN_FAILED, "reason", "account_changed"): (
        "A login of %(subject)s was refused, because the account changed at that moment."
    ),
    (Event.LOGGED_OUT, "scope", "others"): "%(subject)s signed out all other devices.",
    (Event.LOGGED_OUT, "scope", "global"): "%(subject)s signed out all devices.",
    (Event.PASSWORD_RESET_ASKED, "shown", "terminal"): (
        "%(actor)s printed a link for a new password of %(subject)s."
    ),
    (Event.PASSWORD_RESET, "by", "invitation"): (
        "%(subject)s accepted the invitation, and chose a password."
    ),
    (Event.USER_ERASED, "reason", "unconfirmed"): (
        "Everything about %(subject)s was erased, because nobody confirmed the address."
    ),
    (Event.USER_ERASED, "reason", "closed"): (
        "Everything about %(subject)s was erased, as the owner had asked."
    ),
    ("second_step_changed", "is_on", True): "%(subject)s turned the second step on.",
    ("second_step_changed", "is_on", False): "%(subject)s turned the second step off.",
}
# Where it happened to no single account.
OF_EVERYBODY: dict[str, str] = {
    Event.SESSIONS_ENDED: "%(actor)s signed everybody out.",
}
OTHERWISE = "This happened: %(name)s."
OTHERWISE_TO_SOMEBODY = "This happened to %(subject)s: %(name)s."

# The sentence says it, or only a program can use it.
LEFT_OUT = frozenset(
    {"via", "session_id", "device_id", "passkey_id", "key_id", "by_key", "hash", "last"}
)


@dataclass(frozen=True)
class Happening:
    """An event as the pages show it."""

    id: int
    at: datetime
    name: str
    sentence: Markup
    # Who did it, and to whom it happened: a name with its number, or nothing.
    actor: Markup
    subject: Markup
    ip: str | None
    device: str
    user_agent: str | None
    request_id: str | None
    # Details that a person may want to see at once, and all details.
    facts: Sequence[tuple[str, str]]
    details: Sequence[tuple[str, str]]
    is_alarming: bool


def described(events: Sequence[AuditEvent], rights: Rights) -> list[Happening]:
    """The events in the language of the page, with the names that these rights may see."""
    people = _People(events, rights)
    return [_described(event, people) for event in events]


def every_sentence() -> set[str]:
    """All sentences, for the check that each is translated."""
    tables = (SENTENCES, BY_ANOTHER, BY_DETAIL, OF_EVERYBODY)
    return {sentence for table in tables for sentence in table.values()}


class _People:
    """The accounts of some events by their present usernames, for those who may see accounts."""

    def __init__(self, events: Sequence[AuditEvent], rights: Rights) -> None:
        self._sees_names = rights.include(USERS_READ)
        ids = {id_ for event in events for id_ in (event.actor_id, event.subject_id) if id_}
        self._found = directory.by_ids(ids) if self._sees_names else {}

    def named(self, user_id: int, *, with_number: bool = False) -> Markup:
        if user := self._found.get(user_id):
            link = Markup('<a href="{}">{}</a>').format(
                url(f"/admin/users/{user_id}"), user.username
            )
            number = gettext("number %(id)d", id=user_id)
            return Markup("{} ({})").format(link, number) if with_number else link
        if self._sees_names:
            return escape(gettext("account %(id)d, which is deleted", id=user_id))
        return escape(gettext("account %(id)d", id=user_id))


def _described(event: AuditEvent, people: _People) -> Happening:
    is_known = devices.name(event.user_agent) != devices.UNKNOWN
    details = event.all_details
    return Happening(
        id=event.id,
        at=event.at,
        name=event.event,
        sentence=_sentence_of(event, people),
        actor=_beside_number(event.actor_id, people),
        subject=_beside_number(event.subject_id, people),
        ip=event.ip,
        device=words.device_of(event.user_agent) if is_known else "",
        user_agent=event.user_agent,
        request_id=event.request_id,
        facts=[(name, as_text(details[name])) for name in details if name not in LEFT_OUT],
        details=[(name, as_text(value)) for name, value in details.items()],
        is_alarming=is_alarming(event),
    )


def _beside_number(user_id: int | None, people: _People) -> Markup:
    return Markup() if user_id is None else people.named(user_id, with_number=True)


def _sentence_of(event: AuditEvent, people: _People) -> Markup:
    roles, role = event.details.get("roles"), event.details.get("role")
    names = roles.get("to") if isinstance(roles, dict) else None
    values = {
        "actor": _actor_of(event, people),
        "subject": people.named(event.subject_id)
        if event.subject_id
        else gettext("an unknown account"),
        "roles": words.listed(names) if names else gettext("none"),
        "role": role,
        "name": event.event.replace("_", " "),
    }
    # The names are links, and everything else is text.
    return escape(gettext(_pattern(event))) % values


def _pattern(event: AuditEvent) -> str:
    for detail, value in event.details.items():
        if isinstance(value, str | bool) and (event.event, detail, value) in BY_DETAIL:
            return BY_DETAIL[event.event, detail, value]
    if event.subject_id is None and event.event in OF_EVERYBODY:
        return OF_EVERYBODY[event.event]
    if _is_by_another(event) and event.event in BY_ANOTHER:
        return BY_ANOTHER[event.event]
    if event.event in SENTENCES:
        return SENTENCES[event.event]
    return OTHERWISE if event.subject_id is None else OTHERWISE_TO_SOMEBODY


def _is_by_another(event: AuditEvent) -> bool:
    is_by_operator = event.details.get("via") == "cli"
    return is_by_operator or event.actor_id not in (None, event.subject_id)


def _actor_of(event: AuditEvent, people: _People) -> Markup | str:
    if event.actor_id is not None:
        return people.named(event.actor_id)
    if event.details.get("via") == "cli":
        return str(gettext("An operator"))
    return str(gettext("Somebody"))


def as_text(value: Any) -> str:
    """A detail of an event for people: "users:read → users:read, users:write"."""
    match value:
        case str():
            return value
        case {"from": before, "to": after} if len(value) == 2:
            return f"{as_text(before)} → {as_text(after)}"
        case list():
            return ", ".join(map(as_text, value)) or "–"
        case None:
            return "–"
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
