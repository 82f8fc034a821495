"""The names of the events. An optional feature declares its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Event(StrEnum):
    """The names of the events in the audit log: a noun, and what happened to it.

    ``docs/audit.md`` says when each is recorded, and with which details.
    """

    # Logins, logouts and sessions
    LOGIN_SUCCEEDED = "login_succeeded"
    LOGIN_FAILED = "login_failed"
    LOGGED_OUT = "logged_out"
    SESSION_ENDED = "session_ended"
    REFRESH_RETRIED = "refresh_retried"
    REFRESH_RETRIED_LATE = "refresh_retried_late"
    REFRESH_TOKEN_REUSED = "refresh_token_reused"
    LOGIN_THROTTLED = "login_throttled"
    REAUTHENTICATED = "reauthenticated"
    REAUTHENTICATION_FAILED = "reauthentication_failed"

    # Things that people do with their own accounts
    USER_REGISTERED = "user_registered"
    REGISTRATION_ATTEMPTED = "registration_attempted"
    EMAIL_VERIFIED = "email_verified"
    EMAIL_CHANGE_ASKED = "email_change_asked"
    EMAIL_CHANGE_WITHDRAWN = "email_change_withdrawn"
    EMAIL_CHANGED = "email_changed"
    EMAIL_CHANGE_UNDONE = "email_change_undone"
    EMAIL_TAKEN_BACK = "email_taken_back"
    PASSWORD_CHANGED = "password_changed"
    PASSWORD_RESET_ASKED = "password_reset_asked"
    PASSWORD_RESET = "password_reset"
    ACCOUNT_REPUDIATED = "account_repudiated"
    DELETION_ASKED = "deletion_asked"
    DELETION_CALLED_OFF = "deletion_called_off"

    # Changes to users, by themselves or by administrators
    USER_CREATED = "user_created"
    USER_UPDATED = "user_updated"
    USER_DELETED = "user_deleted"
    USER_PROMOTED = "user_promoted"
    USER_DEMOTED = "user_demoted"
    USER_ACTIVATED = "user_activated"
    USER_DEACTIVATED = "user_deactivated"
    USER_UNLOCKED = "user_unlocked"
    SESSIONS_ENDED = "sessions_ended"
    ROLES_CHANGED = "roles_changed"
    USER_ERASED = "user_erased"

    # Mails in the outbox
    MAIL_RETRIED = "mail_retried"
    MAIL_DROPPED = "mail_dropped"

    # Many at once
    USERS_IMPORTED = "users_imported"

    # Roles, which do not belong to one user
    ROLE_CREATED = "role_created"
    ROLE_CHANGED = "role_changed"
    ROLE_DELETED = "role_deleted"

    # The log itself
    AUDIT_PRUNED = "audit_pruned"
    AUDIT_EXPORTED = "audit_exported"


# Events that should raise an alarm. They are logged as warnings; all others are normal.
ALARMING = frozenset(
    {
        Event.LOGIN_FAILED,
        Event.REAUTHENTICATION_FAILED,
        Event.REFRESH_TOKEN_REUSED,
        Event.ACCOUNT_REPUDIATED,
        Event.EMAIL_CHANGE_UNDONE,
    }
)

# The length of the column in the database.
MAX_NAME_LENGTH = 50


@dataclass(frozen=True)
class FeatureEvent:
    """An event of an optional feature.

    ``description`` is a sentence for the person to whom it happened. In it
    ``%(origin)s`` becomes " from 203.0.113.7 with Firefox on Linux".
    """

    value: str
    is_alarming: bool = False
    description: str = ""


AnyEvent = Event | FeatureEvent

_declared: dict[str, FeatureEvent] = {}


def declare(name: str, *, alarming: bool = False, description: str = "") -> FeatureEvent:
    """A new event of an optional feature. Its name is a noun, and what happened to it."""
    event = FeatureEvent(name, alarming, description)
    if name in set(Event) or _declared.setdefault(name, event) != event:
        raise ValueError(f"The event {name} is already declared.")
    if len(name) > MAX_NAME_LENGTH:
        raise ValueError(f"The name {name} has more than {MAX_NAME_LENGTH} characters.")
    return event


def names() -> list[str]:
    """The names of all events of this application."""
    return [event.value for event in Event] + sorted(_declared)


def declared() -> Mapping[str, FeatureEvent]:
    """The events of optional features, by their names."""
    return _declared


def alarming_names() -> list[str]:
    """The names of the events that should raise an alarm."""
    of_features = [event.value for event in _declared.values() if event.is_alarming]
    return [*sorted(ALARMING), *of_features]


def is_alarming(event: AnyEvent) -> bool:
    return event.is_alarming if isinstance(event, FeatureEvent) else event in ALARMING
