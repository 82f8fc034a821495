"""The mails about logins."""

from typing import Unpack

from flask_babel import gettext as _

from app.mail.content import Content
from app.mail.messages.notices import Occasion, notice, summary
from app.mail.wordings import message


@message("new_device")
def new_device(**occasion: Unpack[Occasion]) -> Content:
    return notice(
        _("A new device logged in to your account"),
        _("Somebody, probably you, logged in to your account on a device that is new to us."),
        occasion,
    )


@message("many_new_devices")
def many_new_devices(**occasion: Unpack[Occasion]) -> Content:
    return summary(
        _("Many new devices logged in to your account"),
        _("More than three new devices logged in to your account within an hour."),
        occasion,
    )


@message("refresh_token_reused")
def refresh_token_reused(**occasion: Unpack[Occasion]) -> Content:
    return notice(
        _("A device was signed out for your safety"),
        _(
            "One of your logins was used in two places. Somebody may have copied it, so we ended "
            "it. Log in again on your device."
        ),
        occasion,
    )


@message("many_refresh_tokens_reused")
def many_refresh_tokens_reused(**occasion: Unpack[Occasion]) -> Content:
    return summary(
        _("Many devices were signed out for your safety"),
        _(
            "More than three times within an hour, one of your logins was used in two places. "
            "Somebody may have copied them, so we ended them. Log in again on your devices."
        ),
        occasion,
    )
