"""The mails about passwords."""

from typing import Unpack

from flask_babel import gettext as _

from app.mail.content import Content, link
from app.mail.messages import reasons
from app.mail.messages.notices import Occasion, notice, summary
from app.mail.wordings import message
from config import settings


@message("password_reset")
def password_reset(*, token: str, minutes: int) -> Content:
    return Content(
        _("Set a new password for %(product)s", product=settings.brand_name),
        (
            _(
                "Somebody, probably you, asked for a new password for your %(product)s account.",
                product=settings.brand_name,
            ),
            _("Set a new one here. The link works once, for %(minutes)d minutes.", minutes=minutes),
            _("If it was not you, do nothing: your password stays as it is."),
        ),
        _("Set a new password"),
        link("reset-password", token),
        reason=reasons.account_security(),
    )


@message("account_recovery")
def account_recovery(*, token: str, minutes: int) -> Content:
    return Content(
        _("Set a new password for %(product)s", product=settings.brand_name),
        (
            _(
                "You told us that somebody else used or changed your %(product)s account. So we "
                "signed out all devices, and the old password no longer works.",
                product=settings.brand_name,
            ),
            _("Set a new one here. The link works once, for %(minutes)d minutes.", minutes=minutes),
            _("If the link no longer works, ask for another one where you log in."),
        ),
        _("Set a new password"),
        link("reset-password", token),
        reason=reasons.account_security(),
    )


@message("password_changed")
def password_changed(**occasion: Unpack[Occasion]) -> Content:
    return notice(
        _("Your password was changed"),
        _("The password of your account was changed, and other devices were signed out."),
        occasion,
    )


@message("many_password_changes")
def many_password_changes(**occasion: Unpack[Occasion]) -> Content:
    return summary(
        _("Your password was changed many times"),
        _("The password of your account was changed more than three times within an hour."),
        occasion,
    )
