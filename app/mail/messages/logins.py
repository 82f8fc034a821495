"""The mails about logins."""

from flask_babel import gettext as _

from app.mail.content import Content
from app.mail.messages.notices import notice, summary
from app.mail.wordings import message


@message("new_device")
def new_device(*, token: str, when: str, ip: str, device: str) -> Content:
    return notice(
        _("A new device logged in to your account"),
        _("Somebody, probably you, used your account on a device that is new to us."),
        token,
        when,
        ip,
        device,
    )


@message("many_new_devices")
def many_new_devices(*, token: str, when: str, ip: str, device: str) -> Content:
    return summary(
        _("Many new devices log in to your account"),
        _("More than three new devices logged in to your account within an hour."),
        token,
        when,
        ip,
        device,
    )


@message("refresh_token_reused")
def refresh_token_reused(*, token: str, when: str, ip: str, device: str) -> Content:
    return notice(
        _("A device was signed out for your safety"),
        _(
            "An old copy of one of your logins was used. The copy may have been stolen, so we "
            "ended this login. Log in again on your device."
        ),
        token,
        when,
        ip,
        device,
    )


@message("many_refresh_tokens_reused")
def many_refresh_tokens_reused(*, token: str, when: str, ip: str, device: str) -> Content:
    return summary(
        _("Many devices were signed out for your safety"),
        _(
            "Old copies of your logins were used more than three times within an hour. They may "
            "have been stolen, so we ended these logins. Log in again on your devices."
        ),
        token,
        when,
        ip,
        device,
    )
