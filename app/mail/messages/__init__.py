"""The words of the mails: one function for each message, in the current language.

The words are chosen when a mail is delivered, from text and numbers that were
kept in the outbox.
"""

from app.mail.messages.accounts import (
    account_exists,
    deletion_asked,
    invitation,
    many_deletions_asked,
    verify_email,
)
from app.mail.messages.addresses import (
    address_in_use,
    confirm_email_change,
    email_change_asked,
    many_email_changes_asked,
)
from app.mail.messages.logins import (
    many_new_devices,
    many_refresh_tokens_reused,
    new_device,
    refresh_token_reused,
)
from app.mail.messages.passwords import (
    account_recovery,
    many_password_changes,
    password_changed,
    password_reset,
)

__all__ = [
    "account_exists",
    "account_recovery",
    "address_in_use",
    "confirm_email_change",
    "deletion_asked",
    "email_change_asked",
    "invitation",
    "many_deletions_asked",
    "many_email_changes_asked",
    "many_new_devices",
    "many_password_changes",
    "many_refresh_tokens_reused",
    "new_device",
    "password_changed",
    "password_reset",
    "refresh_token_reused",
    "verify_email",
]
