"""What happened to an account, as sentences for administrators."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from flask_babel import gettext
from sqlalchemy import select

from app.audit.vocabulary import Event
from app.extensions import db
from app.models import AuditEvent, User
from app.pages import words
from app.pages.account.event_sentences import is_alarming
from app.security import devices

SENTENCES: dict[str, str] = {
    Event.LOGIN_SUCCEEDED: "Logged in.",
    Event.LOGIN_FAILED: "A login failed.",
    Event.LOGGED_OUT: "Logged out.",
    Event.SESSION_ENDED: "A device was signed out.",
    Event.REFRESH_RETRIED: "A device renewed its login twice.",
    Event.REFRESH_RETRIED_LATE: "A device renewed its login twice, the second time late.",
    Event.REFRESH_TOKEN_REUSED: "A copy of an older login was used, so the device was signed out.",
    Event.REAUTHENTICATED: "Gave the password or a code again.",
    Event.REAUTHENTICATION_FAILED: "A wrong password or code was given on a signed-in device.",
    Event.USER_REGISTERED: "Registered.",
    Event.EMAIL_VERIFIED: "The email address was confirmed.",
    Event.EMAIL_CHANGE_ASKED: "A change of the email address was asked for.",
    Event.EMAIL_CHANGE_WITHDRAWN: "The change of the email address was stopped.",
    Event.EMAIL_CHANGED: "The email address was changed.",
    Event.EMAIL_CHANGE_UNDONE: "The change of the email address was undone.",
    Event.EMAIL_TAKEN_BACK: "The email address was taken back by an account that had it before.",
    Event.PASSWORD_CHANGED: "The password was changed.",
    Event.PASSWORD_RESET_ASKED: "A link for a new password was mailed.",
    Event.PASSWORD_RESET: "A new password was set with a mailed link.",
    Event.ACCOUNT_REPUDIATED: "A link “This wasn't me” was used.",
    Event.DELETION_ASKED: "The owner asked to delete the account.",
    Event.DELETION_CALLED_OFF: "The deletion of the account was called off.",
    Event.USER_CREATED: "The account was made.",
    Event.USER_UPDATED: "The profile was changed.",
    Event.USER_PROMOTED: "The account became a superuser.",
    Event.USER_DEMOTED: "The account is no longer a superuser.",
    Event.USER_ACTIVATED: "The account was activated.",
    Event.USER_DEACTIVATED: "The account was deactivated.",
    Event.USER_UNLOCKED: "The failed logins were forgotten.",
    Event.SESSIONS_ENDED: "All devices were signed out.",
    Event.ROLES_CHANGED: "The roles were changed.",
    Event.MAIL_RETRIED: "A mail to the account was tried again.",
    Event.MAIL_DROPPED: "A mail to the account was deleted from the outbox.",
    # Of optional features.
    "factor_added": "A second factor was added.",
    "factor_removed": "A second factor was removed.",
    "factor_failed": "A wrong code or passkey was given as the second step.",
    "factors_reset": "All second factors were removed.",
    "second_step_changed": "The second step was turned on or off.",
    "recovery_codes_made": "New recovery codes were made.",
    "recovery_code_used": "A recovery code was used.",
}


@dataclass(frozen=True)
class Happening:
    """An event as the page shows it."""

    at: datetime
    sentence: str
    # The username of the administrator who did it, or nothing.
    actor: str
    ip: str | None
    device: str
    is_alarming: bool


def described(events: Sequence[AuditEvent]) -> list[Happening]:
    """The events in the language of the page."""
    actors = _actors_of(events)
    return [_described(event, actors) for event in events]


def _described(event: AuditEvent, actors: Mapping[int, str]) -> Happening:
    actor = ""
    if event.actor_id is not None and event.actor_id != event.subject_id:
        # The account of the actor may be erased by now.
        actor = actors.get(event.actor_id, str(event.actor_id))
    is_known = devices.name(event.user_agent) != devices.UNKNOWN
    return Happening(
        at=event.at,
        sentence=_sentence_of(event.event),
        actor=actor,
        ip=event.ip,
        device=words.device_of(event.user_agent) if is_known else "",
        is_alarming=is_alarming(event),
    )


def _sentence_of(name: str) -> str:
    if name in SENTENCES:
        return str(gettext(SENTENCES[name]))
    return str(gettext("This happened: %(name)s.", name=name.replace("_", " ")))


def _actors_of(events: Sequence[AuditEvent]) -> dict[int, str]:
    """Id → username of those who did something to another account."""
    ids = {event.actor_id for event in events if event.actor_id != event.subject_id} - {None}
    if not ids:
        return {}
    rows = db.session.execute(select(User.id, User.username).where(User.id.in_(ids)))
    return {row.id: row.username for row in rows}
