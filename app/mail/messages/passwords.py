"""The mails about passwords."""

from flask_babel import gettext as _

from app.mail.content import Content, link
from app.mail.messages.notices import notice, summary
from app.mail.wordings import message


@message("password_reset")
def password_reset(*, token: str, minutes: int) -> Content:
    return Content(
        _("Set a new password"),
        (
            _("Somebody, probably you, asked for a new password for your account."),
            _("Set a new one here. The link works once, for %(minutes)d minutes.", minutes=minutes),
            _("If it was not you, do nothing: your password stays as it is."),
        ),
        _("Set a new password"),
        link("reset-password", token),
    )


@message("account_recovery")
def account_recovery(*, token: str, minutes: int) -> Content:
    return Content(
        _("Set a new password"),
        (
            _(
                "You told us that somebody else used or changed your account. So we signed out "
                "all devices, and the old password no longer works."
            ),
            _("Set a new one here. The link works once, for %(minutes)d minutes.", minutes=minutes),
            _("If the link no longer works, ask for another one where you log in."),
        ),
        _("Set a new password"),
        link("reset-password", token),
    )


@message("password_changed")
def password_changed(*, token: str, when: str, ip: str, device: str) -> Content:
    return notice(
        _("Your password was changed"),
        _("The password of your account was changed, and other devices were signed out."),
        token,
        when,
        ip,
        device,
    )


@message("many_password_changes")
def many_password_changes(*, token: str, when: str, ip: str, device: str) -> Content:
    return summary(
        _("Your password was changed many times"),
        _("The password of your account was changed more than three times within an hour."),
        token,
        when,
        ip,
        device,
    )
