"""What pages call the fields, and what they say about refusals."""

from collections.abc import Sequence
from datetime import timedelta

from babel.lists import format_list
from flask_babel import format_timedelta, get_locale, gettext

from app.errors import AppError, RateLimited
from app.security import devices

# The catalogue of translations holds each of these, as tests/pages/test_words.py checks.
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
    "remember_device": "Do not ask for a code on this device again",
}

# For people, where the sentence of the API is for programs.
SENTENCES = {
    "overloaded": "Too many people are logging in at this moment. Try again in a few seconds.",
    "inactive_user": "This account is deactivated.",
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
        wait = format_timedelta(timedelta(seconds=refusal.retry_after), threshold=1)
        return str(gettext("Too many attempts. Try again in %(wait)s.", wait=wait))
    if "tries_left" in refusal.members:
        left = refusal.members["tries_left"]
        return str(gettext("This code is wrong. Tries left: %(left)d.", left=left))
    return str(gettext(SENTENCES.get(refusal.code, refusal.detail)))


def listed(items: Sequence[str]) -> str:
    """The items in one line: "one, two, and three"."""
    return format_list(items, locale=get_locale())


def device_of(user_agent: str | None) -> str:
    """A name for the device: "Firefox on Linux"."""
    name = devices.name(user_agent)
    program, on, system = name.partition(" on ")
    if on:
        return str(gettext("%(program)s on %(system)s", program=program, system=system))
    return str(gettext("Unknown device")) if name == devices.UNKNOWN else name
