"""The mails about an account: a new one, an invitation, and its deletion."""

from typing import Unpack

from flask_babel import gettext as _

from app.mail import names
from app.mail.content import Content, link
from app.mail.messages import reasons
from app.mail.messages.notices import Occasion, notice, summary
from app.mail.wordings import message
from config import settings


@message("verify_email")
def verify_email(*, token: str) -> Content:
    return Content(
        _("Confirm your email address for %(product)s", product=settings.brand_name),
        (
            _(
                "Somebody, probably you, made an account at %(product)s with this email address.",
                product=settings.brand_name,
            ),
            _("Confirm that the address is yours. The link works for 24 hours."),
            _("If it was not you, do nothing: the account stays unconfirmed."),
        ),
        _("Confirm the address"),
        link("verify-email", token),
        reason=reasons.address_entered(),
    )


@message("account_exists")
def account_exists(*, token: str, minutes: int) -> Content:
    return Content(
        _("You have an account at %(product)s already", product=settings.brand_name),
        (
            _(
                "Somebody, probably you, wanted to make an account at %(product)s with this email "
                "address.",
                product=settings.brand_name,
            ),
            _("You have one already, so no new one was made. Log in to that account."),
            _(
                "If you forgot the password, set a new one here. The link works once, for "
                "%(minutes)d minutes.",
                minutes=minutes,
            ),
        ),
        _("Set a new password"),
        link("reset-password", token),
        reason=reasons.address_entered(),
    )


@message("invitation")
def invitation(*, token: str, inviter: str = "", inviter_email: str = "") -> Content:
    """Without an inviter it is from a version that did not store one, or from an operator."""
    product = settings.brand_name
    return Content(
        _("%(inviter)s invited you to %(product)s", inviter=inviter, product=product)
        if inviter
        else _("Your invitation to %(product)s", product=product),
        (
            _invited_by(f"{inviter} ({names.cut(inviter_email)})" if inviter_email else inviter),
            _(
                "To accept the invitation, choose a password. The link works once, for 3 days. "
                "After that, log in with your email address or your username."
            ),
            _(
                "If you do not want an account at %(product)s, do nothing: without a password "
                "nobody can log in to it.",
                product=product,
            ),
        ),
        _("Choose a password"),
        link("accept-invitation", token),
        reason=reasons.address_entered(),
    )


def _invited_by(inviter: str) -> str:
    sentence: str = (
        _(
            "%(inviter)s invited you to %(product)s and made an account for you there.",
            inviter=inviter,
            product=settings.brand_name,
        )
        if inviter
        else _(
            "You are invited to %(product)s, where an administrator made an account for you.",
            product=settings.brand_name,
        )
    )
    return sentence


@message("deletion_asked")
def deletion_asked(*, due: str, **occasion: Unpack[Occasion]) -> Content:
    return notice(
        _("Your account will be deleted"),
        _(
            "Somebody, probably you, asked to delete your account. It will be erased on %(due)s. "
            "To keep it, log in before then.",
            due=due,
        ),
        occasion,
    )


@message("many_deletions_asked")
def many_deletions_asked(**occasion: Unpack[Occasion]) -> Content:
    return summary(
        _("Somebody asked many times to delete your account"),
        _(
            "Somebody asked more than three times within an hour to delete your account. It will "
            "be erased. To keep it, log in."
        ),
        occasion,
    )
