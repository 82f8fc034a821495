"""What pages call the fields, and what they say about refusals."""

from collections.abc import Sequence
from datetime import timedelta

from flask_babel import gettext

from app.errors import AppError, RateLimited
from app.pages import times
from app.security import devices

# The catalogue of translations holds each of these, as tests/mail/test_messages.py checks.
LABELS = {
    "username": "Username",
    "login": "Email address or username",
    "password": "Password",
    "current_password": "Current password",
    "new_password": "New password",
    "full_name": "Full name",
    "bio": "About you",
    "avatar_url": "Address of a picture of you",
    "locale": "Language",
    "email": "Email address",
    "new_email": "New email address",
    "otp": "Code from your authenticator app",
    "recovery_code": "Recovery code",
    "token": "Link from the mail",
    "remember": "Stay signed in on this device",
    "name": "Name",
    "credential": "Passkey",
    "is_superuser": "Superuser",
    "role": "Role",
    "description": "Description",
    "require_mfa": "Only with a second factor",
    "permissions": "Permissions",
    "subject": "About this person",
    "actor": "Done by this person",
    "event": "Event",
    "since": "From this time (UTC)",
    "until": "Before this time (UTC)",
    "sealed_since": "Sealed on this day (UTC) or later",
    "ip": "Network address",
    "request_id": "Request",
    "scopes": "What the key may do",
    "expires_in_days": "Works for",
    "networks": "Networks",
    "overlap_seconds": "The old key goes on for",
    "keep_keys": "Keep my API keys",
    "remember_device": "Do not ask for a code on this device again",
}

# For people, where the sentence of the API is for programs.
SENTENCES = {
    "precondition_failed": "Somebody has changed this since you opened the page. Open it again.",
    "overloaded": "Too many people are logging in at this moment. Try again in a few seconds.",
    "inactive_user": "This account is deactivated.",
    "too_many_keys": "You have as many API keys as one may have. Revoke one first.",
    "ceremony_invalid": "This took too long. Try again.",
    "no_factor": "Set up an authenticator app or add a passkey first.",
    "factor_exists": "You have an authenticator app already. Remove it first.",
    "factor_required": "Your account must have a second factor, so this one cannot be removed.",
    "wrong_factor": "This code is wrong.",
    "invalid_link": "This link does not work any more. Each works once, for a limited time.",
}


def of(refusal: AppError, field: str = "") -> str:
    """The sentence for a person whose form was refused, beside the field if there is one."""
    if field == "credential":
        return str(gettext("This passkey is not accepted."))
    if isinstance(refusal, RateLimited):
        wait = times.span(timedelta(seconds=refusal.retry_after))
        return str(gettext("Too many attempts. Try again in %(wait)s.", wait=wait))
    if "tries_left" in refusal.members:
        left = refusal.members["tries_left"]
        return str(gettext("This code is wrong. Tries left: %(left)d.", left=left))
    return str(gettext(SENTENCES.get(refusal.code, refusal.detail)))


def listed(items: Sequence[str]) -> str:
    """The items in one line: "one, two and three"."""
    *first, last = items
    if not first:
        return last
    separator = str(gettext(", "))
    return str(gettext("%(first)s and %(last)s", first=separator.join(first), last=last))


def device_of(user_agent: str | None) -> str:
    """A name for the device: "Firefox on Linux"."""
    name = devices.name(user_agent)
    program, on, system = name.partition(" on ")
    if on:
        return str(gettext("%(program)s on %(system)s", program=program, system=system))
    return str(gettext("Unknown device")) if name == devices.UNKNOWN else name
