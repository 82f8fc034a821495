"""Changes to the credentials of an account, after which some things must end."""

from enum import StrEnum


class CredentialChange(StrEnum):
    """What happened to the credentials of an account, or to the account."""

    PASSWORD_CHANGED = "password_changed"  # noqa: S105 — a name
    # The same, where the user wants to keep the API keys.
    PASSWORD_CHANGED_KEYS_KEPT = "password_changed_keys_kept"  # noqa: S105 — a name
    PASSWORD_RESET = "password_reset"  # noqa: S105 — a name
    # A reset, or a provider that proves the address, where nobody had confirmed the address before.
    # A stranger may have made the account.
    MAILBOX_PROVED = "mailbox_proved"
    EMAIL_CHANGED = "email_changed"
    EMAIL_CHANGE_UNDONE = "email_change_undone"
    REPUDIATED = "repudiated"
    SHUT_OUT = "shut_out"
    CLOSED = "closed"
    LOGGED_OUT_EVERYWHERE = "logged_out_everywhere"
    FACTORS_CHANGED = "factors_changed"
