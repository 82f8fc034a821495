"""The mails about the change of an address."""

from flask_babel import gettext as _

from app.mail.content import Content, link
from app.mail.messages.notices import where, where_last
from app.mail.wordings import message


@message("confirm_email_change")
def confirm_email_change(*, token: str) -> Content:
    return Content(
        _("Confirm your new email address"),
        (
            _("Somebody, probably you, asked to use this email address for an account."),
            _("Confirm that it is yours. The link works once, for an hour."),
            _("If it was not you, do nothing: nothing will change."),
        ),
        _("Confirm the address"),
        link("confirm-email", token),
    )


@message("address_in_use")
def address_in_use() -> Content:
    return Content(
        _("Your email address is in use already"),
        (
            _("Somebody wanted to use this email address for another account."),
            _("It belongs to your account, so nothing was changed. You need not do anything."),
        ),
    )


@message("email_change_asked")
def email_change_asked(*, token: str, new_email: str, when: str, ip: str, device: str) -> Content:
    return Content(
        _("Your email address is about to change"),
        (
            _(
                "Somebody, probably you, asked to change the email address of your account to "
                "%(new_email)s.",
                new_email=new_email,
            ),
            where(when, ip, device),
            _undo(),
        ),
        _("This was not me: undo it"),
        link("undo-email-change", token),
    )


@message("many_email_changes_asked")
def many_email_changes_asked(*, token: str, when: str, ip: str, device: str) -> Content:
    return Content(
        _("Your email address is about to change"),
        (
            _("Somebody asked more than three times within an hour to change your email address."),
            where_last(when, ip, device),
            _("We will not send another mail about this for an hour."),
            _undo(),
        ),
        _("This was not me: undo it"),
        link("undo-email-change", token),
    )


def _undo() -> str:
    sentence: str = _(
        "If it was not you, undo it within 7 days: your account keeps this address or gets it "
        "back, all devices are signed out, and you get a link to set a new password."
    )
    return sentence
