"""The mails about linked identities."""

from typing import Unpack

from flask_babel import gettext as _

from app.auth.notices import summarize
from app.mail.content import Content
from app.mail.messages.notices import Occasion, notice, summary
from app.mail.wordings import message


@message("identity_linked")
def identity_linked(*, provider: str, **occasion: Unpack[Occasion]) -> Content:
    """It quotes no name from the provider: a stranger may have chosen it."""
    return notice(
        _("An account of %(provider)s can log in to your account", provider=provider),
        _(
            "Somebody, probably you, linked an account of %(provider)s with your account. It can "
            "be used to log in.",
            provider=provider,
        ),
        occasion,
        not_me=_not_me(),
    )


@message("identity_unlinked")
def identity_unlinked(*, provider: str, **occasion: Unpack[Occasion]) -> Content:
    return notice(
        _("An account of %(provider)s was unlinked from your account", provider=provider),
        _(
            "Somebody, probably you, unlinked an account of %(provider)s from your account. It "
            "cannot be used to log in any more.",
            provider=provider,
        ),
        occasion,
        not_me=_not_me(),
    )


@message("signed_in_with_new_identity")
def signed_in_with_new_identity(*, provider: str, **occasion: Unpack[Occasion]) -> Content:
    return notice(
        _("Somebody logged in to your account with %(provider)s", provider=provider),
        _(
            "Somebody, probably you, logged in to your account with %(provider)s for the first "
            "time. %(provider)s says that your email address belongs to that person, so the two "
            "accounts are linked now.",
            provider=provider,
        ),
        occasion,
        not_me=_not_me(),
    )


@message("password_set")
def password_set(**occasion: Unpack[Occasion]) -> Content:
    return notice(
        _("Your account has a password now"),
        _("Somebody, probably you, set a password for your account, which had none."),
        occasion,
        not_me=_not_me(),
    )


@message("many_identity_changes")
def many_identity_changes(**occasion: Unpack[Occasion]) -> Content:
    return summary(
        _("The ways to log in to your account were changed many times"),
        _(
            "More than three times within an hour, accounts of other providers were linked with "
            "your account or unlinked from it."
        ),
        occasion,
        not_me=_not_me(),
    )


ALL = (
    identity_linked,
    identity_unlinked,
    signed_in_with_new_identity,
    password_set,
    many_identity_changes,
)
for each in (identity_linked, identity_unlinked, signed_in_with_new_identity, password_set):
    summarize(each, by=many_identity_changes)


def _not_me() -> str:
    """The sentence that says what the link does, also to linked accounts."""
    sentence: str = _(
        "If it was not you, use the link within 7 days: it signs all devices out, unlinks the "
        "accounts of other providers that were linked in the last 7 days, and sends you another "
        "link to set a new password."
    )
    return sentence
