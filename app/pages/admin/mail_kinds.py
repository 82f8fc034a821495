"""What the kinds of mails are called: by their subjects, where these are the same for everybody."""

from flask_babel import gettext

from config import settings

SUBJECTS = {
    "account_exists": "You have an account at %(product)s already",
    "account_recovery": "Set a new password for %(product)s",
    "address_in_use": "Your email address is in use already",
    "confirm_email_change": "Confirm your new email address for %(product)s",
    "deletion_asked": "Your account will be deleted",
    "email_change_asked": "Your email address is about to change",
    "factor_added": "A second factor was added to your account",
    "factor_removed": "A second factor was removed from your account",
    "few_recovery_codes_left": "You have few recovery codes left",
    "key_made": "An API key was made for your account",
    "key_reported": "An API key of your account was revoked",
    "key_rotated": "An API key of your account was replaced",
    "key_widened": "An API key of your account works from more networks",
    "keys_end_soon": "An API key of your account ends soon",
    "many_deletions_asked": "Somebody asked many times to delete your account",
    "many_email_changes_asked": "Your email address is about to change",
    "many_factor_changes": "Your second factors were changed or used many times",
    "many_identity_changes": "The ways to log in to your account were changed many times",
    "many_key_changes": "The API keys of your account were changed many times",
    "many_new_devices": "Many new devices logged in to your account",
    "many_password_changes": "Your password was changed many times",
    "many_refresh_tokens_reused": "Many devices were signed out for your safety",
    "new_device": "A new device logged in to your account",
    "passkey_copied": "A passkey of your account may have been copied",
    "password_changed": "Your password was changed",
    "password_reset": "Set a new password for %(product)s",
    "password_set": "Your account has a password now",
    "recovery_code_used": "A recovery code of your account was used",
    "recovery_codes_made": "New recovery codes were made for your account",
    "refresh_token_reused": "A device was signed out for your safety",
    "second_step_switched_off": "The second step of your logins was switched off",
    "verify_email": "Confirm your email address for %(product)s",
    "wrong_codes": "Somebody may know your password",
}


def subject_of(kind: str) -> str:
    """The subject of the mails of a kind. It is empty where each mail has its own."""
    subject = SUBJECTS.get(kind)
    return str(gettext(subject, product=settings.brand_name)) if subject else ""
